"""The ServerApp's process: Flower's own `flwr-serverapp`, in which the app gets our Grid and its rounds are ours.

Apps run unmodified. Two names of Flower's are replaced: `run_` in `flwr.superlink.runtime.run_serverapp`, the function
that loads the app and runs it, and `push_objects` in `flwr.superlink.grid.http_grid` (`pushing`); how replies are
fetched is the Grid's own (`fetching`). In a fault lab a third one is: how strategies sleep while they have too few
devices, for the lab's time would stand still. Nothing that reporting or exporting meets ever ends a run.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid
from flwr.superlink.cli.flwr_serverapp import flwr_serverapp

from flip_hub.federation.aggregator.allocator import give_back_at_once
from flip_hub.federation.aggregator.clock import Clock, MachineClock
from flip_hub.federation.aggregator.engine import Engine, Hub
from flip_hub.federation.aggregator.lab_line import LabLine
from flip_hub.federation.aggregator.pushing import chunk_by_chunk
from flip_hub.federation.aggregator.reports import Reports
from flip_hub.federation.aggregator.strategies import weighted_mean

APP_FOLDER = "FLIP_APP_DIR"
_FLUSH = 60.0
_FLUSH_WHEN_STOPPED = 2.0
"""Seconds; Flower ends a stopped process by force five seconds after the signal."""


def main() -> None:
    give_back_at_once()
    install()
    flwr_serverapp()


def install() -> None:
    """Puts ours in the place of Flower's; fails plainly when Flower has changed."""
    runtime: Any = importlib.import_module("flwr.superlink.runtime.run_serverapp")
    if not hasattr(runtime, "run_") or "run_" not in runtime.run_serverapp.__code__.co_names:
        raise ImportError(
            "this version of Flower starts ServerApps in another way: flip_hub.federation.aggregator.launcher "
            "expects flwr 1.41, where flwr.superlink.runtime.run_serverapp calls run_"
        )
    runtime.run_ = conducted(runtime.run_)
    weighted_mean.install()
    grid: Any = importlib.import_module("flwr.superlink.grid.http_grid")
    grid.push_objects = chunk_by_chunk(grid.push_objects)


def conducted(run: Callable[..., Context]) -> Callable[..., Context]:
    """Wraps `flwr.server.run_serverapp.run`."""

    def run_conducted(*, grid: Grid, context: Context, server_app_dir: str, **rest: Any) -> Context:
        os.environ[APP_FOLDER] = server_app_dir
        hub = _hub_of(context.run_id)
        reports = Reports(hub.line(), context.run_id, patience=hub.patience)
        lab = LabLine.of_environment()
        clock, send = (MachineClock(), reports.send) if lab is None else (lab, lab.heard(reports.send))
        if lab is not None:
            sleep_by(lab)
        flush = _FLUSH_WHEN_STOPPED
        try:
            with Engine(hub, send, Path(server_app_dir), grid, clock) as engine, engine.conducting():
                context = run(grid=engine.grid, context=context, server_app_dir=server_app_dir, **rest)
            flush = _FLUSH
            return context
        except Exception:
            flush = _FLUSH  # the app's failure, told by Flower; what came before it still counts
            raise
        finally:
            reports.close(flush)

    return run_conducted


def sleep_by(clock: Clock) -> None:
    """While a strategy of Flower's has too few devices. Fails plainly when Flower has changed."""
    utils: Any = importlib.import_module("flwr.serverapp.strategy.strategy_utils")
    if "sleep" not in utils.sample_nodes.__code__.co_names:
        raise ImportError(f"this version of Flower waits for devices in another way: {__name__} expects flwr 1.41")
    utils.sleep = clock.sleep


def _hub_of(run_id: int) -> Hub:
    """As the SuperLink's environment says, which `superlink` sets."""
    return Hub(
        socket=Path(os.environ["FLIP_HUB_SOCKET"]),
        secret_file=Path(os.environ["FLIP_HUB_SECRET_FILE"]),
        patience=float(os.environ["FLIP_HUB_PATIENCE"]),
        runs=Path(os.environ["FLIP_RUNS"]),
        flower_run_id=run_id,
    )


if __name__ == "__main__":
    sys.exit(main())
