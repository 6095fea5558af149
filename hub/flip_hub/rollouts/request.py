"""A request for a rollout becomes one: rings are checked, and the places that their devices have are drawn. Pure."""

import math
import secrets
from collections.abc import Sequence

from flip_hub.devices.reach import Located, Reach, place
from flip_hub.problem import Unprocessable
from flip_hub.rollouts.schemas import Figures, RingProgress, RingState, Rollout, RolloutStatus, Step, StepKind
from flip_hub.rollouts.terms import MOST_RINGS, Gates, Ring
from flip_runtime.errors import ConfigError
from flip_wire.models import ModelAssignment


def checked_rings(rings: Sequence[Ring]) -> list[Ring]:
    """Raises `Unprocessable` that names the ring."""
    if not 1 <= len(rings) <= MOST_RINGS:
        raise Unprocessable(f"there are {len(rings)} rings", hint=f"1 to {MOST_RINGS}")
    names = [ring.name for ring in rings]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Unprocessable(f"two rings are named {name!r}", hint="give each a name of its own")
    if not rings[-1].everybody:
        hint = "add one without share, tags and sites at the end, such as --ring everybody"
        raise Unprocessable(f"the last ring, {names[-1]!r}, is not everybody", hint=hint)
    for ring in rings[:-1]:
        if ring.everybody:
            raise Unprocessable(f"ring {ring.name!r} is everybody, and is not the last", hint="give it a share or tags")
    return list(rings)


def rings_of(rings: Sequence[Ring]) -> list[Ring]:
    """Of the hub's settings, which may name none. Raises `ConfigError`."""
    try:
        return checked_rings(rings) if rings else []
    except Unprocessable as error:
        raise ConfigError(f"rollouts.rings: {error.args[0]}", hint="correct [rollouts] in hub.toml") from error


def new_rollout(
    wanted: ModelAssignment,
    before: ModelAssignment | None,
    rings: Sequence[Ring],
    gates: Gates,
    devices: Sequence[Located],
    *,
    by: str,
    run_id: str,
    at: float,
) -> Rollout:
    """With its first ring open; a user has asked for it, or a run has. Raises `Unprocessable` for a ring that no device
    is in."""
    rollout_id = f"rollout-{secrets.token_hex(6)}"
    drawn = [RingProgress(ring=ring, below=_below(rollout_id, ring, devices)) for ring in rings]
    drawn[0] = RingProgress(ring=rings[0], below=drawn[0].below, state=RingState.OPEN, opened_at=at)
    return Rollout(
        id=rollout_id,
        model=wanted.model,
        version=wanted.version,
        before=None if before is None else before.version,
        status=RolloutStatus.RUNNING,
        reason="",
        rings=drawn,
        gates=gates,
        checks=[],
        figures=Figures(),
        figures_before=Figures(),
        started_at=at,
        started_by=by or run_id,
        looked_at=None,
        ended_at=None,
        steps=[
            Step(at=at, kind=StepKind.STARTED, by=by, reason=f"the best version of {run_id}" if run_id else ""),
            Step(at=at, kind=StepKind.OPENED, ring=rings[0].name, by=by),
        ],
    )


def _below(rollout_id: str, ring: Ring, devices: Sequence[Located]) -> float:
    """So that exactly the ring's share of the devices that it names lies below, and one at least."""
    reach = Reach(tags=ring.tags, sites=ring.sites)
    places = sorted(place(rollout_id, device.id) for device in devices if reach.names(device))
    if not places:
        asked = [*(f"tag {tag}" for tag in ring.tags), *(f"site {site}" for site in ring.sites)]
        what = f"ring {ring.name!r} is empty: no device is enrolled"
        raise Unprocessable(f"{what} with {' or '.join(asked)}" if asked else what, hint="flip-hub devices list")
    count = max(1, math.ceil(ring.share * len(places)))
    return 1.0 if ring.share == 1 or count >= len(places) else places[count]
