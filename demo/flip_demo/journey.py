"""The main job from end to end: enrol, train, register, deploy, serve, measure."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from flip_demo import digits
from flip_demo.display import Display
from flip_demo.federation import ADMIN, Federation
from flip_demo.inference import save_sample, served_accuracy
from flip_demo.layout import DEVICES, Layout, Ports
from flip_demo.partition import Split
from flip_hub.devices.schemas import Device
from flip_hub.federation.fab import build_fab
from flip_hub.federation.schemas import Run, RunDetail, RunRequest, RunStatus, Value
from flip_runtime.errors import Rejected, Unavailable

APP = Path(__file__).parents[2] / "examples" / "digits"
MODEL = "digits"
RUN_WITHIN = 900.0
"""Seconds for the whole run; a calm machine of two cores needs about one minute."""
SERVED_WITHIN = 60.0


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last line of `scripts/demo --check`."""

    ok: bool
    rounds: int
    devices: int
    accuracy_global: float
    accuracy_served: list[float]
    setup_seconds: float
    run_seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Journey:
    layout: Layout
    ports: Ports
    seed: int
    rounds: int
    display: Display

    async def travel(self, *, stay: bool, reload: bool) -> Result:
        """Does the whole job; with `stay` it then goes on running until cancelled, reloading the hub if asked to."""
        split = self._give_out_data()
        federation = Federation(self.layout, self.ports)
        async with federation.running(self.display.step):
            devices = await asyncio.to_thread(federation.api.devices)
            self.display.done(f"{len(federation.devices)} devices enrolled: {', '.join(federation.devices)}")
            setup_seconds = time.time() - float(os.environ.get("FLIP_DEMO_STARTED", time.time()))
            started = time.monotonic()
            run, version = await self._train(federation, devices)
            await self._served_everywhere(federation, version)
            served = await self._measure(federation, version, split)
            (chosen,) = [v for v in await asyncio.to_thread(federation.api.versions, MODEL) if v.version == version]
            worst = min(served)
            result = Result(
                ok=worst >= 0.90,
                rounds=run.round,
                devices=len(served),
                accuracy_global=round(chosen.manifest.metrics["accuracy"], 4),
                accuracy_served=[round(accuracy, 4) for accuracy in served],
                setup_seconds=round(setup_seconds, 1),
                run_seconds=round(time.monotonic() - started, 1),
                reason="" if worst >= 0.90 else f"a device serves an accuracy of {worst:.3f}, below 0.90",
            )
            if stay and reload:
                await federation.reload_hub(lambda: self._invite(federation))
            elif stay:
                self._invite(federation)
                await asyncio.Event().wait()
            return result

    def _give_out_data(self) -> Split:
        """Each device gets its own part as a file; the held-back part goes to none of them."""
        split = digits.split(self.seed, len(DEVICES))
        for name, part in zip(DEVICES, split.devices, strict=True):
            np.savez(self.layout.device_data(name), x=part.x, y=part.y)
        save_sample(self.layout.sample, split.held_back.x[:1])
        return split

    async def _train(self, federation: Federation, devices: list[Device]) -> tuple[Run, int]:
        """And the version that is best."""
        fab = await asyncio.to_thread(build_fab, APP)
        app = await asyncio.to_thread(federation.api.upload_app, fab)
        config: dict[str, Value] = {
            "num-server-rounds": self.rounds,
            "min-devices": len(federation.devices),
            "seed": self.seed,
        }
        request = RunRequest(fab_hash=app.fab_hash, config=config)
        run = await asyncio.to_thread(federation.api.start_run, request)
        self.display.step(f"federated run {run.id}: {self.rounds} rounds of FedAvg over {len(devices)} devices")
        detail = await self._follow(federation, run.id, devices)
        if detail.run.status is not RunStatus.FINISHED:
            raise Unavailable(f"run {run.id} {detail.run.status}: {detail.run.reason}", hint="start scripts/demo again")
        version = detail.run.promoted_version
        if version is None:
            hint = f"{detail.run.warning or detail.run.reason}; scripts/demo --fresh forgets what was before"
            raise Rejected(f"run {run.id} promoted no version", hint=hint)
        self.display.done(f"run finished; version {version} is the best and goes to the devices")
        return detail.run, version

    async def _follow(self, federation: Federation, run_id: str, devices: list[Device]) -> RunDetail:
        deadline = time.monotonic() + RUN_WITHIN
        with self.display.run(devices) as shown:
            while time.monotonic() < deadline:
                try:
                    detail = await asyncio.to_thread(federation.api.run, run_id)
                except Unavailable:
                    pass  # the hub or MongoDB is being restarted
                else:
                    shown.update(detail)
                    if detail.run.finished_at is not None:
                        return detail
                await asyncio.sleep(0.3)
        raise Unavailable(f"run {run_id} is not done after {RUN_WITHIN:g} s", hint=self._see_logs())

    async def _served_everywhere(self, federation: Federation, version: int) -> None:
        self.display.step(f"waiting until every device serves {MODEL} {version}")
        deadline = time.monotonic() + SERVED_WITHIN
        while True:
            devices = [d for d in await asyncio.to_thread(federation.api.devices) if d.name in federation.devices]
            missing = {device.name: _why_not(device) for device in devices if not _serves(device, version)}
            if not missing:
                self.display.done(f"{len(devices)} devices downloaded it, checked its hashes and probe, and serve it")
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"not served after {SERVED_WITHIN:g} s: {missing}", hint=self._see_logs())
            await asyncio.sleep(0.2)

    async def _measure(self, federation: Federation, version: int, split: Split) -> list[float]:
        images, labels = split.held_back.x, split.held_back.y
        served: list[float] = []
        for name, url in zip(federation.devices, federation.inference_urls, strict=True):
            accuracy = await asyncio.to_thread(served_accuracy, url, MODEL, version, images, labels)
            self.display.done(f"{name} answers at {url} with accuracy {accuracy:.3f} on {len(images)} held-back images")
            served.append(accuracy)
        return served

    def _see_logs(self) -> str:
        return f"see the logs in {self.layout.root}"

    def _invite(self, federation: Federation) -> None:
        url = federation.inference_urls[0]
        sample = os.path.relpath(self.layout.sample)
        for line in (
            "",
            f"Console     {federation.url}",
            f"Login       {ADMIN}  {self.layout.password.read_text().strip()}",
            f"Inference   curl -s {url}/predict --json @{sample}",
            "",
            f"Try next    kill an agent:  pkill -9 -f 'flip-agent run --config {self.layout.device_config('east')}'",
            "            it comes back within seconds, and a run goes on",
            f"            your own Flower app:  .venv/bin/flip-hub login {federation.url} --username {ADMIN} \\",
            f"                                      --password-file {os.path.relpath(self.layout.password)}",
            "                                  .venv/bin/flip-hub runs start examples/digits --follow",
            "Stop        Ctrl-C; the next scripts/demo finds this registry, --fresh starts anew",
        ):
            self.display.plain(line)


def _serves(device: Device, version: int) -> bool:
    serving = [] if device.reported is None else device.reported.serving
    return any(each.model == MODEL and each.version == version for each in serving)


def _why_not(device: Device) -> str:
    failures = [] if device.reported is None else device.reported.failures
    return failures[-1].reason if failures else f"no word of it ({device.status})"
