"""The client that judges a swap storm is not easily content: it sees an answer that comes from the wrong version."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from bench.checker import Checker
from bench.servers import VERSIONS, Serve, a_row, json_post
from bench.swapper import Swapper
from flip_demo.perceptron import DIGITS, Array, expected

pytestmark = pytest.mark.asyncio

OUTPUTS = {str(version): expected(version, a_row(DIGITS), DIGITS) for version in VERSIONS}


@pytest.fixture
def serve(folder: Path) -> Serve:
    return Serve(folder / "serve", DIGITS)


@pytest_asyncio.fixture
async def swapper(serve: Serve) -> AsyncGenerator[Swapper]:
    """Connected with a server that runs."""
    swapper = Swapper(serve.manifests)
    async with swapper.listening(serve.socket), serve.running():
        await swapper.connected()
        yield swapper


def checker(serve: Serve, folder: Path, swapper: Swapper, outputs: dict[str, Array] = OUTPUTS) -> Checker:
    return Checker(json_post(serve.url, folder, a_row(DIGITS)), swapper, outputs)


async def answers(checker: Checker, more: int) -> None:
    wanted = checker.answers + more
    async with asyncio.timeout(30):
        while checker.answers < wanted:
            await asyncio.sleep(0.01)


async def test_real_swaps_give_nothing_to_complain_of(serve: Serve, swapper: Swapper, folder: Path) -> None:
    content = checker(serve, folder, swapper)
    async with content.asking(2):
        for _ in range(7):
            await swapper.swap()
            await answers(content, 3)
    assert (swapper.done, content.failed, content.wrong) == (7, 0, 0)


async def test_an_answer_of_the_version_before_a_swap_is_wrong_after_it(
    serve: Serve, swapper: Swapper, folder: Path
) -> None:
    misled = checker(serve, folder, swapper)
    swapper.begun = swapper.done = 1  # which the server was never told
    async with misled.asking(1):
        await answers(misled, 3)
    assert misled.wrong == misled.answers


async def test_outputs_of_another_version_than_the_one_that_is_named_are_wrong(
    serve: Serve, swapper: Swapper, folder: Path
) -> None:
    strict = checker(serve, folder, swapper, dict.fromkeys(OUTPUTS, OUTPUTS["2"]))
    async with strict.asking(1):
        await answers(strict, 3)
    assert strict.wrong == strict.answers
