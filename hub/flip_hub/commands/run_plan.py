"""The options of `flip-hub runs start` that say what the engine does around the app: its plan."""

import argparse
from collections.abc import Collection

import msgspec

from flip_hub.commands.parsing import finite, setting
from flip_hub.commands.run_privacy import add_privacy, privacy_of
from flip_hub.commands.run_secure import add_secure, secure_of
from flip_hub.federation.plan import DeviceFilter, Folding, Plan, RoundRules, Start, Update
from flip_runtime.errors import Rejected
from flip_runtime.refused_value import wanted


def add_plan(parser: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """`without`: names of options that the help leaves out, because the command refuses them."""

    def shown(name: str, text: str) -> str:
        return argparse.SUPPRESS if name in without else text

    devices = parser.add_argument_group("which devices take part")
    devices.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help=shown("tag", "those with one of these tags")
    )
    devices.add_argument(
        "--site", action="append", default=[], metavar="SITE", help=shown("site", "those at one of these sites")
    )
    devices.add_argument(
        "--on-mains", action="store_true", help=shown("on_mains", "those that say they are not on battery")
    )
    devices.add_argument(
        "--unmetered", action="store_true", help=shown("unmetered", "those that say their link costs nothing")
    )
    devices.add_argument(
        "--least-samples", type=int, default=0, metavar="N", help="those whose last update stood on as many"
    )
    rounds = parser.add_argument_group("rounds")
    rounds.add_argument(
        "--deadline",
        type=finite,
        default=0.0,
        metavar="SECONDS",
        help="a round ends without the rest (0: when the app says)",
    )
    rounds.add_argument(
        "--quorum", type=finite, default=0.0, metavar="SHARE", help="with fewer results it counts nothing"
    )
    rounds.add_argument("--over-sample", type=finite, default=0.0, metavar="SHARE", help="ask so many devices more")
    rounds.add_argument("--wait", type=finite, default=3600.0, metavar="SECONDS", help="for enough devices, then end")
    rounds.add_argument("--fold-late", type=finite, metavar="A", help="late results join with the weight (1+s)^-A")
    rounds.add_argument("--fold-rounds", type=int, metavar="S", help="with --fold-late: rounds late at most (3)")
    rounds.add_argument("--strategy", default="", metavar="NAME", help="in the place of the app's: flip-hub strategies")
    rounds.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of that strategy")
    model = parser.add_argument_group("the model and its updates")
    model.add_argument(
        "--from-model", metavar="NAME[:VERSION]", help=shown("from_model", "start from that version, or the newest")
    )
    model.add_argument(
        "--from-run", metavar="ID[:ROUND]", help=shown("from_run", "go on from that round of a run that has ended")
    )
    model.add_argument("--update", default="float", metavar="FORM", help="float, int8, int4, or topk[:SHARE] (0.05)")
    model.add_argument(
        "--local", action="append", default=[], metavar="PATTERN", help="arrays that stay on each device"
    )
    model.add_argument(
        "--dataset", default="", metavar="NAME", help=shown("dataset", "that the app's evaluation on the hub reads")
    )
    model.add_argument("--seed", type=int, metavar="N", help="of all that is drawn, such as the devices of a round")
    add_privacy(parser)
    add_secure(parser)


def plan_of(options: argparse.Namespace) -> Plan:
    """Raises `Rejected` that names the option."""
    if options.from_model and options.from_run:
        raise Rejected("--from-model and --from-run are both given", hint="a run starts from one of them")
    start = _from_model(options.from_model) if options.from_model else _from_run(options.from_run)
    if options.fold_rounds is not None and options.fold_late is None:
        raise Rejected("--fold-rounds is of late results, which are not folded", hint="--fold-late 0.5 folds them")
    late = {} if options.fold_rounds is None else {"rounds": options.fold_rounds}
    folding = None if options.fold_late is None else Folding(exponent=options.fold_late, **late)
    rules = RoundRules(
        deadline=options.deadline, quorum=options.quorum, over_sample=options.over_sample, wait=options.wait
    )
    devices = DeviceFilter(
        tags=options.tag,
        sites=options.site,
        on_mains=options.on_mains,
        unmetered=options.unmetered,
        least_samples=options.least_samples,
    )
    return _checked(
        Plan(
            strategy=options.strategy,
            options=dict(setting(text, "--option eta=0.1") for text in options.option),
            filter=devices,
            rounds=rules,
            folding=folding,
            start=start,
            update=_update(options.update),
            local=options.local,
            dataset=options.dataset,
            seed=options.seed,
            privacy=privacy_of(options),
            secure=secure_of(options),
        )
    )


def _checked(plan: Plan) -> Plan:
    """As the hub does. Raises `Rejected` that names the field."""
    try:
        return msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    except msgspec.ValidationError as error:
        field, words = wanted(str(error))
        raise Rejected(f"plan.{field}: it is not possible", hint=words) from error


def _from_model(text: str) -> Start:
    name, colon, version = text.partition(":")
    if not colon:
        return Start(model=name)
    return Start(model=name, version=_number(version, f"--from-model {text} names no version", f"{name}:3"))


def _from_run(text: str | None) -> Start | None:
    if not text:
        return None
    run_id, colon, number = text.partition(":")
    if not colon:
        return Start(run_id=run_id)
    return Start(run_id=run_id, round=_number(number, f"--from-run {text} names no round", f"{run_id}:5"))


def _number(text: str, wrong: str, example: str) -> int:
    """From 1 on: the plan's 0 means the newest, which is asked for by naming none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise Rejected(wrong, hint=f"they count from 1, for example {example}; without one: the newest")
    return int(text)


def _update(text: str) -> Update:
    codec, colon, share = text.partition(":")
    try:
        form = {"codec": codec, "share": float(share)} if colon else {"codec": codec}
        return msgspec.convert(form, Update)
    except (ValueError, msgspec.ValidationError) as error:
        hint = "float, int8, int4, or topk:SHARE, above 0 and at most 1, such as topk:0.05"
        raise Rejected(f"--update {text} is no form of updates", hint=hint) from error
