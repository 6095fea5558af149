"""`Retry-After` is read as seconds and as a date, and never believed beyond an hour."""

import time
from email.message import Message
from email.utils import formatdate

import httpx
import pytest

from flip_runtime.patience import MOST, retry_after

NOW = 1_800_000_000
"""By the server's clock, which is not this one's."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("86400", MOST),
        ("inf", MOST),
        ("nan", None),
        ("", None),
        ("soon", None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 10**6, usegmt=True), MOST),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),  # RFC 850's form, as old proxies send
        ("Fri, 99 Foo 2026 25:61:00 GMT", None),
    ],
)
def test_seconds_and_dates_are_both_understood(text: str, seconds: float | None) -> None:
    headers = httpx.Headers({"Retry-After": text, "Date": formatdate(NOW, usegmt=True)})
    assert retry_after(headers) == seconds


def test_it_is_read_from_the_answers_of_both_clients_and_may_be_missing() -> None:
    message = Message()
    assert retry_after(message) is None
    message["retry-after"] = "3"
    assert retry_after(message) == 3.0


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_without_a_clock_of_the_server_this_one_is_used(date: str | None) -> None:
    headers = httpx.Headers(
        {"Retry-After": formatdate(time.time() + 600, usegmt=True)} | ({"Date": date} if date else {})
    )
    assert retry_after(headers) == pytest.approx(600.0, abs=120)
