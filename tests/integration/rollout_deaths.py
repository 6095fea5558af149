"""Sudden death of a `flip-agent run` at a step of a rollout or a rollback; nothing is flushed, nobody is told.

A moment is `before:STEP` or `after:STEP`; `written:BYTES` is one in the middle of a download.
"""

import functools
import inspect
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flip_agent.hub import connection
from flip_agent.inference_peer import InferencePeer
from flip_agent.models import store
from flip_agent.models.refused_file import RefusedFile
from flip_agent.models.store import ModelStore

_HOOK = """
import os, sys
if "run" in sys.orig_argv:
    sys.path.append({here!r})
    import rollout_deaths
    rollout_deaths.die_at(os.environ["DIES"])
"""
_STEPS: dict[str, tuple[type, str]] = {
    "admit": (ModelStore, "admit"),
    "prepare": (InferencePeer, "prepare"),
    "try": (InferencePeer, "try_out"),
    "activate": (InferencePeer, "activate"),
    "refuse": (RefusedFile, "add"),
    "roll_back": (ModelStore, "roll_back"),
    "mark_told": (RefusedFile, "mark_told"),
}


def dies(moment: str, folder: Path) -> dict[str, str]:
    """The environment of a `flip-agent run` that dies then: Python looks for a `sitecustomize` when it starts."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK.format(here=str(Path(__file__).parent)))
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]), "DIES": moment}


def die_at(moment: str) -> None:
    when, what = moment.split(":")
    if when == "written":
        _die_when_written(int(what))
    elif what in ("active", "previous"):
        link = store.replace_link
        store.replace_link = _dying(link, when, lambda path, _: path.name == what)
    else:
        owner, name = _STEPS[what]
        setattr(owner, name, _dying(getattr(owner, name), when, lambda *_: True))


def _die_when_written(size: int) -> None:
    write = connection._write  # pyright: ignore[reportPrivateUsage]

    def dying(file: Any, chunk: bytes) -> None:
        write(file, chunk)
        if file.tell() >= size:
            _die()

    connection._write = dying  # pyright: ignore[reportPrivateUsage]


def _dying(step: Callable[..., Any], when: str, meant: Callable[..., bool]) -> Callable[..., Any]:
    @functools.wraps(step)
    def now(*args: Any, **kwargs: Any) -> Any:
        if when == "before" and meant(*args):
            _die()
        result = step(*args, **kwargs)
        if when == "after" and meant(*args):
            _die()
        return result

    @functools.wraps(step)
    async def later(*args: Any, **kwargs: Any) -> Any:
        if when == "before" and meant(*args):
            _die()
        result = await step(*args, **kwargs)
        if when == "after" and meant(*args):
            _die()
        return result

    return later if inspect.iscoroutinefunction(step) else now


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
