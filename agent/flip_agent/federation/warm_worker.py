"""The worker of the run that is on: warm from one message to the next, gone when another run begins."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from flip_agent.federation.app_store import App, AppStore
from flip_agent.federation.flower import Item, Run
from flip_agent.federation.frames import Answered, Call, Failed, Sign
from flip_wire.statements import Signed


class AppWorker(Protocol):
    """As `worker.Worker`."""

    app: App
    held: float

    async def call(
        self,
        call: Call,
        objects: AsyncIterator[Item],
        keep: Callable[[Item], Awaitable[None]],
        sign: Callable[[Sign], Awaitable[Signed]] | None = None,
    ) -> Answered | Failed: ...
    def pause(self) -> None: ...
    def resume(self) -> bool: ...
    async def stop(self) -> None: ...


class WarmWorker:
    def __init__(self, apps: AppStore, make: Callable[[App], AppWorker]) -> None:
        self._apps = apps
        self._make = make
        self._worker: AppWorker | None = None
        self._run_id = ""

    async def of(self, run: Run) -> AppWorker:
        """Raises `Rejected` when the run's app cannot be read."""
        if self._worker is None or self._run_id != run.run_id:
            await self.dismiss()
            self._worker = self._make(self._apps.app(run.fab_hash))
            self._run_id = run.run_id
        return self._worker

    @property
    def held(self) -> float:
        """Seconds that its last call was paused."""
        return 0.0 if self._worker is None else self._worker.held

    async def dismiss(self) -> None:
        """The run is over, or the session is."""
        if self._worker is not None:
            await self._worker.stop()
            self._worker = None
