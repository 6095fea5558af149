"""How a run comes to the SuperLink: the first time, and again when it goes on after a crash or a pause."""

import time
from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from flip_hub.apps.service import AppService
from flip_hub.devices.schemas import DeviceStatus
from flip_hub.devices.service import DeviceService
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.schemas import Run, RunStatus, Value
from flip_hub.federation.standby import Standby
from flip_hub.problem import Conflict
from flip_runtime.errors import Rejected, Unavailable


class Control(Protocol):
    """Flower's side of a run (`RunControl`)."""

    async def reach(self) -> None: ...
    async def start(self, fab: bytes, config: Mapping[str, Value]) -> str: ...
    async def stop(self, flower_run_id: str) -> bool: ...
    async def status(self, flower_run_id: str) -> FlowerStatus | None: ...
    async def log(self, flower_run_id: str) -> str: ...


class RunSubmission:
    def __init__(
        self, book: RunBook, control: Control, apps: AppService, devices: DeviceService, standby: Standby
    ) -> None:
        self._book = book
        self._control = control
        self._apps = apps
        self._devices = devices
        self._standby = standby

    async def begin(self, run: Run) -> Run:
        """Keeps it and submits it. Raises `Refused`, or `Unavailable`."""
        if all(device.status is DeviceStatus.REVOKED for device in await self._devices.list()):
            raise Conflict("no device is enrolled", hint="on a device: flip-agent enrol URL --token T")
        await self._apps.file_to_run(await self._apps.get(run.fab_hash))
        await self._control.reach()  # a run is kept only when it can be submitted
        try:
            return await self._submit(run)
        except (Unavailable, Rejected) as error:
            failed = replace(run, status=RunStatus.FAILED, reason=error.args[0], finished_at=time.time())
            await self._book.save(failed)
            raise

    async def go_on(self, run: Run) -> Run:
        """The same run with another ServerApp, which takes the last checkpoint. Raises `Refused`, or `Unavailable`."""
        await self._control.reach()  # or the try would count
        if run.flower_run_id:
            await self._control.stop(run.flower_run_id)  # or its devices' messages would still be given out
        earlier = [*run.earlier, run.flower_run_id] if run.flower_run_id else run.earlier
        return await self._submit(
            replace(run, status=RunStatus.PENDING, flower_run_id="", earlier=earlier, tries=run.tries + 1)
        )

    async def _submit(self, run: Run) -> Run:
        app = await self._apps.get(run.fab_hash)
        fab = await self._apps.file_to_run(app)
        others = [active for active in await self._book.store.active() if active.id != run.id]
        await self._standby.call(first=not others)
        self._book.submitting.add(run.id)
        try:
            await self._book.save(run)
            overrides = {key: value for key, value in run.config.items() if app.config.get(key) != value}
            run = replace(run, flower_run_id=await self._control.start(fab, overrides))
            await self._book.save(run)
        finally:
            self._book.submitting.discard(run.id)
        await self._book.announce()
        return run
