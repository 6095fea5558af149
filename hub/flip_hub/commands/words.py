"""What the hub says of a plan's fields and of calls of its API, in the command line's words: pure."""

import re

from flip_runtime.errors import FlipError

_OPTIONS = {
    "filter.tags": "--tag",
    "filter.sites": "--site",
    "folding": "--fold-late",
    "folding.exponent": "--fold-late",
    "start": "--from-model or --from-run",
    "start.model": "--from-model",
    "start.version": "--from-model",
    "start.run_id": "--from-run",
    "start.round": "--from-run",
    "update.codec": "--update",
    "update.share": "--update",
    "options": "--option",
    "privacy.budget": "--epsilon-budget",
    "privacy.clipping_norm": "--clip",
    "privacy.noise_multiplier": "--noise",
    "privacy.clipped_count_stddev": "--count-noise",
    "privacy.metrics": "--privacy-metrics",
    "privacy.mode": "--privacy",
}
"""By field of the plan, where the option is not called like the field."""
_FIELD = re.compile(r"\bplan\.([a-z_]+(?:\.[a-z_]+)*)")
_PREFIXES = {"folding": "--fold-", "secure": "--secure-", "options": "--option "}
_CALL = re.compile(r"GET /api/v1/([a-z-]+)(?:/NAME/[a-z]+)? (?:lists|shows) (?:them|those under way)")
_LISTED = ("runs", "strategies", "datasets", "models", "devices", "rollouts", "alerts")
_SINGLE = {"a noise_multiplier of": "--noise", "a message_epsilon of": "--message-epsilon"}


def in_options(error: FlipError) -> str:
    """The error as a line, with the option's name before the plan's field that is refused; a hint has options alone."""
    message, hint = str(error.args[0]), error.hint
    if (field := _FIELD.match(message)) and (option := option_of(field[1])) not in message:
        message = f"{option}: {message}"
    for single, option in _SINGLE.items():
        message, hint = message.replace(single, option), hint.replace(single, option)
    hint = _CALL.sub(_command, hint.replace("plan.start names it", "--from-run names it"))
    hint = _FIELD.sub(lambda found: option_of(found[1]), hint)
    return f"{message} ({hint})" if hint else message


def option_of(field: str) -> str:
    """Of `flip-hub runs start`; `field` as in `rounds.quorum`."""
    if field in _OPTIONS:
        return _OPTIONS[field]
    part, dot, name = field.partition(".")
    if not dot:
        return f"--{part}"
    option = f"{_PREFIXES.get(part, '--')}{name}"
    return option if part == "options" else option.replace("_", "-")


def _command(found: re.Match[str]) -> str:
    return f"flip-hub {found[1]} list" if found[1] in _LISTED else found[0]
