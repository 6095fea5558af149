"""Any strategy that lives on the mean of a round, made private: it never sees more of the devices than that mean, with
noise in it. So what it makes of it (momentum, Adam) costs nothing further.

In mode `local` the noise is in the updates when they come, and any strategy sees them.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    Bulyan,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    FedXgbBagging,
    FedXgbCyclic,
    MultiKrum,
    QFedAvg,
    Strategy,
)
from flwr.serverapp.strategy.dp_adaptive_clipping import DifferentialPrivacyAdaptiveBase
from flwr.serverapp.strategy.dp_fixed_clipping import DifferentialPrivacyFixedClippingBase
from numpy.typing import NDArray

from flip_hub.federation.aggregator.privacy.updates import (
    Base,
    as_reply,
    length,
    level,
    need_bit,
    need_clipped,
    need_floats,
    shown_metrics,
)
from flip_hub.federation.aggregator.privacy.wrappers import Wrapper, wrapper_of
from flip_hub.federation.aggregator.strategies.tensors import read
from flip_hub.federation.privacy.account import plus
from flip_hub.federation.privacy.price import need_budget, spent
from flip_hub.federation.privacy.schemas import (
    DeviceAdaptive,
    DeviceFixed,
    HubAdaptive,
    HubFixed,
    Local,
    Privacy,
    PrivacySpent,
    Release,
)
from flip_runtime.errors import Rejected
from flip_update.local_parts import split

log = logging.getLogger("flwr.flip")

Refuse = Callable[[Message, str], None]
_NOTHING = 1e-12
"""Of an update's length: Flower computes it in 32 bits, where it may be zero."""
_CHOOSERS = (Bulyan, FedMedian, FedTrimmedAvg, FedXgbBagging, FedXgbCyclic, MultiKrum, QFedAvg)
_WRAPPERS = (DifferentialPrivacyAdaptiveBase, DifferentialPrivacyFixedClippingBase)


def private(
    strategy: Strategy,
    privacy: Privacy,
    releases: Sequence[Release] = (),
    *,
    local: Sequence[str] = (),
    refuse: Refuse = lambda *_: None,
) -> "Private":
    """`releases`: of this run before its process was started anew, and of the run that it goes on from. `local`: of
    the plan, arrays that stay on each device. `refuse` is told of each reply that is left out, and why.

    Raises `Rejected` for a strategy that no noise of ours makes private.
    """
    if isinstance(strategy, _WRAPPERS):
        raise Rejected(
            "plan.privacy: the app's strategy is a wrapper for differential privacy itself",
            hint="give the app's strategy without it, or start the run without privacy",
        )
    if type(strategy).start is not Strategy.start:
        raise Rejected(
            f"plan.privacy: {type(strategy).__name__} has no rounds, and how often it asks a device nobody can say",
            hint="use a strategy with rounds, or start the run without privacy",
        )
    if isinstance(privacy, Local):
        return Private(strategy, privacy, releases, None, local, refuse)
    if not isinstance(strategy, FedAvg) or not lives_on_means(strategy):
        raise Rejected(
            f"plan.strategy: {type(strategy).__name__} needs more of a round than the mean of its updates, and noise "
            "hides a device only in a mean",
            hint="FedAvg and those that are made from it by its mean work; with privacy in mode local all do",
        )
    return Private(strategy, privacy, releases, wrapper_of(privacy, _Mean(strategy)), local, refuse)


class Private(Strategy):
    # not in `vars`: a checkpoint holds the strategy's memory, the releases and the norm, and nothing of the plan
    __slots__ = ("_base", "_before", "_kept", "_local", "_order", "_privacy", "_refuse", "_wrapper", "asked")

    def __init__(
        self,
        strategy: Strategy,
        privacy: Privacy,
        releases: Sequence[Release],
        wrapper: Wrapper | None,
        local: Sequence[str],
        refuse: Refuse,
    ) -> None:
        self.strategy = strategy
        self.released: dict[float, int] = {}
        """How often, by noise multiplier; those of other runs as well."""
        self.norm: float | None = None
        """The clipping norm of the next round, where it adapts."""
        self.asked: Callable[[list[Release]], None] = lambda _: None
        """Is told before devices are asked, in mode `local`."""
        self._privacy = privacy
        self._before = list(releases)
        self._wrapper = wrapper
        self._local = local
        self._refuse = refuse
        self._base: Base = {}
        """What devices share, of the model of this round."""
        self._kept: dict[str, Array] = {}
        """The rest of it, which no device changes."""
        self._order: list[str] = []
        self.restored(releases)

    # ---- the account ----

    def need_budget(self, rounds: int) -> None:
        """For so many more. Raises `Rejected` that says what would fit."""
        need_budget(self._privacy, self.state(), rounds)

    def spent(self, rounds: int | None) -> PrivacySpent:
        """`rounds` are those to come. What is in it is known once the round's checkpoint is on the disk."""
        return spent(self._privacy, self.state(), rounds)

    def state(self) -> list[Release]:
        """The larger of what a checkpoint held and what is known from elsewhere: neither is ever too much."""
        known = {each.noise_multiplier: each.times for each in self._before}
        counts = {each: max(known.get(each, 0), self.released.get(each, 0)) for each in {**known, **self.released}}
        return [Release(noise_multiplier=each, times=times) for each, times in counts.items()]

    def restored(self, releases: Sequence[Release]) -> None:
        """To what `state` gave."""
        self.released = {each.noise_multiplier: each.times for each in releases}

    def _spend(self) -> None:
        self.restored(plus(self.state(), self._privacy.released_with))

    # ---- Flower's Strategy ----

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Raises `Rejected` when the budget has no room for another round."""
        self.need_budget(1)
        shared, self._kept = split(arrays, self._local)
        need_floats(shared)
        self._base, self._order = read(shared), list(arrays)
        if self._wrapper is None:
            messages = list(self.strategy.configure_train(server_round, arrays, config, grid))
            if messages:
                self._spend()  # devices release what they send, whatever becomes of it here
                self.asked(self.state())
            return messages
        if self.norm is not None and isinstance(self._privacy, HubAdaptive | DeviceAdaptive):
            self._wrapper.clipping_norm = self.norm
        return self._wrapper.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        fitting = self._fitting(replies)
        if not fitting:
            return None, None
        if self._wrapper is None:
            return self._passed_on(server_round, [reply for reply, _ in fitting])
        metrics = self._metrics([reply for reply, _ in fitting])
        mean = self._noisy_mean(server_round, fitting, self._wrapper)
        self._spend()
        if isinstance(self._privacy, HubAdaptive | DeviceAdaptive):
            self.norm = self._wrapper.clipping_norm
        whole = {name: mean[name] if name in mean else self._kept[name] for name in self._order}
        reply = as_reply(whole, weighted_by(self.strategy))
        arrays, _ = self.strategy.aggregate_train(server_round, [reply])
        return arrays, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        if self._privacy.metrics == "none":
            return []
        return self.strategy.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        return None if self._privacy.metrics == "none" else self.strategy.aggregate_evaluate(server_round, replies)

    def summary(self) -> None:
        log.info("privacy: %s", self._privacy)
        self.strategy.summary()

    # ---- a round ----

    def _fitting(self, replies: Iterable[Message]) -> list[tuple[Message, float]]:
        """Each with the length of its update. The others are left out, and the round is one of fewer."""
        fitting: list[tuple[Message, float]] = []
        for reply in replies:
            if reply.has_error():
                continue
            try:
                fitting.append((reply, self._length(reply)))
            except Rejected as error:
                log.warning("the reply of node %d is left out: %s", reply.metadata.src_node_id, error)
                self._refuse(reply, error.args[0])
        return fitting

    def _length(self, reply: Message) -> float:
        """Raises `Rejected`."""
        found = length(reply, self._base, self._kept)
        if isinstance(self._privacy, DeviceFixed | DeviceAdaptive) and self._wrapper is not None:
            need_clipped(found, self._wrapper.clipping_norm, self._base)
        if isinstance(self._privacy, DeviceAdaptive):
            need_bit(reply)
        return found

    def _noisy_mean(self, number: int, fitting: list[tuple[Message, float]], wrapper: Wrapper) -> ArrayRecord:
        for reply, _ in fitting:
            level(reply, list(self._base), weighted_by(self.strategy))
        given = [reply for reply, _ in fitting]
        mean = wrapper.strategy
        assert isinstance(mean, _Mean)
        if isinstance(self._privacy, HubFixed | HubAdaptive):  # Flower divides by the length
            mean.still = [reply for reply, found in fitting if found < _NOTHING]
            given = [reply for reply, found in fitting if found >= _NOTHING]
        wrapper.num_sampled_clients = len(fitting)
        arrays, _ = wrapper.aggregate_train(number, given)
        mean.still = []
        if arrays is None:
            raise Rejected("Flower has not averaged the updates of a round")
        return ArrayRecord(
            {name: Array(array.numpy().astype(self._base[name].dtype)) for name, array in arrays.items()}
        )

    def _passed_on(self, number: int, replies: list[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        if self._privacy.metrics == "none":
            for reply in replies:
                level(reply, self._order, weighted_by(self.strategy))
        arrays, metrics = self.strategy.aggregate_train(number, replies)
        return arrays, None if self._privacy.metrics == "none" else metrics

    def _metrics(self, replies: list[Message]) -> MetricRecord | None:
        if self._privacy.metrics == "none" or not isinstance(self.strategy, FedAvg):
            return None
        key = weighted_by(self.strategy)
        return self.strategy.train_metrics_aggr_fn(shown_metrics(replies, key), key)


class _Mean(FedAvg):
    """What a wrapper is put around: asks the devices that the strategy chooses, and averages."""

    def __init__(self, strategy: FedAvg) -> None:
        super().__init__(weighted_by_key=strategy.weighted_by_key)
        self._configure = strategy.configure_train
        self.still: list[Message] = []
        """Updates of this round that change nothing, and are not clipped."""

    def configure_train(self, *args: Any, **kwargs: Any) -> Iterable[Message]:
        return self._configure(*args, **kwargs)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """In float64: what noise is added to must not be rounded by more than one device can change."""
        given, sums = [*self.still, *replies], dict[str, NDArray[Any]]()
        for reply in given:
            for name, array in next(iter(reply.content.array_records.values())).items():
                if name in sums:
                    sums[name] += array.numpy()
                else:
                    sums[name] = array.numpy().astype(np.float64)
        if not given:
            return None, None
        return ArrayRecord({name: Array(total / len(given)) for name, total in sums.items()}), None


def lives_on_means(strategy: Strategy) -> bool:
    """Whether it needs no more of a round than the mean of its updates."""
    return isinstance(strategy, FedAvg) and not isinstance(strategy, _CHOOSERS)


def weighted_by(strategy: Strategy) -> str:
    return str(getattr(strategy, "weighted_by_key", "num-examples"))
