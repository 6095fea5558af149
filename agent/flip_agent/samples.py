"""Labelled samples that this device has kept, for ClientApps: from `POST /v1/samples`, and from feedback.

    from flip_agent import samples
    kept = samples.load("digits", newest=5000)
    train(torch.from_numpy(kept.inputs), torch.from_numpy(kept.labels))

They come from `flip-agent serve` over its Unix socket, which is found by itself in a ClientApp that `flip-agent train`
runs, and elsewhere by the agent's settings in the environment. Of a model whose inputs have changed, the samples that
fit the newest one are given.
"""

import http.client
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import numpy as np
from numpy.typing import NDArray

from flip_agent.feedback.form import Array, Form, decode_form, unpack
from flip_agent.feedback.messages import SamplesPage
from flip_agent.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import Unavailable

SOCKETS = "FLIP_SOCKETS"
"""Names the folder of the agent's sockets, where it is set."""

_TIMEOUT = 30.0
"""Seconds for one answer."""
_LOOK_EVERY = 0.2
_START_IT = "start it: flip-agent serve, or flip-agent run, which keeps it running"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Oldest first; `len` is their number. The arrays are your own."""

    inputs: Array | dict[str, Array]
    """One array, or one for each input where the model has several; the first dimension is that of the samples."""
    labels: Array
    """Indices into the model's classes (int64); of a model without classes, numbers (float64)."""
    at: NDArray[np.float64]
    """When the label came, in seconds since 1970."""
    from_feedback: NDArray[np.bool_]
    """Whether feedback to a prediction made it of that prediction's inputs."""

    def __len__(self) -> int:
        return len(self.labels)


def load(
    model: str,
    *,
    newest: int | None = None,
    max_age: float | None = None,
    sockets: Path | None = None,
    patience: float = 10.0,
) -> Samples:
    """All samples of the model, or the `newest` so many, none older than `max_age` seconds; none at all is no error.

    Waits `patience` seconds for a `flip-agent serve` that starts again; then raises `Unavailable`.
    """
    pages = list(_pages(model, newest, max_age, sockets, patience))
    if not pages:
        return Samples(np.empty(0), np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))
    joined = SamplesPage(
        form=pages[0].form,
        inputs=b"".join(page.inputs for page in pages),
        labels=b"".join(page.labels for page in pages),
        at=[at for page in pages for at in page.at],
        from_feedback=[each for page in pages for each in page.from_feedback],
    )
    return _samples(joined)


def batches(
    model: str,
    rows: int = 256,
    *,
    newest: int | None = None,
    max_age: float | None = None,
    sockets: Path | None = None,
    patience: float = 10.0,
) -> Iterator[Samples]:
    """As `load`, at most `rows` at a time: never more than some MiB in memory."""
    for page in _pages(model, newest, max_age, sockets, patience):
        samples = _samples(page)
        for begin in range(0, len(samples), rows):
            yield _slice(samples, slice(begin, begin + rows))


# ---- pages ----


def _pages(
    model: str, newest: int | None, max_age: float | None, sockets: Path | None, patience: float
) -> Iterator[SamplesPage]:
    """Only such that hold samples."""
    folder, until = sockets or _folder(), time.monotonic() + patience
    asked = {name: value for name, value in {"newest": newest, "max_age": max_age}.items() if value is not None}
    path = f"/v1/samples/{quote(model, safe='')}"
    while (holder := _holder(folder, path)) is None:
        if time.monotonic() > until:
            raise Unavailable(f"flip-agent serve does not answer in {folder}", hint=_START_IT)
        time.sleep(_LOOK_EVERY)
    path = f"{path}?{urlencode(asked)}"
    while path:
        page = _get(holder, path)
        if page.at:
            yield page
        path = page.next


def _folder() -> Path:
    if folder := os.environ.get(SOCKETS):
        return Path(folder)
    return load_config(Settings, None).agent.sockets


def _holder(folder: Path, path: str) -> Path | None:
    """The instance with the newest sample of the model, or any when there is no sample; None while one is away that
    may have them."""
    found: dict[Path, float] = {}
    away = False
    for instance in sorted(folder.glob("serve-*.sock")):
        try:
            page = _get(instance, f"{path}?newest=1")
        except Unavailable:
            away = True
        else:
            found[instance] = page.at[0] if page.at else 0.0
    newest = max(found, key=lambda instance: found[instance], default=None)
    return None if newest is None or (away and not found[newest]) else newest


def _get(instance: Path, path: str) -> SamplesPage:
    connection = _Connection(instance)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"flip-agent serve does not answer at {instance}: {error}", hint=_START_IT) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Unavailable(f"flip-agent serve gives no samples: {content[:500].decode(errors='replace')}")
    return msgspec.msgpack.decode(content, type=SamplesPage)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


# ---- arrays ----


def _samples(page: SamplesPage) -> Samples:
    form: Form = decode_form(page.form)
    inputs = {name: array.copy() for name, array in unpack(form.inputs, page.inputs).items()}
    labels = unpack([form.label], page.labels)[form.label.name].copy()
    only = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    return Samples(only, labels, np.array(page.at), np.array(page.from_feedback, np.bool_))


def _slice(samples: Samples, part: slice) -> Samples:
    inputs: Any = samples.inputs
    some = {name: array[part] for name, array in inputs.items()} if isinstance(inputs, dict) else inputs[part]
    return Samples(some, samples.labels[part], samples.at[part], samples.from_feedback[part])
