"""What a lab has found: the same for the same app, faults and seed."""

from collections.abc import Sequence

from msgspec import Struct

from flip_lab.faults import LieKind
from flip_lab.story import RoundStory, Told

_NAMED = 10
"""Refusals, and failures, that are told in words."""


class Liar(Struct, frozen=True, kw_only=True):
    device: str
    told: LieKind
    counted: int
    """Of its results: the strategy has believed them."""
    refused: int


class LabReport(Struct, frozen=True, kw_only=True):
    app: str
    strategy: str
    devices: int
    seed: int
    status: str
    """Of the run."""
    reason: str
    seconds: float
    """Of the lab, until the last device was done."""
    rounds: list[RoundStory]
    bytes_down: int
    bytes_up: int
    """Of the arrays that devices were sent and have sent."""
    finished: int
    """Results that devices have made, of training and of evaluation."""
    accepted: int
    """That the run has."""
    late: int
    """That no round took any more; the hub keeps them."""
    refused: int
    unwanted: int
    """Late evaluations, and whatever else nobody keeps: the device was told so."""
    lost: list[str]
    """Results that neither the run nor the hub nor their device has: `DEVICE INSTRUCTION`."""
    twice: list[str]
    """Instructions that were trained to the end more than once, or counted more than once."""
    failed: int
    """Errors that devices have answered with."""
    power_cuts: int
    cut_off: int
    """Trainings that a power cut has ended; they began anew."""
    outages: int
    """That have cut an upload off; it went on."""
    wrong_clocks: int
    liars: list[Liar]
    refusals: list[Told]
    failures: list[Told]
    model: str
    """SHA-256 of the newest version's weights; empty where none was registered."""


def in_words(report: LabReport, metric: str) -> list[str]:
    """For people: the curve, what came of it all, and why a device was refused that does not lie."""
    heads = ("ROUND", "TIME", "ASKED", "COUNTED", "FOLDED", "MISSED", "REFUSED", "FAILED", metric.upper())
    rows = [_row(each, metric) for each in report.rounds]
    lines = _table([heads, *rows])
    liars = {liar.device for liar in report.liars}
    accepted = f"{report.accepted} accepted, {report.late} kept as late, {report.refused} refused"
    return [
        f"{report.app} with {report.strategy or 'no strategy'} on {report.devices} devices, seed {report.seed}",
        "",
        *lines,
        *(f"round {each.round}: {each.void}" for each in report.rounds if each.void),
        "",
        f"run      {report.status}{f': {report.reason}' if report.reason else ''} after {in_hours(report.seconds)}",
        f"bytes    {_bytes(report.bytes_down)} to devices, {_bytes(report.bytes_up)} from them",
        f"results  {report.finished} finished: {accepted}, {report.unwanted} came too late to be of use",
        f"lost     {len(report.lost) or 'nothing'}; done twice: {len(report.twice) or 'nothing'}",
        f"faults   {report.power_cuts} power cuts ({report.cut_off} in training), {report.outages} uploads cut off,"
        f" {report.wrong_clocks} wrong clocks, {report.failed} errors",
        *(
            f"lies     {liar.device} ({liar.told}): {liar.refused} refused, {liar.counted} counted"
            for liar in report.liars
        ),
        *_reasons("refused", [each for each in report.refusals if each.device not in liars]),
        *_reasons("failed", report.failures),
    ]


def _reasons(what: str, told: Sequence[Told]) -> list[str]:
    lines = [f"{what:8} {each.device} in round {each.round}: {each.reason}" for each in told[:_NAMED]]
    return [*lines, f"{what:8} {len(told) - _NAMED} more: --report names them"] if len(told) > _NAMED else lines


def _row(each: RoundStory, metric: str) -> tuple[str, ...]:
    value = each.metrics.get(metric)
    numbers = (each.asked, each.counted, each.folded, each.missed, each.refused, each.failed)
    shown = "void" if each.void else "" if value is None else f"{value:.4f}"
    return str(each.round), "" if each.ended is None else in_hours(each.ended), *map(str, numbers), shown


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def in_hours(seconds: float) -> str:
    """H:MM:SS."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
