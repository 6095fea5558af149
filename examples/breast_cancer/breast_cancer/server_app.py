"""FedAvg over all devices, as in any Flower app."""

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from breast_cancer.model import network

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    devices = int(config["min-devices"])
    torch.manual_seed(0)
    strategy = FedAvg(min_train_nodes=devices, min_evaluate_nodes=devices, min_available_nodes=devices)
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(network().state_dict()),
        num_rounds=int(config["num-server-rounds"]),
    )
