"""FLIP's FedBuff over Flower's in-memory Grid; the model is judged on digits that no device has."""

import logging

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp

from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from simulated_digits.task import model, parts, tensors

app = ServerApp()
log = logging.getLogger("flwr.simulated_digits")

_FOR_DEVICES = ("local-epochs", "batch-size", "lr", "momentum", "seed")


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Raises `flip_runtime.errors.Unavailable` when no device answers for an hour."""
    config = context.run_config
    steps = int(config["steps"])
    torch.manual_seed(int(config["seed"]))
    result = FedBuff(buffer_size=int(config["buffer-size"]), fraction_evaluate=0.0).start(
        grid=grid,
        initial_arrays=ArrayRecord(model().state_dict()),
        num_rounds=steps,
        train_config=ConfigRecord({key: config[key] for key in _FOR_DEVICES}),
        evaluate_fn=judged,
    )
    accuracy = result.evaluate_metrics_serverapp[steps]["accuracy"]
    log.info("%d devices, %d steps: accuracy %.4f", len(list(grid.get_node_ids())), steps, accuracy)


def judged(_: int, arrays: ArrayRecord) -> MetricRecord:
    network = model()
    network.load_state_dict(arrays.to_torch_state_dict())
    x, y = tensors(parts(2).held_back)  # the same, however many devices there are
    with torch.no_grad():
        return MetricRecord({"accuracy": float((network(x).argmax(1) == y).float().mean())})
