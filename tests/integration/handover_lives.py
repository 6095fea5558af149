"""A session that is killed again and again: its store, its line to `run`, and a producer, each life a real process.

    python handover_lives.py FOLDER SOCKET KEPT

Reads a life a line, `EVENTS KILL_AT WITHIN`: it produces so many events, waits so many seconds until `run` has them,
and ends; or by SIGKILL at that step of the handover (0: never). Answers with the exit status. Lives are forked, so that
one start pays for the imports.
"""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import SessionStore
from flip_wire.telemetry import SessionEvent

STEPS = ("keep", "oldest", "drop", "losses", "declared")


class Fate:
    """Counts the steps; the process ends at one of them."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            self.step()
            result = call(*arguments)
            self.step()
            return result

        return called

    def around_async(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*arguments: Any, **names: Any) -> Any:
            self.step()
            await call(*arguments, **names)
            self.step()

        return called


async def live(folder: Path, socket: Path, kept: int, events: int, kill_at: int, within: float) -> None:
    fate = Fate(kill_at)
    with SessionStore(folder / "session.db", events_kept=kept) as store:
        for step in STEPS:
            setattr(store.events, step, fate.around(getattr(store.events, step)))
        link = RunLink(socket, store)
        client: Any = vars(link)["_client"]
        client.emit = fate.around_async(client.emit)
        async with asyncio.TaskGroup() as group:
            talk = group.create_task(link.run())
            for _ in range(events):
                event = SessionEvent(run_id="run-1", message_id=uuid.uuid4().hex, step="trained")
                await asyncio.to_thread(store.events.keep, event)
                link.written()
            await link.handed_over(within)
            talk.cancel()


def main() -> None:
    folder, socket, kept = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    for line in sys.stdin:
        events, kill_at, within = line.split()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(live(folder, socket, kept, int(events), int(kill_at), float(within)))
                code = 0
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
