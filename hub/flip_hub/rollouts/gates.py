"""Is a version fit for more devices? Pure decisions over what devices report; who looks, and what follows, is
`watch`'s and `progress`'s.

A gate fails only for what cannot get better by waiting, and never on fewer observations than `judged_by`. As on the
devices themselves (`docs/decisions/21-guard.md`), a version is blamed for what the version before does better.
"""

from collections.abc import Callable

from msgspec import Struct

from flip_hub.rollouts.schemas import Check, DeviceCounts, Figures, Verdict
from flip_hub.rollouts.terms import Gates

QUICK = 0.02
"""Seconds: a middle latency within it is slow for nobody, whatever the version before took."""
PASSED, WAITING, FAILED = Verdict.PASSED, Verdict.WAITING, Verdict.FAILED


class Evidence(Struct, frozen=True, kw_only=True):
    ring: DeviceCounts
    """Of the ring that opened last."""
    all: DeviceCounts
    """Of all open rings."""
    now: Figures = Figures()
    """Of the version, on those devices."""
    before: Figures = Figures()
    """Of the version before."""


def checks(gates: Gates, seen: Evidence) -> list[Check]:
    """One for each gate, in the order in which they are told."""
    return [gate(gates, seen) for gate in _GATES]


def _serving(gates: Gates, seen: Evidence) -> Check:
    needed = max(1, min(gates.serving, seen.all.devices))
    text = f"{_devices_serve(seen.all.serving)} it, {needed} must"
    return Check(gate="serving", verdict=PASSED if seen.all.serving >= needed else WAITING, text=text)


def _settled(gates: Gates, seen: Evidence) -> Check:
    ring = seen.ring
    text = f"{ring.done} of {ring.reachable} devices of the ring that are heard of are done with it"
    if ring.silent:
        text += f", {ring.silent} are silent"
    done = ring.done >= gates.settled * ring.reachable
    return Check(gate="settled", verdict=PASSED if done else WAITING, text=f"{text}; {gates.settled:.0%} must be")


def _refusals(gates: Gates, seen: Evidence) -> Check:
    return _share("refusals", "refused it", seen.all.refused, gates.refusals, seen.all)


def _rollbacks(gates: Gates, seen: Evidence) -> Check:
    return _share("rollbacks", "went back from it", seen.all.rolled_back, gates.rollbacks, seen.all)


def _share(gate: str, what: str, count: int, limit: float, of: DeviceCounts) -> Check:
    """Of all that are heard of it fails; of those that are done with it, it only waits for more of them."""
    text = f"{count} of {of.reachable} devices {what}, at most {limit:.0%} may"
    if count > limit * of.reachable:
        return Check(gate=gate, verdict=FAILED, text=text)
    if count > limit * of.done:
        text = f"{count} of the {of.done} devices that are done with it {what}, at most {limit:.0%} may"
        return Check(gate=gate, verdict=WAITING, text=text)
    return Check(gate=gate, verdict=PASSED, text=text)


def _errors(gates: Gates, seen: Evidence) -> Check:
    now, before = seen.now, seen.before
    beyond = before.error_rate if before.calls >= gates.judged_by else 0.0
    text = f"it could not compute {now.failed} of {now.calls} calls, the version before {before.failed} of "
    text += f"{before.calls}; at most {gates.errors:.1%} more may fail"
    if now.calls < gates.judged_by:
        return _few("errors", "calls", now.calls, gates)
    verdict = FAILED if now.error_rate - beyond > gates.errors else PASSED
    return Check(gate="errors", verdict=verdict, text=text)


def _slowdown(gates: Gates, seen: Evidence) -> Check:
    now, before = seen.now, seen.before
    few = min(now.answered, before.answered)
    if few < gates.judged_by:
        which = "calls of the version before" if before.answered < now.answered else "calls"
        return _few("slowdown", which, few, gates)
    slow = bool(gates.slowdown) and now.median > max(QUICK, gates.slowdown * before.median)
    text = f"its middle answer takes {1000 * now.median:.1f} ms, that of the version before "
    text += f"{1000 * before.median:.1f} ms; "
    text += f"at most {gates.slowdown:g} times as long" if gates.slowdown else "any time will do"
    return Check(gate="slowdown", verdict=FAILED if slow else PASSED, text=text)


def _accuracy(gates: Gates, seen: Evidence) -> Check:
    now, before = seen.now, seen.before
    if now.judged < gates.judged_by:
        return _few("accuracy", "feedbacks", now.judged, gates)
    compared = before.judged >= gates.judged_by
    text = f"{now.correct} of {now.judged} answers were right ({now.accuracy:.3f})"
    if compared:
        text += f", of the version before {before.correct} of {before.judged} ({before.accuracy:.3f})"
    lost = compared and now.accuracy < before.accuracy - gates.accuracy_loss
    low = now.accuracy < gates.accuracy and not (compared and before.accuracy <= now.accuracy)
    text += f"; {gates.accuracy:g} is the least, and {gates.accuracy_loss:g} less than before"
    return Check(gate="accuracy", verdict=FAILED if lost or low else PASSED, text=text)


def _calls(gates: Gates, seen: Evidence) -> Check:
    text = f"{seen.now.calls} calls, {gates.calls} are needed"
    return Check(gate="calls", verdict=PASSED if seen.now.calls >= gates.calls else WAITING, text=text)


def _feedbacks(gates: Gates, seen: Evidence) -> Check:
    text = f"{seen.now.judged} feedbacks, {gates.feedbacks} are needed"
    return Check(gate="feedbacks", verdict=PASSED if seen.now.judged >= gates.feedbacks else WAITING, text=text)


_GATES: tuple[Callable[[Gates, Evidence], Check], ...] = (
    *(_serving, _settled, _refusals, _rollbacks, _errors, _slowdown, _accuracy, _calls, _feedbacks),
)


def _devices_serve(count: int) -> str:
    return "1 device serves" if count == 1 else f"{count} devices serve"


def _few(gate: str, what: str, count: int, gates: Gates) -> Check:
    text = f"not judged: {count} {what}, {gates.judged_by} are needed to judge"
    return Check(gate=gate, verdict=PASSED, text=text, judged=False)
