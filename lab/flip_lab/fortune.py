"""What happens to one device, drawn from the lab's seed and its number alone: pace, link, clock, absences, lies."""

import math
import random

from flip_lab.absences import Away
from flip_lab.faults import Absences, Faults, Trace


class Fortune:
    def __init__(self, faults: Faults, seed: int, number: int) -> None:
        """`number`: of the device, from 1."""
        self._seed = f"{seed}/{number}"
        trace = next((each for each in faults.traces if each.device == number), Trace(device=number))
        self._training = faults.training
        self._pace = trace.pace or self._lognormal("pace", faults.training.spread)
        width = self._lognormal("link", faults.link.spread)
        self.latency = faults.link.latency
        self.down, self.up = faults.link.down * width, faults.link.up * width
        """Bytes a second."""
        self.power = Away(trace.power_cuts, self._drawn("power", faults.power_cuts))
        cuts = self._drawn("power", faults.power_cuts)  # without power there is no network either
        outages = self._drawn("outage", faults.outages)
        self.network = Away([*trace.outages, *trace.power_cuts], [*cuts, *outages])
        self.ahead = self._clock(faults) if trace.ahead is None else trace.ahead
        """Seconds of its clock."""
        self.lies = trace.lies or next(
            (lie for place, lie in enumerate(faults.lies) if self._has(f"lie/{place}", lie.share)), None
        )

    def seconds(self, phase: str, instruction: int) -> float:
        """That it takes for its instruction of that number. Queries, as of secure aggregation, take next to none."""
        training = self._training
        longer = self._chance(f"work/{instruction}").paretovariate(training.tail) if training.tail else 1.0
        share = {"train": 1.0, "evaluate": training.evaluation}.get(phase, 0.0)
        return max(1e-3, training.seconds * self._pace * longer * share)

    def seed(self, instruction: int) -> int:
        """Of all that its app draws for that instruction."""
        return self._chance(f"app/{instruction}").getrandbits(32)

    def sends(self, begin: float, seconds: float) -> float:
        """When a transfer of so many seconds that begins then is over: it goes on after each outage."""
        moment, left = begin, seconds
        while (span := self.network.next(moment)) is not None and moment + left > span.begin:
            left -= max(0.0, span.begin - moment)
            moment = span.end
        return moment + left

    def _clock(self, faults: Faults) -> float:
        wrong = (rule for place, rule in enumerate(faults.clocks) if self._has(f"clock/{place}", rule.share))
        return next((rule.ahead for rule in wrong), 0.0)

    def _drawn(self, what: str, rules: list[Absences]) -> list[tuple[Absences, random.Random]]:
        return [
            (rule, self._chance(f"{what}/{place}/spans"))
            for place, rule in enumerate(rules)
            if self._has(f"{what}/{place}", rule.share)
        ]

    def _has(self, what: str, share: float) -> bool:
        return self._chance(what).random() < share

    def _lognormal(self, what: str, sigma: float) -> float:
        return math.exp(self._chance(what).gauss(0.0, sigma)) if sigma else 1.0

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self._seed}/{what}")
