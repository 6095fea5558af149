"""The API describes itself, wholly and without help from elsewhere."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient
from litestar.types import ControllerRouterHandler

from flip_hub.app import create_app
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.core import ROUTES, build_core
from flip_hub.credentials import make_credentials
from flip_hub.daemon import FEDERATION_ROUTES
from flip_hub.health import Health
from flip_hub.mongo import Mongo
from flip_hub.settings import HubSection, Settings

ALL: list[ControllerRouterHandler] = [*ROUTES, *FEDERATION_ROUTES]


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    settings = Settings(hub=HubSection(state=folder))
    make_credentials(settings)
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    federation = {
        "models": None,
        "apps": None,
        "runs": None,
        "late": None,
        "run_spans": None,
        "artifacts": FolderArtifacts(folder / "artifacts"),
    }
    services = {**core.services, **federation, "health": Health({})}
    app = create_app(ALL, services, access=core.access, prepared=mongo.prepared)
    with TestClient(app) as client:
        page = client.get("/api/docs")
        assert page.status_code == 200
        assert "/api/v1/devices" in page.text
        assert "<script" not in page.text
        assert "http://" not in page.text.replace('href="/', "")
        return msgspec.json.decode(client.get("/api/docs/openapi.json").content)


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
