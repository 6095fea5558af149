"""How each kind of action is done; what takes memory is another process's work."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import zstandard

from flip_agent.actions.actions import Done, Perform
from flip_agent.actions.follow import LogFollower
from flip_agent.models.rollback import Rollbacks
from flip_agent.reported import Reported
from flip_runtime.captured import captured
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.actions import FOLLOWED, MOST_LOG, MOST_TEXT, Action, ActionKind
from flip_wire.fleet import ReportedState, ServingModel

_DOCTOR_WITHIN = 180.0
_LOGS_WITHIN = 120.0
"""Seconds."""
_MOST_ANSWER = 2**20
"""Bytes."""


_TRIAL_WITHIN = 90.0


def performers(
    state: Path, config: Path | None, rollbacks: Rollbacks, reported: Reported, follower: LogFollower
) -> Mapping[str, Perform]:
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
        command = [sys.executable, "-m", "flip_agent.actions.logs", str(state), *own_log()]
        end = await captured(command, within=_LOGS_WITHIN, most=MOST_LOG)
        if end.status != 0:
            raise Unavailable(f"the logs could not be collected: {end.complaint}")
        return Done(text=f"{len(end.out)} bytes of logs", log=end.out)

    async def follow_logs(_: Action) -> Done:
        follower.begin()
        return Done(text=f"its logs come in for {FOLLOWED:.0f} s")

    async def try_model(action: Action) -> Done:
        if not action.input:
            raise Rejected("there is nothing to try the model with")
        served = _served(reported.state.value, action.model)
        url = f"{served.url.rstrip('/')}/v2/models/{served.model}/infer"
        command = [sys.executable, "-m", "flip_agent.actions.trial", url, *([] if config is None else [str(config)])]
        end = await captured(command, within=_TRIAL_WITHIN, most=_MOST_ANSWER, given=action.input.encode())
        text = end.out.decode(errors="replace").strip()
        whole = zstandard.ZstdCompressor().compress(end.out) if len(text) > MOST_TEXT else b""
        return Done(text=text or end.complaint, exit_status=end.status, log=whole)

    return {
        ActionKind.FOLLOW_LOGS: follow_logs,
        ActionKind.TRY: try_model,
        ActionKind.ROLLBACK: roll_back,
        ActionKind.DOCTOR: run_doctor,
        ActionKind.COLLECT_LOGS: collect_logs,
    }


def _served(reported: ReportedState, model: str) -> ServingModel:
    """Raises `Rejected`."""
    serving = {each.model: each for each in reported.serving}
    if not model and len(serving) == 1:
        return next(iter(serving.values()))
    if model not in serving:
        known = ", ".join(serving) or "none"
        raise Rejected(f"this device does not serve {model or 'any model alone'}", hint=f"it serves: {known}")
    return serving[model]


def own_log() -> list[str]:
    """Where somebody keeps what this process says in a file."""
    try:
        path = os.readlink("/proc/self/fd/2")
    except OSError:
        return []
    return [path] if Path(path).is_file() else []
