"""A run is started with a strategy by name: the hub lists them, checks what is asked, and says what is wrong."""

import argparse
from pathlib import Path

import msgspec
import pytest
from hub_parts import fab_of, hub_parts

from core_hub import running_core
from flip_hub.apps.schemas import App
from flip_hub.commands.run_plan import add_plan, plan_of
from flip_hub.federation.schemas import Run
from flip_hub.federation.strategy_routes import StrategyController
from flip_hub.federation.strategy_schemas import StrategySchema
from flip_hub_command import flip_hub
from flip_runtime.errors import Rejected
from flip_wire.problem import Problem

pytestmark = pytest.mark.asyncio


async def test_strategies_are_listed_with_their_options(mongo_url: str, folder: Path) -> None:
    async with hub_parts(mongo_url, folder) as hub, hub.http() as http:
        listed = msgspec.json.decode((await http.get("/api/v1/strategies")).content, type=list[StrategySchema])
        assert {"fedavg", "fedadam", "fedbuff", "krum"} <= {each.name for each in listed}
        one = msgspec.json.decode((await http.get("/api/v1/strategies/fedbuff")).content, type=StrategySchema)
        assert one in listed
        assert "buffer_size" in {option.name for option in one.options}
        unknown = await http.get("/api/v1/strategies/fedsgd")
        assert unknown.status_code == 404
        assert "fedsgd" in msgspec.json.decode(unknown.content, type=Problem).detail


async def test_strategies_are_listed_and_shown_by_command(mongo_url: str, folder: Path) -> None:
    async with running_core(folder, mongo_url, beside=lambda *_: ([StrategyController], {})) as hub:

        async def typed(*arguments: str, status: int = 0) -> str:
            ran = await flip_hub(folder, "strategies", *arguments, state=hub.settings.hub.state)
            assert ran.returncode == status, ran.stderr
            return ran.stdout or ran.stderr

        assert "fedbuff        No rounds: a step for every K updates" in await typed("list")
        shown = await typed("show", "fedtrimmedavg")
        assert "FedTrimmedAvg: The mean of each parameter without its extremes (https://arxiv.org/abs/1803" in shown
        assert "memory: collects the updates of a round, and needs 6 times the model's size and 3 times for" in shown
        assert "float >=0 <0.5" in shown
        assert "client_learning_rate  required      float >0" in await typed("show", "qfedavg")
        assert "0 or 1" in await typed("show", "fedxgbcyclic")
        assert "adds updates to a sum as they come" in await typed("show", "fedavg")
        assert msgspec.json.decode(await typed("show", "fedbuff", "--json"), type=StrategySchema).title == "FedBuff"
        assert "no strategy 'fedsgd' (flip-hub strategies list)" in await typed("show", "fedsgd", status=1)


async def test_the_command_line_names_a_strategy_and_its_options() -> None:
    parser = argparse.ArgumentParser()
    add_plan(parser)
    line = "--strategy fedadam --option eta=0.1 --option min_train_nodes=3 --option weighted_by_key=rows"
    plan = plan_of(parser.parse_args(line.split()))
    assert (plan.strategy, plan.options) == ("fedadam", {"eta": 0.1, "min_train_nodes": 3, "weighted_by_key": "rows"})
    with pytest.raises(Rejected, match="'eta' is no KEY=VALUE"):
        plan_of(parser.parse_args(["--strategy", "fedadam", "--option", "eta"]))


async def test_a_run_keeps_its_strategy_and_one_that_cannot_be_run_is_refused_with_the_field(
    mongo_url: str, folder: Path
) -> None:
    async with hub_parts(mongo_url, folder) as hub, hub.http() as http:
        await hub.enrol("one", node="1")
        app = msgspec.json.decode((await http.post("/api/v1/apps", content=fab_of())).content, type=App)

        async def start(**plan: object) -> tuple[int, bytes]:
            answer = await http.post("/api/v1/runs", json={"fab_hash": app.fab_hash, "plan": plan})
            return answer.status_code, answer.content

        status, content = await start(strategy="fedadam", options={"eta": 0.5})
        assert status == 201, content
        run = msgspec.json.decode(content, type=Run)
        assert (run.plan.strategy, run.plan.options) == ("fedadam", {"eta": 0.5})
        for plan, field, way_out in (
            ({"strategy": "fedsgd"}, "plan.strategy", "fedadam"),
            ({"options": {"eta": 0.5}}, "plan.options", "plan.strategy"),
            ({"strategy": "fedadam", "options": {"eta": -1}}, "plan.options.eta", "above 0"),
            ({"strategy": "fedadam", "options": {"gamma": 1}}, "plan.options.gamma", "eta"),
            ({"strategy": "qfedavg"}, "plan.options.client_learning_rate", "a number"),
            ({"strategy": "fedbuff", "folding": {}}, "plan.folding", "staleness_exponent"),
            ({"strategy": "fedxgbbagging", "folding": {}}, "plan.folding", "leave out"),
            ({"strategy": "fedbuff", "rounds": {"quorum": 0.5}}, "plan.rounds.quorum", "buffer_size"),
            ({"strategy": "fedbuff", "rounds": {"over_sample": 0.5}}, "plan.rounds.over_sample", "buffer_size"),
        ):
            status, content = await start(**plan)
            problem = msgspec.json.decode(content, type=Problem)
            assert status == 422, content
            assert problem.detail.startswith(f"{field}: ")
            assert way_out in problem.hint
        assert len(hub.control.started) == 1
