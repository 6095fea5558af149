"""What of a connection's bytes is read as a device's call, and what is left to the server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flip_hub.device_request import LARGEST_BODY, LONGEST_HEAD, DeviceRequest, Unread, read_request

HEAD = b"POST /api/v1/device/telemetry HTTP/1.1\r\nHost: hub:8080\r\nContent-Encoding: zstd\r\n"
BATCH = HEAD + b"Content-Length: 5\r\n\r\nhello"
POLL = b"GET /api/v1/device/desired?after=7&wait=59.5 HTTP/1.1\r\nHost: hub\r\n\r\n"


def test_a_batch_and_a_poll_are_read_as_agents_write_them() -> None:
    batch, poll = read_request(BATCH), read_request(POLL)
    assert isinstance(batch, DeviceRequest)
    assert isinstance(poll, DeviceRequest)
    assert (batch.body, batch.poll, batch.headers[b"content-encoding"]) == (b"hello", None, b"zstd")
    assert (poll.body, poll.poll, poll.headers) == (b"", (7, 59.5), {b"host": b"hub"})


@given(st.integers(min_value=31, max_value=len(BATCH) - 1))
def test_the_beginning_of_one_is_waited_for(length: int) -> None:
    assert read_request(BATCH[:length]) is Unread.PARTIAL


@pytest.mark.parametrize(
    "other",
    [
        BATCH + b"POST",
        POLL + b"x",
        BATCH.replace(b"POST", b"PUT"),
        BATCH.replace(b"1.1", b"1.0"),
        BATCH.replace(b"telemetry ", b"telemetry?x=1 "),
        POLL.replace(b"59.5", b"60.5"),
        POLL.replace(b"after=7&wait=59.5", b"wait=59.5&after=7"),
        POLL.replace(b"Host: hub", b"Content-Length: 2") + b"ab",
        HEAD + b"Content-Length: 05x\r\n\r\nhello",
        HEAD + b"Content-Length: +5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nhost: other\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nX-A: b\nX-C: d\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nX-A: b\r\n folded\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nX-A: b\rc\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nX-A: b\0c\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nX A: b\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\n: b\r\n\r\nhello",
        HEAD + b"Content-Length : 5\r\n\r\nhello",
        HEAD + b"Content-Length: %d\r\n\r\n" % (LARGEST_BODY + 1),
        HEAD + b"X-A: " + b"a" * LONGEST_HEAD,
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
)
def test_whatever_is_not_plain_is_the_server_s_to_read(other: bytes) -> None:
    assert read_request(other) is Unread.OTHER


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=len(BATCH)))
def test_bytes_put_anywhere_never_fail_and_never_lend_a_header_to_another_request(noise: bytes, at: int) -> None:
    found = read_request(BATCH[:at] + noise + BATCH[at:])
    if isinstance(found, DeviceRequest) and noise:
        assert int(found.headers[b"content-length"]) == len(found.body)
        assert not any(b"\n" in value or b"\r" in value for value in found.headers.values())
