"""What becomes of a rollout: each function gives the one that follows. Pure.

A look at the devices opens one ring at most. Nothing leads out of `rolled back`, and out of `done` only a rollback.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from flip_hub.problem import Conflict
from flip_hub.rollouts.gates import Evidence, checks
from flip_hub.rollouts.schemas import (
    Check,
    DeviceCounts,
    Figures,
    RingProgress,
    RingState,
    Rollout,
    RolloutStatus,
    Step,
    StepKind,
    Verdict,
)
from flip_hub.rollouts.sightings import Seen

_STEPS = 100
_NOTHING_BEFORE = "there is no version before: devices that have it go on serving it"


def looked(rollout: Rollout, seen: Seen, clock: float) -> Rollout:
    """After a look at the devices."""
    before = _beside(rollout, seen)
    said = checks(rollout.gates, Evidence(ring=seen.counts[-1], all=_sum(seen.counts), now=seen.now, before=before))
    rings = [replace(ring, counts=count) for ring, count in zip(rollout.rings, seen.counts, strict=False)]
    rings += rollout.rings[len(rings) :]
    after = replace(rollout, rings=rings, checks=said, figures=seen.now, figures_before=before)
    return _judged(after if after == rollout else replace(after, looked_at=clock), clock)


def told_in(rings: list[RingProgress], generation: int) -> list[RingProgress]:
    """The open ones are wanted of the fleet since that generation, unless they were before."""
    return [
        replace(ring, generation=generation) if ring.state is RingState.OPEN and ring.generation is None else ring
        for ring in rings
    ]


def halted(rollout: Rollout, by: str, reason: str, at: float) -> Rollout:
    """Raises `Conflict` unless it is running."""
    if rollout.status is not RolloutStatus.RUNNING:
        raise _not_now(rollout, "flip-hub rollouts list shows those under way")
    step = Step(at=at, kind=StepKind.HALTED, by=by, reason=reason)
    return _with(replace(rollout, status=RolloutStatus.HALTED, reason=reason), step)


def resumed(rollout: Rollout, by: str, reason: str, at: float) -> Rollout:
    """Raises `Conflict` unless it is halted."""
    if rollout.status is not RolloutStatus.HALTED:
        raise _not_now(rollout, "only one that was halted is resumed; one that was rolled back is started --again")
    step = Step(at=at, kind=StepKind.RESUMED, by=by, reason=reason)
    return _with(replace(rollout, status=RolloutStatus.RUNNING, reason=""), step)


def rolled_back(rollout: Rollout, by: str, reason: str, at: float) -> Rollout:
    """Raises `Conflict` when it is already, or when it is done and there was no version before."""
    if rollout.status is RolloutStatus.ROLLED_BACK:
        raise _not_now(rollout, "flip-hub rollouts show says why")
    if rollout.status is RolloutStatus.DONE and rollout.before is None:
        raise Conflict(f"{rollout.id} is done, and {_NOTHING_BEFORE}", hint="promote another version")
    step = Step(at=at, kind=StepKind.ROLLED_BACK, by=by, reason=reason)
    ended = replace(rollout, status=RolloutStatus.ROLLED_BACK, reason=reason, ended_at=at)
    return _with(ended, step)


# ---- after a look --------------------------------------------------------------------------------------------------


def _judged(rollout: Rollout, at: float) -> Rollout:
    number = rollout.opened - 1
    ring = rollout.rings[number]
    failed = _those(rollout.checks, Verdict.FAILED)
    if failed:
        why = "; ".join(f"{check.gate}: {check.text}" for check in failed)
        lasting = f"; {_NOTHING_BEFORE}" if rollout.before is None else ""
        stopped = _ring(rollout, number, replace(ring, state=RingState.FAILED, why=why))
        return rolled_back(stopped, "", f"ring {ring.ring.name}: {why}{lasting}", at)
    waiting = _those(rollout.checks, Verdict.WAITING)
    if waiting:
        return _ring(rollout, number, replace(ring, why="; ".join(check.text for check in waiting)))
    since = at if ring.soaking_since is None else ring.soaking_since
    ring = replace(ring, soaking_since=since)
    if ring.counts.devices and at < since + ring.ring.soak:  # a ring of nobody would show nothing
        return _ring(rollout, number, replace(ring, why=f"it is watched for {ring.ring.soak:g} s"))
    if rollout.status is RolloutStatus.HALTED:
        return _ring(rollout, number, replace(ring, why="all gates are passed, and the rollout is halted"))
    return _passed(_ring(rollout, number, replace(ring, state=RingState.PASSED, why="", passed_at=at)), number, at)


def _passed(rollout: Rollout, number: int, at: float) -> Rollout:
    step = Step(at=at, kind=StepKind.PASSED, ring=rollout.rings[number].ring.name, reason=_unjudged(rollout))
    passed = _with(rollout, step)
    following = number + 1
    if following == len(rollout.rings):
        done = replace(passed, status=RolloutStatus.DONE, ended_at=at)
        return _with(done, Step(at=at, kind=StepKind.DONE))
    ring = replace(rollout.rings[following], state=RingState.OPEN, opened_at=at)
    return _with(_ring(passed, following, ring), Step(at=at, kind=StepKind.OPENED, ring=ring.ring.name))


def _unjudged(rollout: Rollout) -> str:
    """What nobody knows of a version that goes on to more devices; empty where all was judged."""
    unjudged = ", ".join(check.gate for check in rollout.checks if not check.judged)
    figures = f"{rollout.figures.calls} calls, {rollout.figures.judged} feedbacks"
    return f"without evidence of {unjudged}: {figures}" if unjudged else ""


def _those(said: Sequence[Check], verdict: Verdict) -> list[Check]:
    return [check for check in said if check.verdict is verdict]


def _beside(rollout: Rollout, seen: Seen) -> Figures:
    """Of the version before: on the same devices where enough is known of it there, else wherever and whenever most
    was. Calls and feedbacks by themselves."""
    enough = rollout.gates.judged_by
    kept, own, elsewhere = rollout.figures_before, seen.before, seen.elsewhere
    calls = own if own.calls >= enough else max(elsewhere, kept, key=lambda figures: figures.calls)
    feedback = own if own.judged >= enough else max(elsewhere, kept, key=lambda figures: figures.judged)
    return replace(calls, judged=feedback.judged, correct=feedback.correct)


def _sum(counts: Sequence[DeviceCounts]) -> DeviceCounts:
    total = DeviceCounts()
    for each in counts:
        total += each
    return total


def _ring(rollout: Rollout, number: int, ring: RingProgress) -> Rollout:
    return replace(rollout, rings=[*rollout.rings[:number], ring, *rollout.rings[number + 1 :]])


def _with(rollout: Rollout, step: Step) -> Rollout:
    return replace(rollout, steps=[*rollout.steps, step][-_STEPS:])


def _not_now(rollout: Rollout, hint: str) -> Conflict:
    return Conflict(f"{rollout.id} is {rollout.status}", hint=hint)
