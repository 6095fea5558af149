"""The SuperLink's process: Flower's own `flower-superlink`, with one route more, by which the hub speaks for nodes.

The route (`nodes`) is added where Flower calls its extensions (`flwr.superlink.extensions.configure_app`); all else
is Flower's. Like Flower's Control API beside it, it asks for no credentials: the port is on loopback, and the gateway
passes nothing of it on.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI
from flwr.superlink.cli.flower_superlink import flower_superlink
from flwr.superlink.dependencies.linkstate import get_linkstate
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from flip_hub.federation.nodes import PATH, NodesWanted, set_nodes

_HOOK = "configure_app"


def main() -> None:
    install()
    flower_superlink()


def install() -> None:
    """Puts ours before Flower's; fails plainly when Flower has changed."""
    extensions: Any = importlib.import_module("flwr.superlink.extensions")
    app: Any = importlib.import_module("flwr.superlink.main")
    if not hasattr(extensions, _HOOK) or _HOOK not in app.create_app.__code__.co_names:
        raise ImportError(
            "this version of Flower takes extensions in another way: flip_hub.federation.superlink_process "
            f"expects flwr 1.41, where flwr.superlink.main.create_app calls extensions.{_HOOK}"
        )
    extensions.configure_app = _with_nodes(extensions.configure_app)


def _with_nodes(configure: Callable[[FastAPI], None]) -> Callable[[FastAPI], None]:
    def configure_app(app: FastAPI) -> None:
        configure(app)
        app.add_route(PATH, _take_nodes, methods=["POST"])

    return configure_app


async def _take_nodes(request: Request) -> Response:
    try:
        wanted = msgspec.json.decode(await request.body(), type=NodesWanted)
    except msgspec.DecodeError as error:
        return Response(str(error), status_code=400)
    online = await run_in_threadpool(set_nodes, get_linkstate(request), wanted)
    return Response(msgspec.json.encode(online), media_type="application/json")


if __name__ == "__main__":
    sys.exit(main())
