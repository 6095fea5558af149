"""`flip-hub strategies`: what a run can be started with by name, and the options of each."""

import argparse

from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.federation.strategy_schemas import StrategyOption, StrategySchema


def add_parser(add: AddParser) -> None:
    strategies = add_group(add, "strategies", "how updates become a model: strategies by name")
    add_json(add_command(strategies, "list", list_strategies, "every strategy"))
    add_json(add_command(strategies, "show", show_strategy, "a strategy and its options")).add_argument(
        "name", metavar="NAME"
    )


def list_strategies(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        strategies = hub.strategies()
    show(options, strategies, ("NAME", "WHAT IT DOES"), [(each.name, each.summary) for each in strategies])


def show_strategy(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        strategy = hub.strategy(options.name)
    if not options.json:
        say(f"{strategy.title}: {strategy.summary}{f' ({strategy.source})' if strategy.source else ''}")
        say(f"memory: {_need(strategy)}\n")
    rows = [(each.name, _default(each), _range(each), each.text) for each in strategy.options]
    show(options, strategy, ("OPTION", "DEFAULT", "RANGE", "MEANING"), rows)


def _need(strategy: StrategySchema) -> str:
    need = strategy.need
    if need.streams:
        return f"adds updates to a sum as they come, and needs {need.fixed:g} times the model's size"
    each = f" and {need.each:g} times for each device of a round" if need.each else ""
    return f"collects the updates of a round, and needs {need.fixed:g} times the model's size{each}"


def _default(option: StrategyOption) -> str:
    return "required" if option.required else str(option.default)


def _range(option: StrategyOption) -> str:
    if option.choices:
        return " or ".join(f"{choice:g}" for choice in option.choices)
    limits = ((">=", option.least), (">", option.above), ("<=", option.most), ("<", option.below))
    return " ".join([option.kind.value, *(f"{sign}{limit:g}" for sign, limit in limits if limit is not None)])
