"""One keep-alive HTTP connection to the hub, on a thread of its own.

`http.client` in a thread costs a third of the memory of an asynchronous client. The thread is a daemon: a connection
attempt that hangs never holds up the end of the process.
"""

import asyncio
import contextlib
import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from flip_agent.hub.tls import trusting
from flip_runtime.errors import ConfigError, Corrupt, Unavailable
from flip_runtime.patience import retry_after

T = TypeVar("T")

CONNECT_WITHIN = 10.0
"""Seconds; a hub behind a mobile link answers within two."""
_ANSWER_LIMIT = 4 * 2**20
"""Bytes of an answer that is read into memory."""
_CHUNK = 64 * 2**10
_HEADS = 2**10
"""Bytes that the heads of a request and its answer count for: with a token some 900."""
_HANDSHAKE = 6 * 2**10
"""Of TLS, with the certificates."""


class OwnLimit(Unavailable):
    """The download cannot be stored, or must not come now; the hub has no part in it."""


class Allowance(Protocol):
    """How many bytes may be downloaded; asked and told on the connection's thread."""

    def left(self) -> int | None:
        """None: as many as there are. Raises `OwnLimit` when there are none."""
        ...

    def take(self, count: int) -> None:
        """So many more come now."""
        ...

    def settle(self) -> None:
        """No more come."""
        ...


class Answer(Struct, frozen=True, kw_only=True):
    status: int
    body: bytes = b""
    retry_after: float | None = None
    """Seconds, when the hub asks for patience."""
    hub_time: float | None = None
    """The hub's clock (header `Flip-Time`)."""


class HubConnection:
    """`exchange` and `download` block; `call` runs them on the thread."""

    def __init__(
        self,
        url: str,
        *,
        ca: str | None = None,
        context: ssl.SSLContext | None = None,
        name: str = "hub",
        count: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`ca` (PEM) is what https trusts, and nothing else, unless there is a `context`. `count` hears of the bytes
        that pass, but for the bodies of downloads, on whatever thread. Raises `ConfigError` when the address is
        none."""
        self._http, self._prefix = _open(url, ca, context)
        self._url = url
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._interrupted = False
        self._name = name
        self._count = count
        self._thread: threading.Thread | None = None

    # ---- blocking ----

    def exchange(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str], within: float = 30.0
    ) -> Answer:
        """Raises `Unavailable` when there is no whole answer `within` seconds of silence."""
        with self._translated():
            response = self._ask(method, path, body, headers, within)
            return self._whole(response)

    def download(
        self,
        path: str,
        into: Path,
        *,
        size: int,
        headers: Mapping[str, str],
        allowance: Allowance,
        within: float = 60.0,
    ) -> Answer:
        """Appends to `into` from its length on (`Range`), up to `size` bytes in all, and no more than is allowed.

        Raises `Unavailable` when it is cut short: what came stays, and the next call goes on there; `Corrupt` when
        more comes than `size`.
        """
        have = into.stat().st_size if into.exists() else 0
        left = allowance.left()
        last = "" if left is None or have + left >= size else str(have + left - 1)
        with self._translated():
            response = self._ask("GET", path, None, {**headers, "Range": f"bytes={have}-{last}"}, within)
            if response.status not in (200, 206):
                return self._whole(response)
            try:
                self._receive(response, into, size, allowance)
            finally:
                allowance.settle()
            if response.length:
                raise Unavailable(f"{self._url}: the download was cut {response.length} bytes before its end")
        if last:
            allowance.left()
            raise Unavailable(f"{self._url} sends less than was asked for")
        return _answer(response, b"")

    def _receive(self, response: http.client.HTTPResponse, into: Path, size: int, allowance: Allowance) -> None:
        with into.open("ab" if response.status == 206 else "wb") as file:
            while chunk := response.read(_CHUNK):
                self._go_on()
                allowance.take(len(chunk))
                if file.tell() + len(chunk) > size:
                    raise Corrupt(f"{into.name} is longer than the {size} bytes that were announced")
                _write(file, chunk)

    def _whole(self, response: http.client.HTTPResponse) -> Answer:
        content = response.read(_ANSWER_LIMIT + 1)
        self._count(len(content))
        if len(content) > _ANSWER_LIMIT:
            raise Unavailable(f"{self._url} answers more than {_ANSWER_LIMIT} bytes")
        if response.length:
            raise Unavailable(f"{self._url}: the answer was cut {response.length} bytes before its end")
        return _answer(response, content)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], within: float
    ) -> http.client.HTTPResponse:
        reused = self._http.sock is not None
        try:
            return self._send(method, path, body, headers, within)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._http.close()
            self._go_on()
            if not reused:
                raise
            # the hub had closed an idle connection: nothing was taken, so it is asked again on a new one
            return self._send(method, path, body, headers, within)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], within: float
    ) -> http.client.HTTPResponse:
        if self._http.sock is None:
            self._http.connect()
            self._count(_HANDSHAKE if isinstance(self._http, http.client.HTTPSConnection) else 0)
        self._go_on()
        self._count(_HEADS + len(body or b""))
        assert self._http.sock is not None
        self._http.sock.settimeout(within)
        self._http.request(method, self._prefix + path, body=body, headers=dict(headers))
        return self._http.getresponse()

    def _go_on(self) -> None:
        if self._interrupted:
            raise Unavailable("the request was given up")

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise Unavailable(f"{self._url}: {_words(error)}", hint="is flip-hub running there?") from error
        except BaseException:
            self._http.close()
            raise

    # ---- on the thread ----

    async def call(self, job: Callable[[], T]) -> T:
        """Runs one blocking job at a time; when cancelled, the job ends soon after, by its closed socket."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put(lambda: _settle(loop, done, job))
        try:
            return await done
        except asyncio.CancelledError:
            self._interrupt()
            raise

    def close(self) -> None:
        if self._thread is None:
            self._http.close()
            return
        self._interrupt()
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            self._interrupted = False
            job()
        self._http.close()

    def _interrupt(self) -> None:
        self._interrupted = True
        if (sock := self._http.sock) is not None:
            with contextlib.suppress(OSError):
                # of the plain socket also under TLS: only the reader may touch the TLS state
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _open(url: str, ca: str | None, context: ssl.SSLContext | None) -> tuple[http.client.HTTPConnection, str]:
    """The connection (not yet made) and the path below which the API lies."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in ("http", "https"):
        raise ConfigError(f"{url!r} is no address of a hub", hint="for example http://hub.example:8000")
    prefix = parts.path.rstrip("/")
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=CONNECT_WITHIN), prefix
    context = context or trusting(ca)
    return http.client.HTTPSConnection(host, port, timeout=CONNECT_WITHIN, context=context), prefix


def _answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    return Answer(
        status=response.status,
        body=body,
        retry_after=retry_after(response.headers),
        hub_time=_number(response.getheader("Flip-Time")),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise OwnLimit(f"cannot store the download: {error.strerror}", hint="make room on the disk") from error


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _settle(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[T]", job: Callable[[], T]) -> None:
    """Runs the job on this thread and hands what it gives or raises to the loop, if that still waits."""
    if done.cancelled():
        return
    try:
        deliver = partial(done.set_result, job())
    except Exception as error:  # whatever it is, it is raised where the job was asked for
        deliver = partial(done.set_exception, error)
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(lambda: None if done.done() else deliver())
