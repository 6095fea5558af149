"""How each kind of action is done; what takes memory is another process's work."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import zstandard

from flip_agent.actions.actions import Done, Perform
from flip_agent.models.rollback import Rollbacks
from flip_runtime.captured import captured
from flip_runtime.errors import Unavailable
from flip_wire.actions import MOST_LOG, MOST_TEXT, Action, ActionKind

_DOCTOR_WITHIN = 180.0
_LOGS_WITHIN = 120.0
"""Seconds."""


def performers(state: Path, config: Path | None, rollbacks: Rollbacks) -> Mapping[str, Perform]:
    async def roll_back(action: Action) -> Done:
        by = f"asked by the hub: {action.reason}" if action.reason else "asked by the hub"
        done = await rollbacks.by_hand(action.model, by)
        detail = f" ({done.detail})" if done.detail else ""
        return Done(text=f"{done.model} is back at version {done.to_version} from {done.from_version}{detail}")

    async def run_doctor(_: Action) -> Done:
        options = [] if config is None else ["--config", str(config)]
        command = [sys.executable, "-m", "flip_agent", "doctor", *options]
        end = await captured(command, within=_DOCTOR_WITHIN, most=MOST_LOG)
        text = end.out.decode(errors="replace").strip()
        whole = zstandard.ZstdCompressor().compress(end.out) if len(text) > MOST_TEXT else b""
        return Done(text=text or end.complaint, exit_status=end.status, log=whole)

    async def collect_logs(_: Action) -> Done:
        command = [sys.executable, "-m", "flip_agent.actions.logs", str(state), *_own_log()]
        end = await captured(command, within=_LOGS_WITHIN, most=MOST_LOG)
        if end.status != 0:
            raise Unavailable(f"the logs could not be collected: {end.complaint}")
        return Done(text=f"{len(end.out)} bytes of logs", log=end.out)

    return {
        ActionKind.ROLLBACK: roll_back,
        ActionKind.DOCTOR: run_doctor,
        ActionKind.COLLECT_LOGS: collect_logs,
    }


def _own_log() -> list[str]:
    """Where somebody keeps what this process says in a file."""
    try:
        path = os.readlink("/proc/self/fd/2")
    except OSError:
        return []
    return [path] if Path(path).is_file() else []
