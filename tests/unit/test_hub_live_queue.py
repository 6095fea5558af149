"""A slow console loses frames and is told so; the others lose nothing."""

import asyncio

import msgspec

from flip_hub.federation.schemas import Round
from flip_hub.live import QUEUE, Frame, Lagged, LiveHub, RoundChanged


def _frame(number: int) -> RoundChanged:
    return RoundChanged(
        data=Round(
            run_id="run-1",
            round=number,
            started_at=0.0,
            finished_at=None,
            sampled=[],
            answered=[],
            failures=[],
            train_metrics={},
            evaluate_metrics={},
            version=None,
        )
    )


def test_a_slow_reader_is_told_that_it_lagged_and_goes_on_from_there() -> None:
    async def read_late() -> list[Frame]:
        live = LiveHub()
        with live.reading() as reader:
            for number in range(QUEUE + 2):
                live.publish(_frame(number))
            return [msgspec.json.decode(await reader.next(), type=Frame) for _ in range(2)]

    assert asyncio.run(read_late()) == [Lagged(), _frame(QUEUE + 1)]
