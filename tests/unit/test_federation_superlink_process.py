"""The hub speaks for nodes by a route that stands on a hook of Flower's; these fail when Flower changes it."""

import importlib
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from flwr.superlink.config_loader import get_federation_manager, get_objectstore_linkstate_factories

from flip_hub.federation import nodes, superlink_process
from flip_hub.federation.nodes import NodesOnline, NodesWanted


@pytest.fixture
def extensions() -> Iterator[Any]:
    module: Any = importlib.import_module("flwr.superlink.extensions")
    factory: Any = importlib.import_module("flwr.server.superlink.linkstate.linkstate_factory")
    logs: Any = importlib.import_module("flwr.supercore.http_logging")
    names = {
        module: ["configure_app", "get_middleware"],
        factory: ["InMemoryLinkState"],
        logs: ["ROUTINE_ACCESS_PATHS"],
    }
    original = [(place, name, getattr(place, name)) for place, of in names.items() for name in of]
    yield module
    for place, name, value in original:
        setattr(place, name, value)


@pytest.mark.asyncio
@pytest.mark.usefixtures("extensions")
async def test_flower_calls_the_hook_that_adds_the_route() -> None:
    create_app: Any = importlib.import_module("flwr.superlink.main").create_app
    superlink_process.install("internal")
    app: FastAPI = create_app()
    wanted = NodesWanted(online=["a key", "another"], lease=60.0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://superlink") as client:
        answer = await client.post(nodes.PATH, content=msgspec.json.encode(wanted))
        assert len(set(msgspec.json.decode(answer.content, type=NodesOnline).ids)) == 2
        assert (await client.post(nodes.PATH, content=b'{"online": 1}')).status_code == 400


def test_a_changed_flower_is_refused_with_the_reason(extensions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(extensions, "configure_app")
    with pytest.raises(ImportError, match=r"expects flwr 1\.41"):
        superlink_process.install("internal")


def test_a_lease_is_extended_and_never_shortened_and_a_key_keeps_its_node() -> None:
    manager = get_federation_manager(is_simulation=False)
    state = get_objectstore_linkstate_factories(":flwr-in-memory:", manager)[1].state()

    def until(key: str, lease: float) -> float:
        (node_id,) = nodes.set_nodes(state, NodesWanted(online=[key], lease=lease)).ids
        (node,) = state.get_node_info(node_ids=[int(node_id)])
        assert node.status == "online"
        return node.online_until

    short = until("a", 60.0)
    long = until("a", 600.0)
    assert long > short + 500
    assert until("a", 60.0) == long
    nodes.set_nodes(state, NodesWanted(offline=["a", "nobody knows this one"]))
    (node,) = state.get_node_info()
    assert node.status == "offline"
    assert until("a", 60.0) < long
