"""Tokens say whom and what for they are; whoever forges one in any of the usual ways is refused."""

import base64
import time
from typing import Any

import jwt
import msgspec
import pytest

from flip_hub.auth.tokens import Tokens
from flip_hub.problem import Unauthorized
from flip_hub.settings import AuthSection
from flip_wire.fleet import DeviceId

SECRET = b"0" * 64
TOKENS = Tokens(SECRET, AuthSection())
LATER = time.time() + 3600


def _user(tokens: Tokens = TOKENS, *, until: float = LATER) -> str:
    return tokens.for_user("ada", "session-1", until)[0]


def _forged(secret: bytes = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    claims = {"sub": "ada", "sid": "session-1", "aud": "user", "exp": int(LATER)} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm)


def test_a_token_is_read_by_whom_it_was_made_for() -> None:
    assert (TOKENS.user(_user()).sub, TOKENS.user(_user()).sid) == ("ada", "session-1")
    assert TOKENS.refresh(TOKENS.for_refresh("ada", "session-1", 3, LATER)).turn == 3
    assert TOKENS.device(TOKENS.for_device(DeviceId("dev-1")).token).sub == "dev-1"


def test_a_token_for_one_thing_is_good_for_no_other() -> None:
    device, refresh = TOKENS.for_device(DeviceId("dev-1")).token, TOKENS.for_refresh("ada", "session-1", 0, LATER)
    for read, tokens in (
        (TOKENS.user, (device, refresh)),
        (TOKENS.refresh, (device, _user())),
        (TOKENS.device, (_user(), refresh)),
    ):
        for token in tokens:
            with pytest.raises(Unauthorized):
                read(token)


def test_an_expired_token_and_one_of_another_hub_are_refused() -> None:
    with pytest.raises(Unauthorized, match="expired"):
        TOKENS.user(_user(until=time.time() - 5))
    with pytest.raises(Unauthorized, match="not valid"):
        TOKENS.user(_user(Tokens(b"1" * 64, AuthSection())))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "device"},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"sub": None},
        {"sid": None},
        {"sid": 7},
        {"nbf": int(LATER)},
    ],
)
def test_a_token_with_wrong_or_missing_claims_is_refused(changes: dict[str, Any]) -> None:
    assert TOKENS.user(_forged()).sub == "ada"
    with pytest.raises(Unauthorized):
        TOKENS.user(_forged(**changes))


def test_a_token_without_a_signature_or_by_another_algorithm_is_refused() -> None:
    body = _forged().split(".")[1]
    for head in ({"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": "RS256"}):
        unsigned = f"{_part(head)}.{body}."
        with pytest.raises(Unauthorized):
            TOKENS.user(unsigned)
    with pytest.raises(Unauthorized):
        TOKENS.user(_forged(algorithm="HS512"))


@pytest.mark.parametrize("garbage", ["", "a", "a.b.c", "....", "é.ü.ö", "\x00", "a" * 100_000])
def test_garbage_is_refused(garbage: str) -> None:
    with pytest.raises(Unauthorized):
        TOKENS.user(garbage)


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")
