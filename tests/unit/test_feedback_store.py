"""The sample store: what was accepted is there after a restart, once, and speaks the truth about predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flip_agent.feedback.messages import Feedback
from flip_agent.feedback.page import Asked
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.problems import Refusal
from sample_stores import Clock, Judge, bulk, call, manifest, rows, running

pytestmark = pytest.mark.asyncio

WEATHER = "weather"


async def kept(store: SampleStore, model: str = WEATHER) -> tuple[list[list[float]], list[int]]:
    found = await store.labelled(model, 10_000)
    return (found.inputs["x"].tolist() if found.inputs else [], found.labels.tolist())


async def tell(store: SampleStore, id: str, label: Any) -> int:
    """How many samples it gave."""
    return (await store.give_feedback([Feedback(id=id, label=label)])).samples


async def test_feedback_reaches_a_prediction_that_is_not_on_the_disk_yet_and_outlives_a_restart(folder: Path) -> None:
    judge = Judge()
    async with running(folder, judge) as store:
        store.predictions.answered(call("a", 2))
        store.predictions.answered(call("b", 0))
        answer = await store.give_feedback([Feedback(id="a", label="hot"), Feedback(id="b", label=1)])
        assert (answer.accepted, answer.samples, answer.unknown) == (2, 0, [])
        assert judge.heard == [(WEATHER, 1, True), (WEATHER, 1, False)]
    async with running(folder) as store:
        assert await store.recent_outcomes(WEATHER, 1, 10) == [True, False]
        assert await store.recent_outcomes(WEATHER, 1, 1) == [False]
        assert await store.recent_outcomes(WEATHER, 2, 10) == []
        status = await store.status()
        assert (status.predictions, status.feedback, status.samples) == (2, 2, 0)


async def test_the_same_feedback_again_replaces_and_does_not_count_twice(folder: Path) -> None:
    judge = Judge()
    async with running(folder, judge, log_inputs=True) as store:
        store.predictions.answered(call("a", 2))
        assert await tell(store, "a", "hot") == 1
        assert await tell(store, "a", "hot") == 1
        assert await tell(store, "a", "cold") == 1
        assert await kept(store) == (rows(1).tolist(), [0])
        assert await store.recent_outcomes(WEATHER, 1, 10) == [False]
        assert judge.heard == [(WEATHER, 1, True)]
        assert (await store.status()).feedback == 1
        both = [Feedback(id="a", label=1), Feedback(id="a", label=2)]
        assert (await store.give_feedback(both)).accepted == 1
        assert (await kept(store))[1] == [2]


async def test_feedback_of_a_prediction_with_several_rows_names_each(folder: Path) -> None:
    async with running(folder, log_inputs=True) as store:
        store.predictions.answered(call("a", 0, 1, 2))
        with pytest.raises(Refusal, match="has 3 rows"):
            await tell(store, "a", 1)
        assert await tell(store, "a", ["cold", 2, "hot"]) == 3
        assert await kept(store) == (rows(3).tolist(), [0, 2, 2])
        assert await store.recent_outcomes(WEATHER, 1, 10) == [True, False, True]


@pytest.mark.parametrize("label", ["warm", 3, -1, 1.5, [1, 2], ["cold", "hot"], [[1]]])
async def test_a_label_that_is_none_of_the_model_s_is_refused_and_changes_nothing(folder: Path, label: Any) -> None:
    async with running(folder, log_inputs=True) as store:
        store.predictions.answered(call("good", 0))
        store.predictions.answered(call("a", 0))
        with pytest.raises(Refusal):
            await store.give_feedback([Feedback(id="good", label=0), Feedback(id="a", label=label)])
        assert (await store.status()).samples == 0
        assert await store.recent_outcomes(WEATHER, 1, 10) == []


async def test_unknown_ids_are_named_and_of_one_that_was_given_twice_the_newer_prediction_counts(folder: Path) -> None:
    async with running(folder) as store:
        store.predictions.answered(call("7", 0, of=manifest(version=1)))
        store.predictions.answered(call("7", 0, of=manifest(version=2)))
        answer = await store.give_feedback([Feedback(id="7", label=0), Feedback(id="8", label=0)])
        assert (answer.accepted, answer.unknown) == (1, ["8"])
        assert await store.recent_outcomes(WEATHER, 2, 10) == [True]
        assert await store.recent_outcomes(WEATHER, 1, 10) == []


async def test_a_model_without_classes_takes_numbers_and_is_not_judged(folder: Path) -> None:
    regression, judge = manifest(labels=[]), Judge()
    async with running(folder, judge, log_inputs=True) as store:
        store.predictions.answered(call("a", 0, of=regression))
        with pytest.raises(Refusal, match="no names of classes"):
            await tell(store, "a", "hot")
        assert await tell(store, "a", [0.5, 1, 2.5]) == 1
        assert judge.heard == []
        assert await store.recent_outcomes(WEATHER, 1, 10) == []
        assert (await store.labelled(WEATHER, 10)).labels.size == 0
        await store.add(bulk(rows(2), [[1, 2, 3], [4, 5, 6.5]], regression))
        page = await store.page(Asked(model=WEATHER))
        assert np.frombuffer(page.labels).tolist() == [0.5, 1, 2.5, 1, 2, 3, 4, 5, 6.5]
        with pytest.raises(Refusal):
            bulk(rows(2), [[1, 2, 3], [4, 5]], regression)


async def test_samples_that_were_sent_again_under_their_name_are_there_once(folder: Path) -> None:
    for repeated in (False, True):
        async with running(folder) as store:
            answer = await store.add(bulk(rows(2), ["hot", 0], id="first"))
            assert (answer.samples, answer.repeated) == (2, repeated)
    async with running(folder) as store:
        assert await kept(store) == (rows(2).tolist(), [2, 0])


async def test_of_a_model_whose_inputs_have_changed_the_samples_that_fit_the_newest_are_given(folder: Path) -> None:
    async with running(folder) as store:
        await store.add(bulk(rows(3), [0, 0, 0]))
        await store.add(bulk(rows(2, width=5), [1, 2], manifest(2, width=5)))
        assert await kept(store) == (rows(2, width=5).tolist(), [1, 2])
        assert (await store.status()).samples == 5


async def test_samples_and_predictions_that_are_too_old_go_and_are_counted(folder: Path) -> None:
    clock = Clock()
    async with running(folder, clock=clock, max_age=3600) as store:
        store.predictions.answered(call("a", 0))
        await store.add(bulk(rows(3), [0, 1, 2]))
        clock.now += 1800
        await store.add(bulk(rows(1), [1]))
        clock.now += 1801
        assert (await kept(store))[1] == [1]
        await store.add(bulk(rows(1), [2]))
        status = await store.status()
        assert (status.samples, status.predictions) == (2, 0)
        assert (status.lost.samples_expired, status.lost.predictions_expired) == (3, 1)


async def test_a_full_file_lets_the_oldest_go_stays_in_its_size_and_keeps_room_for_samples(folder: Path) -> None:
    clock, inputs = Clock(), rows(40, width=500)
    wide = manifest(width=500)
    added = 0
    async with running(folder, clock=clock, max_bytes=2**20, predictions=100, log_inputs=True) as store:
        for _ in range(60):
            clock.now += 1
            for number in range(20):
                store.predictions.answered(call(f"{clock.now}-{number}", 0, of=wide))
            await store.add(bulk(inputs, [1] * 40, wide))
            added += 40
        status = await store.status()
        assert (folder / "samples.db").stat().st_size <= 2**20
        assert status.samples > 100
        assert status.predictions >= 20
        assert status.samples + status.lost.samples_displaced == added
        assert status.predictions + status.lost.predictions_displaced == 60 * 20
        everybody = [Feedback(id=f"{clock.now - ago}-{n}", label=0) for ago in range(6) for n in range(20)]
        told = await store.give_feedback(everybody)
        assert told.accepted == told.samples >= 40
        assert (folder / "samples.db").stat().st_size <= 2**20
    async with running(folder, clock=clock, max_bytes=2**20) as store:
        assert (await store.status()).lost.samples_displaced > status.lost.samples_displaced


async def test_samples_for_which_the_file_is_too_small_are_refused(folder: Path) -> None:
    async with running(folder, max_bytes=2**20) as store:
        with pytest.raises(Refusal, match="quarter") as refused:
            await store.add(bulk(rows(100, width=1000), [0] * 100, manifest(width=1000)))
        assert refused.value.status == 507


async def test_at_most_so_many_predictions_a_second_are_kept_those_with_an_id_first(folder: Path) -> None:
    clock = Clock()
    async with running(folder, clock=clock, predictions=3) as store:
        for id in ("", "", "a", "b", "c", "d"):
            store.predictions.answered(call(id, 0))
        answer = await store.give_feedback([Feedback(id=id, label=0) for id in "abcd"])
        assert (answer.accepted, answer.unknown) == (3, ["d"])
        assert ((await store.status()).predictions, store.lost.over_rate) == (3, 3)
        clock.now += 1
        store.predictions.answered(call("e", 0))
        assert (await store.give_feedback([Feedback(id="e", label=0)])).accepted == 1


async def test_predictions_are_not_kept_where_nobody_wants_them_and_none_that_is_too_large(folder: Path) -> None:
    async with running(folder, predictions=0) as store:
        store.predictions.answered(call("a", 0))
        assert (await store.give_feedback([Feedback(id="a", label=0)])).unknown == ["a"]
    async with running(folder) as store:
        store.predictions.answered(call("many", *[0] * 65))
        store.predictions.answered(call("n" * 129, 0))
        assert (await store.give_feedback([Feedback(id="many", label=0)])).unknown == ["many"]
        assert store.lost.too_large == 2
