"""`flip-agent models`: what the running daemon keeps of each model, back to the version before, and another try."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from flip_agent.local.ask import ask
from flip_agent.local.messages import (
    KeptModel,
    Models,
    ModelsRequest,
    RefusedVersion,
    Retry,
    RetryDone,
    Rollback,
    RollbackDone,
)
from flip_wire.models import LocalParts

_WITHIN = 90.0
"""Seconds; the version before is verified whole, and `serve` has a minute to take it."""


def ask_models(path: Path) -> list[KeptModel]:
    """Raises `Unavailable` when no daemon answers on the socket; so do the others."""
    return ask(path, ModelsRequest(), Models, within=_WITHIN).models


def ask_rollback(path: Path, model: str, reason: str) -> RollbackDone:
    """Raises `Rejected` when there is nothing to go back to; an empty `model` stands for the only one."""
    return ask(path, Rollback(model=model, reason=reason), RollbackDone, within=_WITHIN)


def ask_retry(path: Path, model: str) -> list[RefusedVersion]:
    """Raises `Rejected` when nothing is refused; an empty `model` stands for all."""
    return ask(path, Retry(model=model), RetryDone).versions


def render_models(models: Sequence[KeptModel]) -> str:
    if not models:
        return "no model yet: one arrives when the hub has promoted it"
    return "\n".join(line for model in models for line in _lines(model))


def render_rollback(done: RollbackDone) -> str:
    text = f"{done.model}: version {done.from_version} -> {done.to_version}"
    return f"{text} ({done.detail})" if done.detail else text


def render_retry(versions: Sequence[RefusedVersion]) -> str:
    return "\n".join(f"{each.model} version {each.version} may be brought again" for each in versions)


def parts_sentence(local: LocalParts) -> str:
    """For people: what answers in the place of a version's local parts."""
    match local.served:
        case "own":
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(local.trained_at))
            return f"this device's own, of round {local.round} of {local.run_id}, trained {when}"
        case "untrained":
            return f"the version's: this device has trained none in {local.run_id}"
        case "refused":
            return f"the version's: {local.reason}"


def _lines(model: KeptModel) -> Iterator[str]:
    shown = {"active": model.active, "previous": model.previous, "wanted": model.wanted}
    told = [f"{name} {'none' if version is None else version}" for name, version in shown.items()]
    yield f"{model.model}  {', '.join(told)}"
    if model.local is not None:
        yield f"  local parts: {parts_sentence(model.local)}"
    for refused in model.refused:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(refused.at))
        yield f"  refused {refused.version} since {when}: {refused.reason}"
