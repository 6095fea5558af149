"""Apps, runs and the ServerApp's reports over the hub's API."""

from pathlib import Path

import msgspec
import pytest
from hub_parts import INTERNAL_SECRET, fab_of, hub_parts

from flip_hub.apps.schemas import App
from flip_hub.federation.schemas import MessagesPushed, Run, RunDetail
from flip_wire.problem import Problem

pytestmark = pytest.mark.asyncio


async def test_a_run_over_http_from_upload_to_log(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder) as hub, hub.http() as http:
        await hub.enrol("one", node="1")
        uploaded = await http.post("/api/v1/apps", content=fab_of())
        assert uploaded.status_code == 201
        app = msgspec.json.decode(uploaded.content, type=App)
        started = await http.post("/api/v1/runs", json={"fab_hash": app.fab_hash, "config": {"rate": 1}})
        assert started.status_code == 201, started.text
        run = msgspec.json.decode(started.content, type=Run)
        reported = await http.post(
            f"/internal/v1/runs/{run.flower_run_id}/reports",
            content=msgspec.json.encode(MessagesPushed(round=1, phase="train", nodes=["1"])),
            headers={"Authorization": f"Bearer {INTERNAL_SECRET.decode()}"},
        )
        assert reported.status_code == 204, reported.text
        detail = msgspec.json.decode((await http.get(f"/api/v1/runs/{run.id}")).content, type=RunDetail)
        assert [round.sampled for round in detail.rounds] == [["dev-one"]]
        hub.control.text = "[ROUND 1/3]"
        assert (await http.get(f"/api/v1/runs/{run.id}/logs")).text == "[ROUND 1/3]"
        assert (
            msgspec.json.decode((await http.post(f"/api/v1/runs/{run.id}/stop")).content, type=Run).status == "stopped"
        )


async def test_bad_input_over_http_is_a_problem_with_a_hint(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder) as hub, hub.http() as http:
        answers = {
            400: await http.post("/api/v1/apps", content=b"no zip"),
            404: await http.post("/api/v1/runs", json={"fab_hash": "0" * 64}),
            413: await http.post("/api/v1/apps", content=bytes(65 * 2**20)),
        }
        for status, answer in answers.items():
            assert answer.status_code == status, answer.text
            assert msgspec.json.decode(answer.content, type=Problem).detail
        typo = await http.post("/api/v1/runs", json={"fab_hash": "0" * 64, "metrics": "loss"})
        assert typo.status_code == 400
        assert "metrics" in msgspec.json.decode(typo.content, type=Problem).detail
        reports = "/internal/v1/runs/12/reports"
        assert (await http.post(reports, content=b"{}")).status_code == 401  # a person's token
        secret = {"Authorization": f"Bearer {INTERNAL_SECRET.decode()}"}
        assert (await http.post(reports, content=b'{"type":"Nonsense"}', headers=secret)).status_code == 400
