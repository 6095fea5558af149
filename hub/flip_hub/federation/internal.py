"""What the ServerApp's process sends to the hub on the same machine: reports, and the files they speak of."""

from typing import Any

from litestar import Controller, Request, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.artifacts.artifacts import ARTIFACT_LIMIT, Artifacts
from flip_hub.auth.guards import internal_guard
from flip_hub.federation.schemas import RunReport
from flip_hub.federation.service import RunService

_REPORT_LIMIT = 8 * 2**20
"""Bytes: a manifest carries its probe by value."""


class InternalController(Controller):
    path = "/internal/v1"
    guards = (internal_guard,)
    include_in_schema = False

    @post("/runs/{flower_run_id:str}/reports", status_code=204, request_max_body_size=_REPORT_LIMIT)
    async def take_report(
        self, runs: NamedDependency[RunService], flower_run_id: FromPath[str], data: JSONBody[RunReport]
    ) -> None:
        await runs.report(flower_run_id, data)

    @put("/artifacts/{sha256:str}", status_code=204, request_max_body_size=ARTIFACT_LIMIT)
    async def store_artifact(
        self, artifacts: NamedDependency[Artifacts], request: Request[Any, Any, Any], sha256: FromPath[str]
    ) -> None:
        """Straight to the disk; refused, and nothing kept, when it is not what its name says."""
        await artifacts.put_stream(sha256, request.stream())
