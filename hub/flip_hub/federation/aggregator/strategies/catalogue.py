"""Strategies by name: Flower's, and FedBuff. Their options are those of their constructors, whatever version it is.

What a constructor does not say, such as that a share lies between 0 and 1, is said here. How much memory each needs
was measured with updates of 10 MB (`docs/decisions/43-late-updates.md`).
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import flwr.serverapp.strategy as flower
from flwr.serverapp.strategy import FedAvg
from msgspec import Struct

from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.plan import Value
from flip_hub.federation.strategy_schemas import Need, OptionKind, StrategyOption, StrategySchema
from flip_runtime.errors import Rejected

_STREAMED = Need(streams=True, each=0.0, fixed=5.0)
"""The model, and four (`docs/decisions/49-serverapp-memory.md`)."""
_COLLECTED = Need(streams=False, each=6.0, fixed=20.0)
"""Of one that was not measured."""


class _Known(Struct, frozen=True, kw_only=True):
    """What is said here of a strategy."""

    summary: str
    need: Need
    same_shapes: bool = True


def _collects(each: float, fixed: float) -> Need:
    return Need(streams=False, each=each, fixed=fixed)


_KNOWN = {
    "fedavg": _Known(summary="The mean of the updates, weighted by samples", need=_STREAMED),
    "fedbuff": _Known(summary="No rounds: a step for every K updates, stale ones with less weight", need=_STREAMED),
    "fedprox": _Known(summary="FedAvg, and devices are told to stay near the model that they got", need=_STREAMED),
    "fedavgm": _Known(summary="FedAvg with momentum on the hub", need=_collects(2, 8)),
    "fedadagrad": _Known(summary="The mean update is a gradient for Adagrad on the hub", need=_collects(2, 16)),
    "fedadam": _Known(summary="The mean update is a gradient for Adam on the hub", need=_collects(2, 16)),
    "fedyogi": _Known(summary="The mean update is a gradient for Yogi on the hub", need=_collects(2, 16)),
    "qfedavg": _Known(summary="Devices with a large loss count more: none is left behind", need=_collects(1, 9)),
    "fedmedian": _Known(summary="The median of each parameter: a few wrong updates do no harm", need=_collects(3, 6)),
    "fedtrimmedavg": _Known(summary="The mean of each parameter without its extremes", need=_collects(3, 6)),
    "krum": _Known(summary="The one update that lies nearest to the others", need=_collects(4, 6)),
    "multikrum": _Known(summary="The mean of the updates that lie nearest to the others", need=_collects(4, 6)),
    "bulyan": _Known(summary="Krum's choice, then for each parameter what lies about the median", need=_collects(6, 9)),
    "fedxgbbagging": _Known(
        summary="XGBoost: each round adds the trees of all devices", need=_collects(2, 20), same_shapes=False
    ),
    "fedxgbcyclic": _Known(
        summary="XGBoost: one device after the other adds trees", need=_collects(0, 6), same_shapes=False
    ),
}


class Bounds(Struct, frozen=True, kw_only=True):
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: list[float] = []


_SHARE = Bounds(least=0, most=1)
_COUNT = Bounds(least=0, most=1_000_000)
_DECAY = Bounds(least=0, below=1)
_POSITIVE = Bounds(above=0)

_BOUNDS = {
    **dict.fromkeys(("fraction_train", "fraction_evaluate"), _SHARE),
    **dict.fromkeys(("min_train_nodes", "min_evaluate_nodes", "min_available_nodes", "num_malicious_nodes"), _COUNT),
    **dict.fromkeys(("beta_1", "beta_2", "server_momentum"), _DECAY),
    **dict.fromkeys(("eta", "eta_l", "tau", "server_learning_rate", "client_learning_rate"), _POSITIVE),
    **dict.fromkeys(("proximal_mu", "q"), Bounds(least=0)),
    "beta": Bounds(least=0, below=0.5),
    "num_nodes_to_select": Bounds(least=1, most=1_000_000),
    "buffer_size": Bounds(least=1, most=100_000),
    "concurrency": _COUNT,
    "staleness_exponent": Bounds(least=0, most=10),
    "max_staleness": Bounds(least=0, most=1000),
    "patience": Bounds(above=0, most=30 * 86400),
    "evaluate_every": _COUNT,
}
_ALL_OR_NONE = Bounds(choices=[0.0, 1.0])
_OWN_BOUNDS = {
    ("fedxgbcyclic", "fraction_train"): _ALL_OR_NONE,
    ("fedxgbcyclic", "fraction_evaluate"): _ALL_OR_NONE,
}

_WORDS = {
    OptionKind.BOOL: "true or false",
    OptionKind.INT: "a whole number",
    OptionKind.FLOAT: "a number",
    OptionKind.STR: "a text of 1 to 100 characters",
}
_LONGEST_TEXT = 100
_URL = re.compile(r"(?:https?://|openreview\.net)[^\s>]+")
_ENTRY = re.compile(r" {4}(\w+) ?:")


@cache
def catalogue() -> dict[str, StrategySchema]:
    """By name, in the order of the names."""
    return {name: _schema(name, kind) for name, kind in sorted(_classes().items())}


def schema(name: str) -> StrategySchema:
    """Raises `Rejected`."""
    found = catalogue().get(name)
    if found is None:
        raise Rejected(f"plan.strategy: there is no {name[:40]!r}", hint=f"there are: {', '.join(catalogue())}")
    return found


def make(name: str, options: Mapping[str, Value]) -> FedAvg:
    """Raises `Rejected`, which names the option."""
    of_it = {option.name: option for option in schema(name).options}
    for option in options:
        if option not in of_it:
            raise _wrong(name, option, f"{name} has no such option", f"it has: {', '.join(of_it)}")
    for option in of_it.values():
        if option.required and option.name not in options:
            raise _wrong(name, option.name, "it is not given, and has no default", f"it must be {_said(option)}")
    given = {option: _checked(name, of_it[option], value) for option, value in options.items()}
    constructor = cast(Callable[..., FedAvg], _classes()[name])
    try:
        return constructor(**given)
    except ValueError as error:
        raise Rejected(f"plan.options: {name} does not take these: {error}") from error


def _checked(name: str, option: StrategyOption, value: Value) -> Value:
    right = type(value).__name__ == option.kind or (option.kind == OptionKind.FLOAT and type(value) is int)
    if not right or not _in_range(option, value):
        raise _wrong(name, option.name, f"{str(value)[:40]!r} is not possible", f"it must be {_said(option)}")
    return float(value) if option.kind == OptionKind.FLOAT else value


def _in_range(option: StrategyOption, value: Value) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_TEXT
    return (
        math.isfinite(value)
        and (option.least is None or value >= option.least)
        and (option.most is None or value <= option.most)
        and (option.above is None or value > option.above)
        and (option.below is None or value < option.below)
        and (not option.choices or value in option.choices)
    )


def _said(option: StrategyOption) -> str:
    if option.choices:
        return " or ".join(f"{choice:g}" for choice in option.choices)
    limits = (("at least", option.least), ("above", option.above), ("at most", option.most), ("below", option.below))
    said = [f"{word} {limit:g}" for word, limit in limits if limit is not None]
    return f"{_WORDS[option.kind]}{', ' if said else ''}{' and '.join(said)}"


def _wrong(name: str, option: str, reason: str, hint: str) -> Rejected:
    return Rejected(f"plan.options.{option[:40]}: {reason}", hint=f"{hint}; flip-hub strategies show {name}")


@cache
def _classes() -> dict[str, type[FedAvg]]:
    found = [getattr(flower, name) for name in flower.__all__]
    strategies = [each for each in found if inspect.isclass(each) and issubclass(each, FedAvg)]
    return {each.__name__.lower(): each for each in [*strategies, FedBuff]}


def _schema(name: str, kind: type[FedAvg]) -> StrategySchema:
    doc = inspect.getdoc(kind) or ""
    known = _KNOWN.get(name) or _Known(summary=doc.split("\n")[0], need=_COLLECTED)
    url = _URL.search(doc)
    return StrategySchema(
        name=name,
        title=kind.__name__,
        summary=known.summary,
        source="" if url is None else _whole(url.group().rstrip(".")),
        rounds=kind is not FedBuff,
        same_shapes=known.same_shapes,
        need=known.need,
        options=_options(name, kind),
    )


def _options(name: str, kind: type[FedAvg]) -> list[StrategyOption]:
    """Without the callables."""
    texts = _texts(kind)
    found: list[StrategyOption] = []
    for parameter in inspect.signature(kind).parameters.values():
        option_kind = _kind(parameter)
        if option_kind is None:
            continue
        required = parameter.default is inspect.Parameter.empty
        bounds = _OWN_BOUNDS.get((name, parameter.name)) or _BOUNDS.get(parameter.name, Bounds())
        found.append(
            StrategyOption(
                name=parameter.name,
                kind=option_kind,
                text=texts.get(parameter.name, ""),
                required=required,
                default=None if required else parameter.default,
                least=bounds.least,
                most=bounds.most,
                above=bounds.above,
                below=bounds.below,
                choices=bounds.choices,
            )
        )
    return found


def _kind(parameter: inspect.Parameter) -> OptionKind | None:
    annotation: Any = parameter.annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return OptionKind(name) if name in set(OptionKind) else None


def _texts(kind: type[FedAvg]) -> dict[str, str]:
    """From the docstrings of the class and of those it is made from, in NumPy's form."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        name, lines = "", list[str]()
        for line in (each.__doc__ or "").splitlines():
            entry = _ENTRY.match(line)
            if entry is not None or not line.startswith("     "):
                if name and lines:
                    found[name] = " ".join(lines)
                name, lines = ("" if entry is None else entry.group(1)), []
            elif name:
                lines.append(line.strip().replace("`", ""))
        if name and lines:
            found[name] = " ".join(lines)
    return found


def _whole(url: str) -> str:
    return url if url.startswith("http") else f"https://{url}"
