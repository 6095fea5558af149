"""Between the ServerApp's process and the hub on the same machine: its brief, its reports, the files they speak of."""

from typing import Any

from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.artifacts.artifacts import ARTIFACT_LIMIT, Artifacts
from flip_hub.artifacts.download import download
from flip_hub.auth.guards import internal_guard
from flip_hub.contributions.foldable import FoldableReplies
from flip_hub.datasets.service import DatasetService
from flip_hub.federation.brief import Brief, Foldable, NodeFacts
from flip_hub.federation.participants import Participants
from flip_hub.federation.run_reports import RunReports
from flip_hub.federation.schemas import RunReport
from flip_wire.models import Sha256

_REPORT_LIMIT = 8 * 2**20
"""Bytes: a manifest carries its probe by value."""


class InternalController(Controller):
    path = "/internal/v1"
    guards = (internal_guard,)
    include_in_schema = False

    @post("/runs/{flower_run_id:str}/reports", status_code=204, request_max_body_size=_REPORT_LIMIT)
    async def take_report(
        self, reports: NamedDependency[RunReports], flower_run_id: FromPath[str], data: JSONBody[RunReport]
    ) -> None:
        await reports.take(flower_run_id, data)

    @get("/runs/{flower_run_id:str}/brief")
    async def read_brief(self, participants: NamedDependency[Participants], flower_run_id: FromPath[str]) -> Brief:
        return await participants.brief(flower_run_id)

    @get("/runs/{flower_run_id:str}/nodes")
    async def list_nodes(
        self, participants: NamedDependency[Participants], flower_run_id: FromPath[str]
    ) -> list[NodeFacts]:
        return await participants.nodes(flower_run_id)

    @get("/runs/{flower_run_id:str}/dataset")
    async def read_dataset(
        self,
        participants: NamedDependency[Participants],
        datasets: NamedDependency[DatasetService],
        request: Request[Any, Any, Any],
        flower_run_id: FromPath[str],
    ) -> Response[Any]:
        """That the run's plan names."""
        found = await datasets.get((await participants.brief(flower_run_id)).plan.dataset)
        return await download(datasets.files, found.sha256, request, {})

    @get("/runs/{flower_run_id:str}/late")
    async def list_foldable(
        self, foldable: NamedDependency[FoldableReplies], flower_run_id: FromPath[str], since: FromQuery[int]
    ) -> list[Foldable]:
        return await foldable.of_run(flower_run_id, since)

    @get("/late/{sha256:str}")
    async def read_late(
        self, foldable: NamedDependency[FoldableReplies], request: Request[Any, Any, Any], sha256: FromPath[str]
    ) -> Response[Any]:
        return await download(foldable.objects, Sha256(sha256), request, {})

    @get("/artifacts/{sha256:str}")
    async def read_artifact(
        self, artifacts: NamedDependency[Artifacts], request: Request[Any, Any, Any], sha256: FromPath[str]
    ) -> Response[Any]:
        return await download(artifacts, Sha256(sha256), request, {})

    @put("/artifacts/{sha256:str}", status_code=204, request_max_body_size=ARTIFACT_LIMIT)
    async def store_artifact(
        self, artifacts: NamedDependency[Artifacts], request: Request[Any, Any, Any], sha256: FromPath[str]
    ) -> None:
        """Straight to the disk; refused, and nothing kept, when it is not what its name says."""
        await artifacts.put_stream(sha256, request.stream())
