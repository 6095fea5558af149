"""Requests of every kind that the API's description allows, and many that it does not (schemathesis), as some role."""

import asyncio
import sys
from pathlib import Path

import httpx

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_LEFT_OUT = r"/auth/(logout-everywhere|password|sessions/)|^PATCH /api/v1/uploads/"
"""What ends the session that asks: all that came after would be refused, and prove nothing. And the parts of uploads,
whose media type schemathesis cannot write (`test_uploads`)."""


async def failures_of_any_requests(
    url: str, headers: dict[str, str], *, examples: int, seconds: int, folder: Path, only: str = "", without: str = ""
) -> str:
    """What was found wrong; empty when nothing.

    `examples` of each call; of those alone whose names (`GET /api/v1/users`) match `only` and do not match `without`.
    """
    left_out = f"{_LEFT_OUT}|{without}" if without else _LEFT_OUT
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/api/docs/openapi.json"),
        *("--header", f"Authorization: {headers['Authorization']}"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)),
        *("--max-time", str(seconds), "--generation-deterministic", "--no-shrink"),
        *("--include-name-regex", only or ".", "--exclude-name-regex", left_out),
        *("--warnings", "off", "--no-color", "--continue-on-failure"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        return said.decode()
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        still = await http.get("/api/v1/auth/me")
    return "" if still.is_success else f"the session ended while it was asking: {still.text}"
