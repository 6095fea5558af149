"""The SuperLink's process: Flower's own `flower-superlink`, with what the hub adds to it.

A route by which the hub speaks for nodes (`nodes`), the gateway's way past Flower's layers (`fast_lane`), and a state
in memory that finds messages quickly and knows who was written to (`fleet_link_state`). They are put where Flower calls
its extensions (`flwr.superlink.extensions`) and where it makes its state; all else is Flower's. Like Flower's Control
API beside it, `nodes` asks for no credentials: the port is on loopback, and the gateway passes nothing of it on.
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from flwr.superlink.cli.flower_superlink import flower_superlink
from flwr.superlink.dependencies.linkstate import get_linkstate
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from flip_hub.federation.fast_lane import LANE, NEWS, FastLane
from flip_hub.federation.fleet_link_state import FleetLinkState
from flip_hub.federation.nodes import PATH, NodesWanted, set_nodes

_STATE = "InMemoryLinkState"


def main() -> None:
    install(Path(os.environ["FLIP_HUB_SECRET_FILE"]).read_text().strip())
    flower_superlink()


def install(secret: str) -> None:
    """Puts ours before Flower's; fails plainly when Flower has changed."""
    extensions: Any = importlib.import_module("flwr.superlink.extensions")
    app: Any = importlib.import_module("flwr.superlink.main")
    factory: Any = importlib.import_module("flwr.server.superlink.linkstate.linkstate_factory")
    _check(extensions, "configure_app", called_by=app.create_app)
    _check(extensions, "get_middleware", called_by=app._get_middleware)
    _check(factory, _STATE, called_by=factory.LinkStateFactory.state)
    extensions.configure_app = _with_nodes(extensions.configure_app)
    extensions.get_middleware = _with_lane(extensions.get_middleware, secret)
    factory.InMemoryLinkState = FleetLinkState
    _log_no_routine()


def _check(module: Any, name: str, called_by: Any) -> None:
    if not hasattr(module, name) or name not in called_by.__code__.co_names:
        raise ImportError(
            "this version of Flower takes extensions in another way: flip_hub.federation.superlink_process "
            f"expects flwr 1.41, where {called_by.__module__}.{called_by.__qualname__} uses {name}"
        )


def _with_nodes(configure: Callable[[FastAPI], None]) -> Callable[[FastAPI], None]:
    def configure_app(app: FastAPI) -> None:
        configure(app)
        app.add_route(PATH, _take_nodes, methods=["POST"])

    return configure_app


def _with_lane(others: Callable[[], tuple[Middleware, ...]], secret: str) -> Callable[[], tuple[Middleware, ...]]:
    return lambda: (Middleware(FastLane, secret=secret), *others())


def _log_no_routine() -> None:
    """Flower logs calls that succeed, but for those that are made all the time; so are these."""
    logs: Any = importlib.import_module("flwr.supercore.http_logging")
    fleet = {path for path in logs.ROUTINE_ACCESS_PATHS if path.startswith("/v1/fleet/")}
    ours = {path.replace("/v1/fleet/", LANE) for path in fleet} | {NEWS, f"{LANE}get-run", f"{LANE}get-fab"}
    logs.ROUTINE_ACCESS_PATHS = logs.ROUTINE_ACCESS_PATHS | ours


async def _take_nodes(request: Request) -> Response:
    try:
        wanted = msgspec.json.decode(await request.body(), type=NodesWanted)
    except msgspec.DecodeError as error:
        return Response(str(error), status_code=400)
    online = await run_in_threadpool(set_nodes, get_linkstate(request), wanted)
    return Response(msgspec.json.encode(online), media_type="application/json")


if __name__ == "__main__":
    sys.exit(main())
