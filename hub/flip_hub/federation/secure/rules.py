"""Which plans can be aggregated securely, and which are refused before they start: pure."""

from flip_hub.federation.plan import Plan
from flip_hub.federation.privacy.on_devices import UNABLE as CANNOT_HIDE
from flip_hub.federation.privacy.on_devices import on_devices
from flip_hub.federation.privacy.rules import MEANS
from flip_hub.federation.privacy.schemas import Local
from flip_hub.federation.secure.schemas import SecureAggregation
from flip_runtime.errors import ConfigError, Rejected
from flip_update.secagg.hub_round import COLLUDING
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.ring import fitting

FIELD = "plan.secure"
CANNOT_KEEP = "it would send what stays on devices (plan.local): its agent is too old, or none of ours"
UNABLE = "it cannot mask its updates: its agent is too old, or none of ours"


def check_secure(plan: Plan) -> None:
    """Raises `Rejected`, which names the field, for a plan whose options need more than the sum of a round."""
    if plan.secure is None:
        return
    parameters_of(plan.secure, length=1)
    for size in {plan.secure.least, plan.secure.most}:
        try:
            fitting(size, plan.secure.dropout, plan.secure.colluding, plan.secure.least)
        except Rejected as error:
            most = "colluding" if plan.secure.colluding > max(COLLUDING, plan.secure.dropout) else "dropout"
            raise Rejected(f"{FIELD}.{most}: {error.args[0]}", hint=error.hint) from error
    if plan.strategy and plan.strategy not in MEANS:
        raise Rejected(
            f"plan.strategy: {plan.strategy[:80]} needs single updates, and secure aggregation gives their mean alone",
            hint=f"these work: {', '.join(MEANS)}",
        )
    if plan.folding is not None:
        raise Rejected(
            "plan.folding: a late contribution has masks that nothing takes off any more",
            hint="leave out the folding, or the secure aggregation",
        )
    if plan.rounds.over_sample:
        raise Rejected(
            "plan.rounds.over_sample: a round of secure aggregation asks the devices that it began with",
            hint=f"{FIELD}.dropout says how many of them may be lost",
        )
    if plan.update.codec != "float":
        raise Rejected(
            f"plan.update.codec: {plan.update.codec} updates cannot be added up under masks",
            hint="masked values have 32 bits each, whatever the codec: leave it out, or the secure aggregation",
        )
    if plan.privacy is not None and not isinstance(plan.privacy, Local):
        raise Rejected(
            f"plan.privacy: in mode {plan.privacy.__struct_config__.tag} the hub looks at single updates",
            hint="mode local works together with secure aggregation",
        )


def parameters_of(secure: SecureAggregation, length: int) -> Parameters:
    """For a model of so many values. Raises `Rejected`, which names the field, when a sum could overflow."""
    try:
        return Parameters.checked(
            devices=secure.most,
            length=length,
            clip=secure.clip,
            max_weight=secure.max_weight,
            bits=secure.bits,
            least=secure.least,
        )
    except ConfigError as error:
        raise Rejected(f"{FIELD}.{error.args[0]}", hint=error.hint) from error


def strangers(plan: Plan) -> str:
    """Why nodes that are no agents of ours take no part; empty when they do."""
    if plan.secure is not None:
        return UNABLE
    if on_devices(plan.privacy) is not None:
        return CANNOT_HIDE
    return CANNOT_KEEP if plan.local else ""
