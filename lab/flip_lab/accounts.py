"""What devices say they have made, beside what the hub says has become of it."""

from collections.abc import Sequence

from msgspec import Struct

from flip_hub.contributions.schemas import Contribution
from flip_hub.federation.lab_request import LabRequest
from flip_hub.federation.schemas import Run
from flip_lab.device import VirtualDevice
from flip_lab.report import LabReport, Liar
from flip_lab.story import Story
from flip_wire.contributions import Fate


class LastWord(Struct, frozen=True, kw_only=True):
    """Of the hub, when all is over."""

    run: Run
    contributions: list[Contribution]
    model: str
    """SHA-256 of the newest version's weights."""


class Accounts:
    def __init__(self, request: LabRequest, story: Story, devices: Sequence[VirtualDevice]) -> None:
        self._request = request
        self._story = story
        self._devices = devices

    def report(self, last: LastWord, seconds: float) -> LabReport:
        fates = {each.message_id: each for each in last.contributions}
        finished = [(device, message) for device in self._devices for message in sorted(device.diary.finished)]
        known = [(device, message, fates.get(message)) for device, message in finished]
        diaries = [device.diary for device in self._devices]
        return LabReport(
            app=last.run.app,
            strategy=self._story.strategy,
            devices=len(self._devices),
            seed=self._request.seed,
            status=last.run.status,
            reason=last.run.reason,
            seconds=round(seconds, 3),
            rounds=[self._story.rounds[number] for number in sorted(self._story.rounds)],
            bytes_down=sum(diary.down for diary in diaries),
            bytes_up=sum(diary.up for diary in diaries),
            finished=len(finished),
            accepted=sum(_is(each, Fate.ACCEPTED) for _, _, each in known),
            late=sum(_kept(each) for _, _, each in known),
            refused=sum(_is(each, Fate.REFUSED) for _, _, each in known),
            unwanted=sum(_is(each, Fate.LATE) and not _kept(each) for _, _, each in known),
            lost=[f"{device.name} {message}" for device, message, each in known if each is None or _open(each)],
            twice=self._twice(),
            failed=sum(len(diary.failed) for diary in diaries),
            power_cuts=sum(diary.power_cuts for diary in diaries),
            cut_off=sum(diary.cut_off for diary in diaries),
            outages=sum(diary.outages for diary in diaries),
            wrong_clocks=sum(device.fortune.ahead != 0 for device in self._devices),
            liars=[self._liar(device) for device in self._devices if device.fortune.lies is not None],
            refusals=sorted(self._story.refused, key=lambda told: (told.round, told.device, told.reason)),
            failures=sorted(self._story.failed, key=lambda told: (told.round, told.device, told.reason)),
            model=last.model,
        )

    def _twice(self) -> list[str]:
        again = {message for device in self._devices for message in device.diary.again}
        for messages in self._story.counted.values():
            again |= {message for message in messages if messages.count(message) > 1}
        return sorted(again)

    def _liar(self, device: VirtualDevice) -> Liar:
        assert device.fortune.lies is not None
        return Liar(
            device=device.name,
            told=device.fortune.lies.kind,
            counted=len(self._story.counted.get(device.name, ())),
            refused=sum(told.device == device.name for told in self._story.refused),
        )


def _is(contribution: Contribution | None, fate: Fate) -> bool:
    return contribution is not None and contribution.fate is fate


def _kept(contribution: Contribution | None) -> bool:
    return contribution is not None and contribution.kept_late


def _open(contribution: Contribution) -> bool:
    return contribution.fate is Fate.PENDING and not contribution.kept_late
