"""Whether a plan fits the devices that may take part, and what people should know of it at its start: pure."""

import math

from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import RunRequest
from flip_runtime.errors import Rejected

UNMEASURED = (
    "no metric is asked of devices: the last version is promoted, unless the app measures its versions on the hub "
    "([tool.flip] evaluate); devices still try it before they serve it"
)
_NEEDED = {"krum": (2, 3), "multikrum": (2, 3), "bulyan": (4, 3)}
"""(a, b): with f wrong devices, a round needs a * f + b. Blanchard et al., NeurIPS 2017 (Krum: 2f + 2 < n); El Mhamdi
et al., ICML 2018 (Bulyan: n >= 4f + 3)."""


def check_fleet(plan: Plan, devices: int) -> None:
    """`devices`: enrolled, and not left out by the plan's tags and sites. Raises `Rejected`, which names the field.

    Nothing is said of a fleet without devices, nor of minima that a strategy waits for: those may still come.
    """
    if not devices:
        return
    if plan.secure is not None and plan.secure.least > devices:
        said = f"{plan.secure.least} devices make a sum, and {_may(devices)}: every round would be void"
        raise Rejected(f"plan.secure.least: {said}", hint="enrol more devices first, or let more take part")
    if plan.privacy is not None and plan.privacy.delta * devices >= 1:
        raise Rejected(
            f"plan.privacy.delta: {plan.privacy.delta:g} is not less than 1/{devices}, and {_may(devices)}",
            hint="one device could be given away whole, and the bound would hold; 1e-05 is usual",
        )
    _check_wrong_devices(plan, devices)


def _check_wrong_devices(plan: Plan, devices: int) -> None:
    wrong = plan.options.get("num_malicious_nodes", 0)
    if plan.strategy not in _NEEDED or not wrong:
        return
    times, more = _NEEDED[plan.strategy]
    needed = times * int(wrong) + more
    share = float(plan.options.get("fraction_train", 1.0))
    asked = max(math.ceil(devices * share), int(plan.options.get("min_train_nodes", 2)))
    if needed > min(asked, devices):
        raise Rejected(
            f"plan.options.num_malicious_nodes: against {wrong} of them {plan.strategy} needs {needed} devices in a "
            f"round, and {_may(devices)}",
            hint=f"{plan.strategy} needs {times} * num_malicious_nodes + {more}",
        )


def unmeasured(request: RunRequest) -> str:
    """What is said of a run whose versions no device measures; empty for others."""
    plan = request.plan
    quiet = plan.secure is not None or (plan.privacy is not None and plan.privacy.metrics == "none")
    return UNMEASURED if quiet and request.promote == "best" else ""


def _may(devices: int) -> str:
    return f"{devices} {'device' if devices == 1 else 'devices'} may take part"
