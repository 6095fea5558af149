"""The training of a run that aggregates securely: a strategy is given the mean of a round as its only reply.

A round that fails is void, with the reason, and the next one begins with new secrets; so does one whose process died
in its midst.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import Strategy

from flip_hub.federation.aggregator.grid import RoundGrid
from flip_hub.federation.aggregator.privacy.strategy import lives_on_means, weighted_by
from flip_hub.federation.aggregator.secure.attempt import Attempt, Limits
from flip_hub.federation.aggregator.secure.attempts import Attempts
from flip_hub.federation.aggregator.secure.vectors import Vectors
from flip_hub.federation.plan import RoundRules
from flip_hub.federation.schemas import RunReport
from flip_hub.federation.secure.rules import FIELD, parameters_of
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import ConfigError, Rejected
from flip_update.local_parts import split
from flip_update.secagg.fixed_point import Total
from flip_update.secagg.hub_round import HubRound

log = logging.getLogger("flwr.flip")

_FLOATS: Final = ("float32", "float64")


class SecureRounds:
    def __init__(
        self,
        run_id: str,
        secure: SecureAggregation,
        grid: RoundGrid,
        report: Callable[[RunReport], None],
        folder: Path,
        *,
        rules: RoundRules,
        local: Iterable[str] = (),
    ) -> None:
        """`folder`: the run's; `local`: of the plan, arrays that stay on each device."""
        self._run_id = run_id
        self._secure = secure
        self._grid = grid
        self._report = report
        self._folder = folder
        self._rules = rules
        self._local = list(local)
        self._attempts = Attempts(folder)
        self._weighted_by = ""
        self._following: HubRound | None = None
        """The next round, with the circle and the keys of the one before."""

    def begin(self, strategy: Strategy) -> None:
        """Raises `Rejected` for a strategy that needs more of a round than the mean of its updates."""
        if not lives_on_means(strategy) or type(strategy).start is not Strategy.start:
            raise Rejected(
                f"plan.strategy: {type(strategy).__name__} needs single updates, and secure aggregation gives their "
                "mean alone",
                hint="FedAvg and those that are made from it by its mean work",
            )
        self._weighted_by = weighted_by(strategy)
        log.info("secure aggregation: %s", self._secure)

    def replies(
        self, number: int, messages: Iterable[Message], timeout: float | None, *, last: bool = False
    ) -> list[Message]:
        """The mean of the devices' updates; none of a void round, of which the grid's `void` says why. After the `last`
        one devices keep no keys.

        Raises `Rejected` when the model, or how many devices the strategy asks, does not fit the plan.
        """
        instructions = {str(message.metadata.dst_node_id): message for message in messages}
        self._grid.void = ""
        if not instructions:
            return []
        model = _model_of(instructions.values())
        shared, _ = split(model, self._local)
        length = _length(shared)
        if len(instructions) > self._secure.most:
            raise Rejected(
                f"{FIELD}.most: the strategy asks {len(instructions)} devices, and the sum has room for "
                f"{self._secure.most}",
                hint="raise it, or lower the strategy's fraction_train",
            )
        try:
            with Vectors(self._folder) as vectors:
                hub = self._begun(sorted(instructions), length)
                attempt = Attempt(number, hub, instructions, self._weighted_by, self._grid, self._report)
                total = attempt.total(Limits(rules=self._rules, timeout=timeout), vectors, renews=not last)
        except (Rejected, ConfigError, OSError) as error:  # of a full disk
            self._grid.void = f"the round is void: {error}"
            self._grid.missed(set(self._grid.untaken()), self._grid.void)
            log.warning("round %d: %s", number, self._grid.void)
            return []
        self._following = hub.following()
        if total.clipped:
            log.warning("%d devices changed values by more than %s.clip", total.clipped, FIELD)
        return [self._reply(model, shared, total)]

    def _begun(self, devices: list[str], length: int) -> HubRound:
        """With the circle of the round before, if it is of these very devices. Raises `ConfigError` when so few cannot
        make a round."""
        following, self._following = self._following, None
        parameters = parameters_of(self._secure, length)
        if following is not None and following.parameters == parameters and sorted(following.devices()) == devices:
            return following
        return HubRound.begin(
            self._run_id,
            self._attempts.next(),
            parameters,
            devices,
            dropout=self._secure.dropout,
            colluding=self._secure.colluding,
        )

    def _reply(self, model: ArrayRecord, shared: dict[str, Array], total: Total) -> Message:
        arrays, start = dict(model), 0
        for name in sorted(shared):
            base = shared[name].numpy()
            change = total.mean[start : start + base.size].reshape(base.shape)
            arrays[name] = Array(np.add(base, change, dtype=np.float64).astype(base.dtype))
            start += base.size
        metrics: dict[str, Any] = {
            self._weighted_by: total.weight,
            "devices": total.devices,
            "clipped-devices": total.clipped,
        }
        content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord(metrics)})
        return Message(content, dst_node_id=0, message_type="train")


def _model_of(messages: Iterable[Message]) -> ArrayRecord:
    """Raises `Rejected` when devices are not all sent the same one."""
    found = {id(record): record for each in messages for record in each.content.array_records.values()}
    if len(found) != 1:
        raise Rejected(
            f"{FIELD}: the strategy sends devices {len(found)} models in a round, and their updates have no sum",
            hint="use a strategy that sends all devices the same one record of arrays",
        )
    return next(iter(found.values()))


def _length(shared: dict[str, Array]) -> int:
    """Values. Raises `Rejected` that names an array that cannot be added up in fixed point."""
    for name, array in shared.items():
        if array.dtype not in _FLOATS:
            raise Rejected(
                f"{FIELD}: {name} is {array.dtype}, and only float32 and float64 can be masked",
                hint="plan.local names arrays that stay on each device",
            )
    return sum(int(np.prod(array.shape)) for array in shared.values())
