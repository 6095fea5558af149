"""`scripts/bench NAME [--quick]`: progress on stderr, one JSON line at the end of stdout, status 0 when all is well."""

import argparse
import asyncio
import importlib
import logging
import sys
import tempfile
from collections.abc import Awaitable, Mapping
from pathlib import Path

import msgspec

from bench.report import Verdict, line
from flip_runtime.errors import FlipError

NAMES = (
    "idle",
    "outbox",
    "rounds",
    "bigmodel",
    "serving",
    "swap",
    "ingest",
    "api",
    "live",
    "fleet",
    "gateway",
    "bytes",
    "secagg",
    "aggregate",
    "late",
    "console",
)
ROOT = Path(__file__).parents[1]
WITHIN = 1800.0
"""Seconds after which a bench has failed; `rounds`, the longest, takes some twenty minutes."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="What FLIP costs beside its peers.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="small and short: to see that it works, not to quote")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    bench = importlib.import_module(f"bench.{options.name}")
    try:
        # on this project's own disk, because /tmp is memory on many machines
        with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
            verdicts = asyncio.run(_within(bench.measure(Path(folder), quick=options.quick)))
    except (FlipError, TimeoutError, ExceptionGroup) as error:
        sys.stderr.write(f"bench: {'; '.join(_reasons(error))}\n")
        return 1
    found = line(options.name, verdicts)
    print(msgspec.json.encode(found).decode(), flush=True)
    return 0 if found.passed else 1


def _reasons(error: Exception) -> list[str]:
    if isinstance(error, ExceptionGroup):
        return [reason for each in error.exceptions for reason in _reasons(each)]
    return [str(error) or type(error).__name__]


async def _within(measuring: Awaitable[Mapping[str, Verdict]]) -> Mapping[str, Verdict]:
    async with asyncio.timeout(WITHIN):
        return await measuring


if __name__ == "__main__":
    sys.exit(main())
