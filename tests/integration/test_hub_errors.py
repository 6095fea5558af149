"""Whatever is sent to the hub, the answer is a problem detail with a reason, never a 5xx of its own making."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from core_hub import problem, running_core
from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.api_server import ApiServer
from flip_hub.app import MAX_BODY, create_app
from flip_hub.core import ROUTES, build_core
from flip_hub.credentials import make_credentials
from flip_hub.health import Health
from flip_hub.mongo import Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import HubSection, MongoSection, Settings
from flip_runtime.child import Child

GARBAGE = [b"", b"{", b"\xff\xff", b"null", b"[]", b'{"username": 1}', b'{"lifetime": "x"}', b'{"a": "\\ud800"}']


@pytest.mark.asyncio
async def test_garbage_never_makes_a_server_error(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        for path in ("auth/login", "enrolment-tokens", "enrol", "device/token"):
            for content in GARBAGE:
                answer = await hub.http.post(f"/api/v1/{path}", content=content, headers=hub.as_user())
                if answer.status_code != 201:  # an empty object asks for a token of the usual lifetime
                    assert problem(answer, answer.status_code).status < 500
        for lifetime in ("0", "-1", "1e300", "2592001", "null"):
            content = f'{{"lifetime": {lifetime}}}'.encode()
            answer = await hub.http.post("/api/v1/enrolment-tokens", content=content, headers=hub.as_user())
            assert answer.status_code in (400, 422)


@pytest.mark.asyncio
async def test_a_validation_error_names_the_field(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        answer = await hub.http.post("/api/v1/auth/login", content=b'{"username": "ada", "password": 7}')
        assert "password" in problem(answer, 400).detail


@pytest.mark.asyncio
async def test_unknown_calls_wrong_methods_and_large_bodies_are_problems(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        for path in ("/api/v1/nothing", "/api/v2/devices", "/api", "/health/nothing", "/internal/v1/x"):
            problem(await hub.http.get(path), 404)
        problem(await hub.http.delete("/api/v1/auth/login"), 405)
        large = await hub.http.post("/api/v1/auth/login", content=b" " * (MAX_BODY + 1))
        problem(large, 413)


@pytest.mark.asyncio
async def test_the_hub_waits_for_mongodb_and_becomes_ready_by_itself(folder: Path) -> None:
    mongo_port = free_port()
    settings = Settings(
        hub=HubSection(state=folder / "hub", port=free_port(), tls=False),
        mongo=MongoSection(url=f"mongodb://127.0.0.1:{mongo_port}"),
    )
    make_credentials(settings)
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    services = {**core.services, "health": Health({"mongo": mongo.missing})}
    app = create_app(ROUTES, services, access=core.access, prepared=mongo.prepared)
    server = asyncio.create_task(ApiServer(app, settings.hub, core.devices.close).run())
    preparing = asyncio.create_task(mongo.prepare(prepare_registry))
    mongod = Child("mongod", mongod_command(mongo_port, folder / "data"), log_file=folder / "mongod.log")
    url = f"http://127.0.0.1:{settings.hub.port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30.0, trust_env=False) as http:
            away = await http.get("/health/ready")
            assert away.status_code == 503
            assert "mongo.url" in away.json()["missing"]["mongo"]
            assert (await http.get("/health/live")).status_code == 200
            login = await http.post("/api/v1/auth/login", content=b'{"username": "ada", "password": "x"}')
            assert "/health/ready" in problem(login, 503).hint
            assert int(login.headers["Retry-After"]) >= 1

            await mongod.start()
            async with asyncio.timeout(60):
                await preparing
            assert (await http.get("/health/ready")).json() == {"ready": True, "missing": {}}

            await mongod.stop()
            gone = await http.post("/api/v1/auth/login", content=b'{"username": "ada", "password": "x"}')
            assert "registry" in problem(gone, 503).detail
            assert int(gone.headers["Retry-After"]) >= 1
    finally:
        for task in (server, preparing):
            task.cancel()
        await asyncio.wait((server, preparing))
        mongo.close()
        await mongod.stop()
        shutil.rmtree(folder / "data")


@pytest.mark.asyncio
async def test_every_answer_names_its_trace_and_errors_name_it_in_their_body(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        caller = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
        for path in ("/api/v1/devices", "/api/v1/nothing"):
            refused = await hub.http.get(path, headers=caller)
            assert problem(refused, refused.status_code).trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
            assert "4bf92f3577b34da6a3ce929d0e0e4736" in refused.headers["traceresponse"]
        first, second = [await hub.http.get("/api/v1/devices") for _ in range(2)]
        assert problem(first, 401).trace_id != problem(second, 401).trace_id
