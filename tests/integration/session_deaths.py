"""Sudden death at an arrow of the session's table: in the test's own `train` process, or of a whole agent at once.

A moment is `before:STEP` or `after:STEP` of writing a message's next step to the disk; nothing is flushed.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.steps import Step

_HOOK = """
import os, sys
if "train" in sys.orig_argv:
    sys.path.append({here!r})
    import session_deaths
    session_deaths.die_at(os.environ["DIES"], session_deaths.whole_agent)
"""


def die_at(moment: str, die: Callable[[], None]) -> None:
    when, step = moment.split(":")
    name = {Step.PULLED: "accept", Step.READY: "make_ready"}.get(Step(step), "advance")
    original = getattr(SessionStore, name)

    def dying(store: SessionStore, *args: Any, **kwargs: Any) -> None:
        meant = name != "advance" or args[1] == step
        if meant and when == "before":
            die()
        original(store, *args, **kwargs)
        if meant:
            die()

    setattr(SessionStore, name, dying)


def alone() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def whole_agent() -> None:
    """`flip-agent run`, whose child this process is, and all that has come of it."""
    train = psutil.Process()
    run = train.parent()
    assert run is not None
    assert "run" in run.cmdline()
    for process in [*(each for each in run.children(recursive=True) if each != train), run, train]:
        process.kill()


def dies(moment: str, folder: Path) -> dict[str, str]:
    """The environment of a `flip-agent run` that dies then with all its children: Python looks for a `sitecustomize`
    when it starts."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_HOOK.format(here=str(Path(__file__).parent)))
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]), "DIES": moment}


def set_clock(ahead: float, folder: Path) -> None:
    """Of this process and of the worker that it starts, for all that reads it by Python: so many seconds wrong."""
    change = f"import time; _now = time.time; time.time = lambda: _now() + {ahead}"
    (folder / "sitecustomize.py").write_text(change)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    exec(change, {})  # noqa: S102
