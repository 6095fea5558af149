"""Each action is done once and told once, wherever the power is cut."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from flip_agent.actions.actions import Actions, Done
from flip_agent.actions.ledger import FILE, ActionLedger
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.actions import Action, ActionId, ActionKind, ActionResult, Outcome
from flip_wire.fleet import DesiredState

NOW = 1000.0


class Cut(BaseException):
    """The power, at a chosen moment: nothing after it happens."""


class Device:
    """The agent's lives over one disk; `cut_at` counts down through writes, actions and reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.told: dict[ActionId, ActionResult] = {}
        self.restarts = 0
        self.cut_at = -1

    def moment(self) -> None:
        self.cut_at -= 1
        if self.cut_at == 0:
            raise Cut

    async def live(self, desired: DesiredState, until: Callable[[], bool]) -> None:
        ledger = _CutLedger(self)
        actions = Actions(
            ledger,
            Watched(desired),
            dict.fromkeys((ActionKind.ROLLBACK, ActionKind.DOCTOR), self._perform),
            restart=self._restart,
            tell=self._tell,
            hub_time=lambda: NOW,
            backoff=Backoff(first=0.001, most=0.001),
        )
        task = asyncio.create_task(actions.run())
        async with asyncio.timeout(10):
            while not (task.done() or until()):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()):
            raise error

    async def _perform(self, action: Action) -> Done:
        self.moment()
        self.done.append(action.id)
        self.moment()
        if action.reason == "refuse":
            raise Rejected("there is no version before", hint="look")
        return Done(text="done")

    async def _tell(self, result: ActionResult) -> None:
        self.moment()
        self.told.setdefault(result.id, result)  # as the outbox: of two with one name the first is kept
        self.moment()

    def _restart(self) -> None:
        self.moment()
        self.restarts += 1


class _CutLedger(ActionLedger):
    def __init__(self, device: Device) -> None:
        super().__init__(device.folder)
        self._device = device

    def _save(self, **changes: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._device.moment()
        super()._save(**changes)  # pyright: ignore[reportArgumentType, reportCallIssue]
        self._device.moment()


def _wanted(kind: str, *, reason: str = "", expires_at: float = NOW + 60) -> DesiredState:
    action = Action(id=ActionId("act-1"), kind=kind, expires_at=expires_at, reason=reason)
    return DesiredState(generation=1, actions=[action])


@pytest.fixture
def device(folder: Path) -> Device:
    return Device(folder)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["rollback", "doctor", "restart", "from the future"])
@pytest.mark.parametrize("cut_at", range(1, 12))
async def test_wherever_the_power_is_cut_an_action_is_told_once_and_a_change_is_made_once(
    device: Device, kind: str, cut_at: int
) -> None:
    device.cut_at = cut_at
    for _ in range(2):  # the hub goes on naming it until it has the result
        seen = device.restarts
        with contextlib.suppress(Cut):
            await device.live(_wanted(kind), until=lambda seen=seen: bool(device.told) or device.restarts > seen)
        device.cut_at = -1
    await device.live(_wanted(kind), until=lambda: bool(device.told))
    assert list(device.told) == ["act-1"]
    if kind == "rollback":
        assert len(device.done) <= 1, "a finished one is never repeated"
    if kind == "restart":
        assert device.restarts <= 1
    before = len(device.done), device.restarts
    await device.live(DesiredState(generation=2), until=lambda: True)
    again = Action(id=ActionId("act-2"), kind="from the future", expires_at=NOW + 60)
    named_again = [*_wanted(kind).actions, again]
    await device.live(DesiredState(generation=3, actions=named_again), until=lambda: ActionId("act-2") in device.told)
    assert (len(device.done), device.restarts) == before, "not even when it is named once more"


@pytest.mark.asyncio
async def test_what_goes_wrong_is_told_as_failed_with_the_reason(device: Device) -> None:
    await device.live(_wanted("rollback", reason="refuse"), until=lambda: bool(device.told))
    (result,) = device.told.values()
    assert (result.outcome, result.exit_status) == (Outcome.FAILED, 1)
    assert "no version before" in result.text


@pytest.mark.asyncio
async def test_an_action_that_came_too_late_is_not_begun(device: Device) -> None:
    await device.live(_wanted("rollback", expires_at=NOW - 1), until=lambda: bool(device.told))
    assert [result.outcome for result in device.told.values()] == [Outcome.EXPIRED]
    assert device.done == []


@pytest.mark.asyncio
async def test_an_agent_says_that_it_does_not_know_an_action(device: Device) -> None:
    await device.live(_wanted("make coffee"), until=lambda: bool(device.told))
    (result,) = device.told.values()
    assert result.outcome is Outcome.FAILED
    assert "update it" in result.text


@pytest.mark.asyncio
async def test_with_a_damaged_record_nothing_is_done_that_may_have_been_done(device: Device) -> None:
    (device.folder / FILE).write_bytes(b"\xff half a record")
    await device.live(_wanted("rollback"), until=lambda: bool(device.told))
    (result,) = device.told.values()
    assert result.outcome is Outcome.FAILED
    assert device.done == []


@pytest.mark.asyncio
async def test_an_unreachable_hub_names_nothing_and_nothing_is_forgotten(device: Device) -> None:
    await device.live(_wanted("rollback"), until=lambda: bool(device.told))
    await device.live(DesiredState(generation=-1), until=lambda: True)
    assert ActionLedger(device.folder).knows(ActionId("act-1"))


@pytest.mark.asyncio
async def test_a_result_waits_for_a_disk_that_is_full(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    full = [True, True]

    async def tell(result: ActionResult) -> None:
        if full:
            full.pop()
            raise Unavailable("the disk is full of alerts")
        device.told[result.id] = result

    monkeypatch.setattr(device, "_tell", tell)
    await device.live(_wanted("rollback"), until=lambda: bool(device.told))
    assert device.done == ["act-1"]
