"""Begins the agent anew after an orderly end: systemd does so for a service that it started itself; otherwise this
process executes itself, and is known to whoever watches it as the same one.

The unit must have `Restart=always`: the end is a clean one.
"""

import os
import sys
from typing import NoReturn


def others_restart_it() -> bool:
    """systemd names the process that it started (systemd.exec(5)); a shell or another program below it is not that."""
    return os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def begin_anew() -> NoReturn:
    """With the arguments of this process. Nothing of it may be left but what the next life may inherit."""
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  no shell is wanted
