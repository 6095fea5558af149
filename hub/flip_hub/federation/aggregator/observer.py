"""Watches any Flower strategy of this process from outside: its rounds, metrics and global models become reports.

`Strategy.start` is replaced while `observing`; on the instance that is started, the methods that the loop calls are
wrapped for as long as it runs. The strategy gets the same arguments and gives the same results as without us.
"""

import functools
import inspect
import logging
import math
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp.strategy import Strategy

from flip_hub.federation.aggregator.versions import VersionMaker
from flip_hub.federation.schemas import RoundFinished, RunReport, StrategyStarted, VersionMade
from flip_runtime.errors import Rejected
from flip_wire.models import Sha256

log = logging.getLogger("flwr.flip")


class Send(Protocol):
    """`Reports.send`."""

    def __call__(self, report: RunReport, files: Mapping[Sha256, bytes] | None = None) -> None: ...


class Observer:
    def __init__(self, send: Send, versions: VersionMaker) -> None:
        self._send = send
        self._versions = versions
        self.round = 0
        self._arrays: ArrayRecord | None = None
        self._train: dict[str, float] = {}

    @contextmanager
    def observing(self) -> Generator[None]:
        """Every strategy that is started meanwhile is watched."""
        original = Strategy.start

        @functools.wraps(original)
        def start(*args: Any, **kwargs: Any) -> Any:
            return self._start(original, args, kwargs)

        Strategy.start = start
        try:
            yield
        finally:
            Strategy.start = original

    def _start(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = inspect.signature(original).bind(*args, **kwargs)
        call.apply_defaults()
        strategy: Strategy = call.arguments["self"]
        rounds = call.arguments["num_rounds"]
        self._send(StrategyStarted(strategy=type(strategy).__name__, rounds=rounds, wants=_least_nodes(strategy)))
        self._versions.prepare()
        evaluate_fn = call.arguments["evaluate_fn"]
        with ExitStack() as wrapped:
            wrapped.enter_context(_after(strategy, "configure_train", self._configured))
            wrapped.enter_context(_after(strategy, "aggregate_train", self._trained))
            if evaluate_fn is None:
                wrapped.enter_context(_after(strategy, "aggregate_evaluate", self._evaluated))
            else:
                call.arguments["evaluate_fn"] = self._evaluating(strategy, evaluate_fn, wrapped)
            return original(*call.args, **call.kwargs)

    def _configured(self, number: int, _messages: Any) -> None:
        self.round, self._arrays, self._train = number, None, {}

    def _trained(self, _number: int, result: tuple[ArrayRecord | None, MetricRecord | None]) -> None:
        arrays, metrics = result
        self._arrays, self._train = arrays, scalars(metrics)

    def _evaluated(self, number: int, metrics: MetricRecord | None) -> None:
        self._finished(number, scalars(metrics))

    def _evaluating(
        self, strategy: Strategy, evaluate_fn: Callable[..., Any], wrapped: ExitStack
    ) -> Callable[..., Any]:
        """With an evaluation on the hub the round ends after it; its metrics get the prefix `hub-`."""
        of_devices: dict[str, float] = {}

        def remember(_number: int, metrics: MetricRecord | None) -> None:
            of_devices.clear()
            of_devices.update(scalars(metrics))

        def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord | None:
            metrics: MetricRecord | None = evaluate_fn(number, arrays)
            if number > 0:  # 0 is the initial model, before any round
                self._finished(number, of_devices | {f"hub-{name}": value for name, value in scalars(metrics).items()})
            return metrics

        wrapped.enter_context(_after(strategy, "aggregate_evaluate", remember))
        return evaluate

    def _finished(self, number: int, metrics: dict[str, float]) -> None:
        self._send(RoundFinished(round=number, train_metrics=self._train, evaluate_metrics=metrics))
        arrays, self._arrays = self._arrays, None
        if arrays is None:
            return  # nobody answered: the global model is still the last one
        try:
            version = self._versions.make(number, {name: array.numpy() for name, array in arrays.items()}, metrics)
        except Rejected as error:
            log.warning("round %d made no version: %s", number, error)
            return
        if version.warning:
            log.warning("the version of round %d holds weights only: %s", number, version.warning)
        self._send(VersionMade(manifest=version.manifest, warning=version.warning), version.files)


def scalars(record: MetricRecord | None) -> dict[str, float]:
    """The finite numbers of a record; JSON has no others."""
    values = {} if record is None else dict(record.items())
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _least_nodes(strategy: Strategy) -> int | None:
    """Of FedAvg and those made from it, by what `configure_train` waits for."""
    least = [getattr(strategy, name, None) for name in ("min_available_nodes", "min_train_nodes")]
    return max((number for number in least if isinstance(number, int)), default=None)


@contextmanager
def _after(strategy: Strategy, method: str, tell: Callable[[int, Any], None]) -> Generator[None]:
    """Calls `tell` with the round and the result after each call of the method, on this instance."""
    original, own = getattr(strategy, method), vars(strategy).get(method)

    @functools.wraps(original)
    def told(server_round: int, *args: Any, **kwargs: Any) -> Any:
        result = original(server_round, *args, **kwargs)
        tell(server_round, result)
        return result

    setattr(strategy, method, told)
    try:
        yield
    finally:
        delattr(strategy, method)
        if own is not None:
            setattr(strategy, method, own)
