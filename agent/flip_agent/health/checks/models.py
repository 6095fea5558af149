"""What the device serves, against what the hub wants of it."""

from collections.abc import Callable

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import INFERENCE_DOWN, MODEL_STALE, PARTS_REFUSED, ROLLOUT_FAILED
from flip_agent.instances import DEFAULT
from flip_wire.fleet import DesiredState, ReportedState


def inference(missing: Callable[[], list[str]]) -> Check:
    """`missing`: names of the instances that should be there and are not."""

    def look() -> str:
        servers = ["flip-agent serve" if name == DEFAULT else f"flip-agent serve {name}" for name in missing()]
        return f"not connected: {', '.join(servers)}" if servers else ""

    return Check(INFERENCE_DOWN, look)


def rollout(reported: Callable[[], ReportedState]) -> Check:
    def look() -> str:
        failures = reported().failures
        return "; ".join(f"{failure.model} version {failure.version}: {failure.reason}" for failure in failures)

    return Check(ROLLOUT_FAILED, look)


def parts(reported: Callable[[], ReportedState]) -> Check:
    def look() -> str:
        refused = [each for each in reported().serving if each.local is not None and each.local.served == "refused"]
        return "; ".join(f"{each.model} version {each.version}: {each.local.reason}" for each in refused if each.local)

    return Check(PARTS_REFUSED, look)


def freshness(
    desired: Callable[[], DesiredState],
    reported: Callable[[], ReportedState],
    stale_after: Callable[[], float],
    now: Callable[[], float],
) -> Check:
    """`stale_after`: seconds after which also the wanted version counts as old; 0 for never."""

    def look() -> str:
        serving = {model.model: model for model in reported().serving}
        texts = [
            f"{wanted.model} version {wanted.version} is wanted, version {serving[wanted.model].version} is served"
            if wanted.model in serving
            else f"{wanted.model} version {wanted.version} is wanted, none is served"
            for wanted in desired().models
            if wanted.model not in serving or serving[wanted.model].version != wanted.version
        ]
        texts += [
            f"{model.model} version {model.version} has been served for {(now() - model.since) / 86400:.1f} days"
            for model in serving.values()
            if 0 < stale_after() < now() - model.since
        ]
        return "; ".join(texts)

    return Check(MODEL_STALE, look)
