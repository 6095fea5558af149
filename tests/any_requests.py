"""Requests of every kind that the API's description allows, and many that it does not (schemathesis), as some role."""

import asyncio
import sys
from pathlib import Path

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_OWN_SESSION = r"/auth/(logout|refresh|password|sessions|oidc|set-up)|/uploads"
"""What would end the session of the requests; and uploads, whose parts are no JSON (`test_uploads`)."""


async def failures_of_any_requests(
    url: str, headers: dict[str, str], *, examples: int, seconds: int, folder: Path
) -> str:
    """What was found wrong; empty when nothing. `examples` of each call."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/api/docs/openapi.json"),
        *("--header", f"Authorization: {headers['Authorization']}"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)),
        *("--max-time", str(seconds), "--generation-deterministic", "--no-shrink"),
        *("--exclude-path-regex", _OWN_SESSION, "--warnings", "off", "--no-color", "--continue-on-failure"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
    )
    said, _ = await process.communicate()
    return "" if process.returncode == 0 else said.decode()
