"""A request for a run, checked against the app, becomes a run: pure."""

import secrets
from collections.abc import Mapping

from flip_hub.apps.schemas import App
from flip_hub.federation.schemas import Run, RunRequest, RunStatus, Value
from flip_hub.problem import Unprocessable

NO_EXPORT = "this app names no [tool.flip] export: its versions are weights only and cannot be served"

ROUNDS = "num-server-rounds"
_INT64 = range(-(2**63), 2**63)
_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def new_run(run_id: str, app: App, request: RunRequest, at: float, by: str = "", traceparent: str = "") -> Run:
    """Not yet submitted. Raises `Unprocessable` that names the field or key."""
    overrides = checked_overrides(app.config, request.config)
    rounds = overrides.get(ROUNDS, 1)
    if isinstance(rounds, int) and rounds < 1:
        raise Unprocessable(f"{ROUNDS} is {rounds}", hint="one is the least")
    if request.promote not in ("best", "none"):
        raise Unprocessable(f"promote is {request.promote[:80]!r}", hint="it must be 'best' or 'none'")
    if not 0 < len(request.metric) <= 100:
        raise Unprocessable("metric must have 1 to 100 characters", hint="for example 'accuracy' or 'loss'")
    return Run(
        id=run_id,
        flower_run_id="",
        app=f"{app.name} {app.version}",
        fab_hash=app.fab_hash,
        status=RunStatus.PENDING,
        reason="",
        config=app.config | overrides,
        promote=request.promote,
        metric=request.metric,
        strategy="",
        rounds=None,
        round=0,
        started_at=at,
        finished_at=None,
        eta=None,
        promoted_version=None,
        warning="" if app.export else NO_EXPORT,
        started_by=by,
        traceparent=traceparent,
        plan=request.plan,
        seed=secrets.randbelow(2**63) if request.plan.seed is None else request.plan.seed,
    )


def planned_rounds(run: Run) -> int | None:
    """None where the app's configuration does not say: its ServerApp will."""
    rounds = run.config.get(ROUNDS)
    return rounds if isinstance(rounds, int) and not isinstance(rounds, bool) else None


def new_run_id() -> str:
    return f"run-{secrets.token_hex(6)}"


def checked_overrides(defaults: Mapping[str, Value], overrides: Mapping[str, Value]) -> dict[str, Value]:
    """Keys that the app has, with values of the same kind; Flower itself looks at neither kind nor size."""
    for key in overrides:
        if key not in defaults:
            known = ", ".join(sorted(defaults)) or "none"
            raise Unprocessable(f"the app has no configuration key {key[:80]!r}", hint=f"it has: {known}")
    return {key: _like(key, defaults[key], value) for key, value in overrides.items()}


def _like(key: str, default: Value, value: Value) -> Value:
    if type(default) is float and type(value) is int:
        return float(value)
    if type(default) is not type(value):
        raise Unprocessable(f"{key} is {value!r}", hint=f"it must be {_KINDS[type(default)]}, such as {default!r}")
    if type(value) is int and value not in _INT64:
        raise Unprocessable(f"{key} needs more than 64 bits")
    return value
