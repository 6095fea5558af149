"""Calls from a ServerApp's process to the hub on the same machine, over its Unix socket."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import httpx
import msgspec

from flip_hub.federation.aggregator.versions import Content
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.patience import retry_after

T = TypeVar("T")

BACKOFF = Backoff(first=0.2, most=5.0)
_TIMEOUT = httpx.Timeout(10.0, read=60.0, write=60.0)
_NOT_YET = (404, 408, 425, 429)
"""404: the hub may still be writing down the run that it has just started."""


class HubLine:
    def __init__(self, hub_socket: Path, secret_file: Path) -> None:
        self._socket = hub_socket
        self._client = httpx.Client(
            base_url="http://localhost",
            transport=httpx.HTTPTransport(uds=str(hub_socket)),
            headers={"Authorization": f"Bearer {secret_file.read_text().strip()}"},
            timeout=_TIMEOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, path: str, kind: type[T], *, within: float) -> T:
        """Raises `Unavailable` when there was no answer in that many seconds, `Rejected` when it is refused."""
        try:
            return msgspec.json.decode(self.fetch(path, within=within), type=kind)
        except msgspec.DecodeError as error:
            raise Rejected(f"{path}: the hub's answer is not understood: {error}") from error

    def fetch(self, path: str, *, within: float) -> bytes:
        """Raises as `ask`."""
        until = time.monotonic() + within
        return self.call("GET", path, b"", lambda: until)

    def save(self, path: str, to: Path, *, within: float) -> None:
        """A file that may be large; whole, or not at all. Raises as `ask`."""
        until = time.monotonic() + within
        part = to.with_name(f".{to.name}.part")
        while True:
            try:
                with self._client.stream("GET", path) as answer:
                    if answer.is_error:
                        answer.read()
                    _check(answer)
                    with part.open("wb") as file:
                        for chunk in answer.iter_bytes():
                            file.write(chunk)
                part.replace(to)
                return
            except (httpx.TransportError, Unavailable) as error:
                if time.monotonic() > until:
                    raise Unavailable(f"{path}: {error or type(error).__name__}") from error
                time.sleep(BACKOFF.delay(1))

    def call(
        self,
        method: str,
        path: str,
        content: Content,
        until: Callable[[], float],
        on_first_failure: Callable[[Unavailable], None] = lambda _: None,
    ) -> bytes:
        """Tries until it is accepted or the monotonic clock says `until` (`Unavailable`), or refused (`Rejected`)."""
        failures = 0
        while True:
            try:
                return self._try(method, path, content)
            except Unavailable as error:
                failures += 1
                delay = max(BACKOFF.delay(failures), error.retry_after or 0.0)
                if time.monotonic() + delay > until():
                    raise
                if failures == 1:
                    on_first_failure(error)
                time.sleep(delay)

    def _try(self, method: str, path: str, content: Content) -> bytes:
        if not self._socket.exists():  # httpx would leave the socket open with which it found out
            raise Unavailable(f"there is no {self._socket}: the hub is starting, or has stopped")
        headers = {"Content-Type": "application/json" if method == "POST" else "application/octet-stream"}
        if not isinstance(content, bytes):
            headers["Content-Length"] = str(content.size)
        body = content if isinstance(content, bytes) else content.chunks()
        try:
            answer = self._client.request(method, path, content=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        _check(answer)
        return answer.content


def _check(answer: httpx.Response) -> None:
    if answer.status_code in _NOT_YET or answer.status_code >= 500:
        raise Unavailable(f"HTTP status {answer.status_code}", retry_after=_asked(answer))
    if answer.is_error:
        raise Rejected(f"HTTP status {answer.status_code}: {answer.text[:200]}")


def _asked(answer: httpx.Response) -> float | None:
    seconds = retry_after(answer.headers)
    return None if seconds is None else min(seconds, 10.0)  # a report has a minute in all
