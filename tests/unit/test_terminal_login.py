"""A command line elsewhere is given a session by whoever confirms its code: once, in time, and nobody else's."""

import pytest

from flip_hub.auth.terminal_login import AT_MOST, LIFETIME, TerminalLogins
from flip_hub.cluster.volatile import Memory
from flip_hub.problem import Forbidden, NotFound, TooMany, Unauthorized

pytestmark = pytest.mark.asyncio


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> TerminalLogins:
    return TerminalLogins(Memory(clock=clock))


async def test_a_confirmed_login_is_given_out_once(logins: TerminalLogins) -> None:
    codes = await logins.begin("10.0.0.7")
    assert await logins.claim(codes.device) == ""
    assert (await logins.shown(codes.user, "ada")).address == "10.0.0.7"
    await logins.decide(codes.user.lower().replace("-", " "), "ada", confirmed=True)
    assert await logins.claim(codes.device) == "ada"
    with pytest.raises(Unauthorized):
        await logins.claim(codes.device)


async def test_a_refused_login_is_told_so(logins: TerminalLogins) -> None:
    codes = await logins.begin("10.0.0.7")
    await logins.decide(codes.user, "ada", confirmed=False)
    with pytest.raises(Forbidden, match="refused"):
        await logins.claim(codes.device)


async def test_a_code_is_decided_once(logins: TerminalLogins) -> None:
    codes = await logins.begin("10.0.0.7")
    await logins.decide(codes.user, "ada", confirmed=True)
    with pytest.raises(NotFound):
        await logins.decide(codes.user, "eve", confirmed=True)
    assert await logins.claim(codes.device) == "ada"


async def test_the_shown_code_alone_fetches_nothing(logins: TerminalLogins) -> None:
    codes = await logins.begin("10.0.0.7")
    await logins.decide(codes.user, "ada", confirmed=True)
    with pytest.raises(Unauthorized):
        await logins.claim(codes.user)


async def test_codes_run_out(logins: TerminalLogins, clock: Clock) -> None:
    codes = await logins.begin("10.0.0.7")
    clock.now += LIFETIME + 1
    with pytest.raises(NotFound):
        await logins.decide(codes.user, "ada", confirmed=True)
    with pytest.raises(Unauthorized, match="run out"):
        await logins.claim(codes.device)


async def test_who_begins_or_tries_too_many_is_slowed_down(logins: TerminalLogins) -> None:
    for _ in range(AT_MOST):
        await logins.begin("10.0.0.7")
        with pytest.raises(NotFound):
            await logins.shown("BCDF-GHJK", "eve")
    with pytest.raises(TooMany):
        await logins.begin("10.0.0.7")
    with pytest.raises(TooMany):
        await logins.shown("BCDF-GHJK", "eve")
    assert (await logins.begin("10.0.0.8")).user
