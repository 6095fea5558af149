"""What commands print: lines and tables for people, JSON for programs."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def show(options: argparse.Namespace, values: Any, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table, or `values` with `--json`."""
    if options.json:
        say(as_json(values))
    elif heads:
        lines = [tuple(heads), *(tuple(str(cell) for cell in row) for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        for line in lines:
            say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def when(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
