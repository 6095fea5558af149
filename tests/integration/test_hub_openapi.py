"""The API describes itself, wholly and without help from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from litestar.testing import TestClient
from litestar.types import ControllerRouterHandler

from flip_hub.app import create_app
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.auth.guards import CALLER
from flip_hub.core import ROUTES, build_core
from flip_hub.credentials import make_credentials
from flip_hub.daemon import FEDERATION_ROUTES
from flip_hub.health import Health
from flip_hub.mongo import Mongo
from flip_hub.settings import HubSection, Settings
from flip_wire.problem import Problem

ALL: list[ControllerRouterHandler] = [*ROUTES, *FEDERATION_ROUTES]


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    settings = Settings(hub=HubSection(state=folder))
    make_credentials(settings)
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    federation = {
        "models": None,
        "deltas": None,
        "rollouts": None,
        "apps": None,
        "runs": None,
        "reports": None,
        "participants": None,
        "log_events": None,
        "late": None,
        "run_spans": None,
        "receipts": None,
        "foldable": None,
        "run_contributions": None,
        "lineage": None,
        "system": None,
        "artifacts": FolderArtifacts(folder / "artifacts"),
    }
    services = {**core.services, **federation, "health": Health({})}
    app = create_app(ALL, services, access=core.access, prepared=mongo.prepared)
    names = _names(app.openapi_schema.to_schema())
    # Litestar takes a wrong value of a field for a mistake of the service by that name, and answers 500
    assert names & {"wanted", *CALLER, *services} == set()
    with TestClient(app) as client:
        page = client.get("/api/docs")
        assert page.status_code == 200
        assert "/api/v1/devices" in page.text
        assert "<script" not in page.text
        assert "http://" not in page.text.replace('href="/', "")
        return msgspec.json.decode(client.get("/api/docs/openapi.json").content)


def _names(document: dict[str, Any]) -> set[str]:
    """Of all fields that a body may have, and of all parameters."""
    calls = [call for calls in document["paths"].values() for call in calls.values() if isinstance(call, dict)]
    names = {parameter["name"] for call in calls for parameter in call.get("parameters", [])}
    open_, seen = [call["requestBody"] for call in calls if "requestBody" in call], set[str]()
    while open_:
        match open_.pop():
            case {"$ref": str(where)} if where not in seen:
                seen.add(where)
                open_.append(document["components"]["schemas"][where.rsplit("/", 1)[-1]])
            case dict() as schema:
                names |= set(schema.get("properties", {}))
                open_ += schema.values()
            case list() as alternatives:
                open_ += alternatives
            case _:
                pass
    return names


def test_every_call_describes_its_answer(document: dict[str, Any]) -> None:
    undescribed = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not any(
            "schema" in content
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for content in answer.get("content", {}).values()
        )
    ]
    assert undescribed == []


def test_the_calls_of_the_architecture_are_there(document: dict[str, Any]) -> None:
    calls = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}
    assert calls >= {
        "POST /api/v1/auth/login",
        "GET /api/v1/auth/me",
        "POST /api/v1/enrolment-tokens",
        "POST /api/v1/enrol",
        "POST /api/v1/device/token",
        "GET /api/v1/device/desired",
        "POST /api/v1/device/telemetry",
        "GET /api/v1/device/artifacts/{sha256}",
        "GET /api/v1/devices",
        "POST /api/v1/runs",
        "GET /api/v1/models",
        "GET /health/ready",
    }
    assert not [call for call in calls if "/internal/" in call]


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method} {path}", operation


def test_every_body_and_answer_has_an_example_that_is_one(document: dict[str, Any]) -> None:
    shown = 0
    for name, operation in _operations(document):
        answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        for content in [operation.get("requestBody", {}), *answers]:
            described = content.get("content", {}).get("application/json", {})
            schema = described.get("schema", {})
            if not schema:
                continue
            whole = {**schema, "components": document["components"]}
            assert jsonschema_rs.is_valid(whole, described["example"]), f"{name}: {described['example']}"
            shown += 1
    assert shown > 20


def test_every_call_says_which_errors_it_may_answer_and_what_it_needs(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        if "/api/v1/" not in name:
            continue
        errors = {status for status in operation["responses"] if status >= "400"}
        assert {"400", "429", "503"} <= errors, name
        assert ("401" in errors) >= (operation.get("security") != []), name
        for status in errors:
            described = document["components"]["responses"][operation["responses"][status]["$ref"].split("/")[-1]]
            example = described["content"]["application/problem+json"]["example"]
            assert str(msgspec.convert(example, Problem).status) == status
    permissions = {name: operation.get("x-permission") for name, operation in _operations(document)}
    assert permissions["get /api/v1/devices"] == "devices:read"
    assert permissions["post /api/v1/enrol"] is None


def test_pages_keys_and_tags_are_described(document: dict[str, Any]) -> None:
    listed = document["paths"]["/api/v1/runs"]["get"]
    assert {"limit", "cursor", "fields", "status"} <= {each["name"] for each in listed["parameters"]}
    assert {"ETag", "Link"} == set(listed["responses"]["200"]["headers"])
    assert "304" in listed["responses"]
    started = document["paths"]["/api/v1/runs"]["post"]
    assert "Idempotency-Key" in {each["name"] for each in started["parameters"]}
    assert document["components"]["schemas"]["RunRequest"]["additionalProperties"] is False, "it is refused, too"
