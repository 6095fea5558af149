"""The ServerApp that ships with FLIP: FedAvg over the module that an app exports. An app names it with

    [tool.flwr.app.components]
    serverapp = "flip_hub.federation.server_app:app"

    [tool.flip]
    export = "module:function"

Run configuration, with defaults: `num-server-rounds` 5, `min-devices` 2 (to train, to evaluate and to be there at
all), `fraction-train` 1.0, `fraction-evaluate` 1.0, `round-timeout` 600 (seconds), `seed` 0 (of the initial weights).
Every other key (say `local-epochs` or `lr`) goes to the devices with each instruction, in the record `config`.
"""

import os
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from flip_hub.federation.aggregator.export import load_export
from flip_hub.federation.aggregator.versions import read_project
from flip_runtime.errors import Rejected

app = ServerApp()

_OWN = {"num-server-rounds", "min-devices", "fraction-train", "fraction-evaluate", "round-timeout", "seed"}


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Raises `Rejected` when the app exports no module, or asks for no round."""
    config = context.run_config
    rounds = int(config.get("num-server-rounds", 5))
    if rounds < 1:
        raise Rejected(f"num-server-rounds is {rounds}", hint="one is the least")
    devices = int(config.get("min-devices", 2))
    strategy = FedAvg(
        fraction_train=float(config.get("fraction-train", 1.0)),
        fraction_evaluate=float(config.get("fraction-evaluate", 1.0)),
        min_train_nodes=devices,
        min_evaluate_nodes=devices,
        min_available_nodes=devices,
    )
    for_devices = {key: value for key, value in config.items() if key not in _OWN}
    strategy.start(
        grid=grid,
        initial_arrays=initial_arrays(Path(os.environ["FLIP_APP_DIR"]), int(config.get("seed", 0))),
        num_rounds=rounds,
        timeout=float(config.get("round-timeout", 600.0)),
        train_config=ConfigRecord(dict(for_devices)),
        evaluate_config=ConfigRecord(dict(for_devices)),
    )


def initial_arrays(app_folder: Path, seed: int) -> ArrayRecord:
    """The state_dict of the exported module; the same seed gives the same weights."""
    export = read_project(app_folder).tool.flip.export
    if not export:
        raise Rejected("this app exports no module", hint="name one under [tool.flip] export, or write a ServerApp")
    torch.manual_seed(seed)
    return ArrayRecord(load_export(export, app_folder).module.state_dict())
