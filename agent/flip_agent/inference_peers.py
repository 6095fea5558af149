"""All instances of `flip-agent serve` as `run` sees them; each model is held by one of them."""

from collections import Counter

from flip_agent.inference_peer import InferencePeer, Send
from flip_agent.instances import Instances
from flip_agent.reported import Reported
from flip_agent.settings import InferenceSection
from flip_agent.watched import Watched
from flip_wire.inference import ModelTraffic
from flip_wire.models import ModelAssignment


class InferencePeers:
    def __init__(self, reported: Reported, instances: Instances | None = None) -> None:
        """`instances`: which there should be, and what each holds; by default one that holds all."""
        self._reported = reported
        self._instances = instances or Instances(InferenceSection())
        self._peers: dict[str, InferencePeer] = {}
        self.arrivals = Watched(0)
        """How many processes have connected so far."""

    @property
    def missing(self) -> list[str]:
        """Names of the instances that should be connected and are not."""
        return [name for name in self._instances.names if not self.instance(name).connected]

    @property
    def p99(self) -> float | None:
        """Of the slowest instance, in seconds; None when there were no requests."""
        return max((peer.p99 for peer in self._peers.values() if peer.p99 is not None), default=None)

    @property
    def traffic(self) -> list[ModelTraffic]:
        """What each instance has answered, as it told last."""
        return [each for peer in self._peers.values() for each in peer.traffic]

    @property
    def samples_lost(self) -> dict[str, int]:
        """Of all instances together."""
        lost: Counter[str] = Counter()
        for peer in self._peers.values():
            lost.update(peer.samples_lost)
        return dict(lost)

    def instance(self, name: str) -> InferencePeer:
        return self._peers.setdefault(name, InferencePeer(self._reported))

    def of(self, model: str) -> InferencePeer:
        return self.instance(self._instances.holder(model))

    def attach(self, name: str, send: Send) -> None:
        self.instance(name).attach(send)
        self.arrivals.set(self.arrivals.value + 1)

    def serves(self, assignment: ModelAssignment) -> bool:
        serving = self._reported.state.value.serving
        return any((each.model, each.version) == (assignment.model, assignment.version) for each in serving)
