"""Tokens say whom they are for; the throttle counts failures and forgets them in time."""

import pytest

from flip_hub.auth.permissions import Role
from flip_hub.auth.throttle import FAILURES, WINDOW, LoginThrottle
from flip_hub.auth.tokens import Tokens
from flip_hub.problem import TooMany, Unauthorized
from flip_hub.settings import AuthSection
from flip_wire.fleet import DeviceId

SECRET = b"0" * 64
TOKENS = Tokens(SECRET, AuthSection())


def test_a_token_is_read_by_whom_it_was_made_for() -> None:
    assert TOKENS.user(TOKENS.for_user("ada", Role.ADMIN).token).me.username == "ada"
    assert TOKENS.device(TOKENS.for_device(DeviceId("dev-1")).token).sub == "dev-1"


def test_a_device_token_is_no_session_and_a_session_no_device_token() -> None:
    with pytest.raises(Unauthorized):
        TOKENS.user(TOKENS.for_device(DeviceId("dev-1")).token)
    with pytest.raises(Unauthorized):
        TOKENS.device(TOKENS.for_user("ada", Role.ADMIN).token)


def test_expired_and_foreign_tokens_are_refused() -> None:
    expired = Tokens(SECRET, AuthSection(session_lifetime=-5.0)).for_user("ada", Role.ADMIN)
    with pytest.raises(Unauthorized, match="expired"):
        TOKENS.user(expired.token)
    foreign = Tokens(b"1" * 64, AuthSection()).for_user("ada", Role.ADMIN)
    with pytest.raises(Unauthorized, match="not valid"):
        TOKENS.user(foreign.token)


def test_failures_are_forgotten_after_the_window_and_successes_never_count() -> None:
    now = 0.0
    throttle = LoginThrottle(clock=lambda: now)
    for _ in range(FAILURES * 2):
        throttle.begin("10.0.0.1")
        throttle.succeeded("10.0.0.1")
    for _ in range(FAILURES):
        throttle.begin("10.0.0.1")
    with pytest.raises(TooMany) as refused:
        throttle.begin("10.0.0.1")
    assert refused.value.retry_after == WINDOW
    throttle.begin("10.0.0.2")
    now = WINDOW + 1
    throttle.begin("10.0.0.1")
