"""FedBuff: devices train at their own pace, and the model moves whenever K updates have come."""

import logging
from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result

from flip_hub.federation.aggregator.strategies.async_steps import async_steps
from flip_hub.federation.aggregator.strategies.buffered_step import Weighing
from flip_hub.federation.aggregator.strategies.noted import note
from flip_hub.federation.aggregator.strategies.steps import Evaluate, Evaluated, Step, Work
from flip_hub.federation.aggregator.strategies.tasks import Limits

log = logging.getLogger("flwr.flip")

Aggregate = Callable[[list[RecordDict], str], MetricRecord]


class FedBuff(FedAvg):
    """Buffered asynchronous aggregation: no device waits for another, and stale updates count less.

    Implementation based on https://arxiv.org/abs/2106.06639

    Parameters
    ----------
    buffer_size : int (default: 10)
        K: updates of devices for one step of the model; fewer when no other device is left to wait for.
    concurrency : int (default: 0)
        Devices that train at one time; 0: all that are connected.
    staleness_exponent : float (default: 0.5)
        a: an update that began s steps ago has the weight (1+s)^-a.
    max_staleness : int (default: 20)
        Updates that began more steps ago are not used.
    server_learning_rate : float (default: 1.0)
        By how much of the mean update the model moves.
    patience : float (default: 600.0)
        Seconds after which a device that has not answered may be asked again. Its answer still counts when it comes.
    evaluate_every : int (default: 1)
        Steps between evaluations; 0: none but after the last step. One that falls due while half of the devices still
        evaluate an earlier step is left out.
    fraction_evaluate : float (default: 1.0)
        Share of the connected devices that evaluate, between their trainings.
    min_evaluate_nodes : int (default: 2)
        Devices that evaluate where the share is fewer.
    min_available_nodes : int (default: 2)
        Devices that must be connected before the first begins.
    weighted_by_key : str (default: "num-examples")
        The metric that updates are weighed by.
    arrayrecord_key : str (default: "arrays")
        Name of the arrays in what devices are sent.
    configrecord_key : str (default: "config")
        Name of the configuration in what devices are sent.
    """

    def __init__(
        self,
        buffer_size: int = 10,
        concurrency: int = 0,
        staleness_exponent: float = 0.5,
        max_staleness: int = 20,
        server_learning_rate: float = 1.0,
        patience: float = 600.0,
        evaluate_every: int = 1,
        fraction_evaluate: float = 1.0,
        min_evaluate_nodes: int = 2,
        min_available_nodes: int = 2,
        weighted_by_key: str = "num-examples",
        arrayrecord_key: str = "arrays",
        configrecord_key: str = "config",
        train_metrics_aggr_fn: Aggregate | None = None,
        evaluate_metrics_aggr_fn: Aggregate | None = None,
    ) -> None:
        super().__init__(
            fraction_evaluate=fraction_evaluate,
            min_train_nodes=0,
            min_evaluate_nodes=min_evaluate_nodes,
            min_available_nodes=min_available_nodes,
            weighted_by_key=weighted_by_key,
            arrayrecord_key=arrayrecord_key,
            configrecord_key=configrecord_key,
            train_metrics_aggr_fn=train_metrics_aggr_fn,
            evaluate_metrics_aggr_fn=evaluate_metrics_aggr_fn,
        )
        self.buffer_size = buffer_size
        self.concurrency = concurrency
        self.staleness_exponent = staleness_exponent
        self.max_staleness = max_staleness
        self.server_learning_rate = server_learning_rate
        self.patience = patience
        self.evaluate_every = evaluate_every
        # ---- what a checkpoint must hold, beside the model and its step: plain values ----
        self.asked: dict[int, int] = {}
        """Which version of the model a device works on, by node."""
        self.answered: dict[int, int] = {}
        """Which version a device's newest update began with that a step holds, by node."""
        self.evaluated = 0
        """The step that was evaluated last."""

    @property
    def limits(self) -> Limits:
        return Limits(concurrency=self.concurrency, patience=self.patience, max_staleness=self.max_staleness)

    def weighing(self, version: int) -> Weighing:
        return Weighing(version=version, exponent=self.staleness_exponent, learning_rate=self.server_learning_rate)

    def messages(
        self, kind: str, step: int, arrays: ArrayRecord, config: ConfigRecord, nodes: Iterable[int]
    ) -> list[Message]:
        """To train towards that step, or to evaluate it. What is asked for again is asked for in the same words."""
        config = ConfigRecord({**config, "server-round": step})
        record = RecordDict({self.arrayrecord_key: arrays, self.configrecord_key: config})
        return list(self._construct_messages(record, list(nodes), kind))

    def train_metrics(self, replies: Iterable[Message]) -> MetricRecord:
        """Of one step: averaged by samples, whatever their staleness."""
        records = [RecordDict(dict(reply.content.metric_records)) for reply in replies]
        return self.train_metrics_aggr_fn(records, self.weighted_by_key)

    def summary(self) -> None:
        log.info("\t├──> FedBuff: a step of %g for %d updates", self.server_learning_rate, self.buffer_size)
        log.info("\t│\t├── Devices that train at one time: %s", self.concurrency or "all")
        log.info(
            "\t│\t└── Staleness: (1+s)^-%g, at most %d steps; %g s of patience",
            *(self.staleness_exponent, self.max_staleness, self.patience),
        )
        super().summary()

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Evaluate | None = None,
    ) -> Result:
        """As Flower's, with `num_rounds` steps. Raises `Unavailable` when no update came for `timeout` seconds."""
        self.summary()
        result = Result(arrays=initial_arrays)

        def on_step(step: Step) -> None:
            result.arrays = step.arrays
            note(result.train_metrics_clientapp, step.number, step.metrics)

        def on_evaluated(evaluated: Evaluated) -> None:
            note(result.evaluate_metrics_clientapp, evaluated.step, evaluated.of_devices)
            note(result.evaluate_metrics_serverapp, evaluated.step, evaluated.of_hub)

        if evaluate_fn is not None:
            note(result.evaluate_metrics_serverapp, 0, evaluate_fn(0, initial_arrays))
        work = Work(
            steps=num_rounds,
            timeout=timeout,
            train_config=train_config or ConfigRecord(),
            evaluate_config=evaluate_config or ConfigRecord(),
            evaluate=evaluate_fn,
        )
        async_steps(self, grid, initial_arrays, work, on_step=on_step, on_evaluated=on_evaluated)
        return result
