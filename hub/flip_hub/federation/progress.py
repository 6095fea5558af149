"""How a run's reports add up to what people see of it: pure, and the same for a report that comes twice or late."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from flip_hub.federation.privacy.schemas import PrivacySpent
from flip_hub.federation.schemas import (
    MessagesPushed,
    Phase,
    Released,
    RepliesMissed,
    RepliesTaken,
    ReplyReceived,
    ReplyRefused,
    Round,
    RoundFailure,
    RoundFinished,
    Run,
    RunReport,
    RunStatus,
    StrategyStarted,
    VersionMade,
)
from flip_wire.fleet import DeviceId

Item = TypeVar("Item")

PATIENCE = 20.0
"""Seconds between rounds after which people are told; importing torch and exporting a model take less."""
_LONGEST = 500
"""Characters that are kept of why a device failed: it may say anything."""


def fold(
    run: Run, rounds: Sequence[Round], report: RunReport, *, at: float, devices: Mapping[str, DeviceId]
) -> tuple[Run, Round | None]:
    """The run, and the round that changed, once `report` has come at the time `at`.

    `devices` names the nodes of the report; a node it does not name (no device of ours) is shown as `node-NUMBER`.
    """
    if run.status in (RunStatus.PENDING, RunStatus.RUNNING):
        run = replace(run, status=RunStatus.RUNNING, reason="")
    match report:
        case StrategyStarted():
            run = replace(run, strategy=report.strategy, rounds=report.rounds, wants=report.wants)
            return _with_eta(run, rounds), None
        case MessagesPushed() | ReplyReceived() | ReplyRefused() if report.phase not in set(Phase):
            return run, None  # such as `query`: no part of a round
        case RepliesMissed() | RepliesTaken():
            return run, None  # told to the devices alone
        case Released():
            return replace(run, privacy=_later(run.privacy, report.privacy)), None
        case MessagesPushed():
            asked = [_device(node, devices) for node in report.nodes]
            round = _asked(_round(run, rounds, report.round, at), asked)
        case ReplyReceived():
            device = _device(report.node, devices)
            round = _answered(_round(run, rounds, report.round, at), device, Phase(report.phase), report.error)
        case ReplyRefused():
            device = _device(report.node, devices)
            round = _answered(_round(run, rounds, report.round, at), device, Phase(report.phase), report.reason)
        case RoundFinished():
            round = _round(run, rounds, report.round, at)
            run = replace(run, tries=0) if round.finished_at is None else run  # else a ServerApp says it once more
            round = _finished(round, report, at)
        case VersionMade():
            run = with_warning(run, f"round {report.manifest.round}: {report.warning}" if report.warning else "")
            round = _round(run, rounds, report.manifest.round, at)
    run = replace(run, round=max(run.round, round.round))
    return _with_eta(run, [*(other for other in rounds if other.round != round.round), round]), round


def with_warning(run: Run, warning: str) -> Run:
    """Said once, beside what was said before."""
    if not warning or warning in run.warning:
        return run
    return replace(run, warning=f"{run.warning}; {warning}" if run.warning else warning)


def pause(run: Run, rounds: Sequence[Round], now: float) -> float:
    """Seconds since a round should have begun; 0 while one is under way."""
    if any(round.finished_at is None for round in rounds if round.round == run.round):
        return 0.0
    return max(0.0, now - max([run.started_at, *(round.finished_at or 0.0 for round in rounds)]))


def _later(known: PrivacySpent | None, told: PrivacySpent) -> PrivacySpent:
    """What is spent never becomes less."""
    return told if known is None or told.epsilon >= known.epsilon else known


def _round(run: Run, rounds: Sequence[Round], number: int, at: float) -> Round:
    for round in rounds:
        if round.round == number:
            return round
    return Round(
        run_id=run.id,
        round=number,
        started_at=at,
        finished_at=None,
        sampled=[],
        answered=[],
        failures=[],
        train_metrics={},
        evaluate_metrics={},
        version=None,
    )


def _asked(round: Round, devices: Sequence[DeviceId]) -> Round:
    return replace(round, sampled=_union(round.sampled, devices))


def _answered(round: Round, device: DeviceId, phase: Phase, error: str) -> Round:
    round = _asked(round, [device])
    if not error:
        return replace(round, answered=_union(round.answered, [device]))
    failure = RoundFailure(device_id=device, phase=phase, reason=error[:_LONGEST])
    others = [each for each in round.failures if (each.device_id, each.phase) != (device, phase)]
    return replace(round, failures=[*others, failure])  # the newest: without rounds a device may fail again and again


def _finished(round: Round, report: RoundFinished, at: float) -> Round:
    return replace(
        round,
        finished_at=at if round.finished_at is None else round.finished_at,
        train_metrics=round.train_metrics | _finite(report.train_metrics),
        evaluate_metrics=round.evaluate_metrics | _finite(report.evaluate_metrics),
        void=report.void,
    )


def _with_eta(run: Run, rounds: Sequence[Round]) -> Run:
    """From the mean time between the end of one round and the end of the next."""
    done = [round for round in rounds if round.round > 0 and round.finished_at is not None]
    if run.status is not RunStatus.RUNNING or run.rounds is None or not done:
        return replace(run, eta=None)
    began = min(round.started_at for round in done)
    ended = max(round.finished_at or 0.0 for round in done)
    left = max(0, run.rounds - max(round.round for round in done))
    return replace(run, eta=(ended - began) / len(done) * left)


def _device(node: str, devices: Mapping[str, DeviceId]) -> DeviceId:
    return devices.get(node, DeviceId(f"node-{node}"))


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """A diverged loss is no number that JSON could carry to the console."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _union(known: Sequence[Item], new: Sequence[Item]) -> list[Item]:
    return [*known, *(item for item in new if item not in known)]
