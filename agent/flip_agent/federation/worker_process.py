"""The worker itself: loads one app's ClientApp and runs it on each message the session sends, until the socket closes.

python -m flip_agent.federation.worker_process DESCRIPTOR APP_FOLDER MODULE:ATTRIBUTE
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import BinaryIO

from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from flip_agent.federation.flower import (
    APP_NOT_LOADED,
    APP_RAISED,
    Item,
    context,
    context_state,
    flatten,
    inflate,
    load_client_app,
)
from flip_agent.federation.frames import (
    HEADER,
    Answered,
    Call,
    Failed,
    FromWorker,
    Sign,
    ToSay,
    ToWorker,
    decode_to_worker,
    encode,
    length_of,
)
from flip_agent.federation.mods.chain import Sign as Signer
from flip_agent.federation.mods.chain import chain, mods_of
from flip_runtime.errors import FlipError
from flip_runtime.logs import configure_logs
from flip_wire.models import Sha256
from flip_wire.statements import Signed

log = logging.getLogger(__name__)

Play = Callable[[ClientApp], ClientAppCallable]

_NICE = 5
"""Training yields to inference and to the device's own work."""


def main(descriptor: int, folder: Path, clientapp: str, played: Play = lambda app: app) -> None:
    """`played`: what is called in the place of the app."""
    os.nice(_NICE)
    configure_logs()
    with (
        socket.socket(fileno=descriptor) as session,
        session.makefile("rb") as calls,
        session.makefile("wb") as answers,
    ):
        serve(calls, answers, lambda: played(load_client_app(folder, clientapp)))


def serve(calls: BinaryIO, answers: BinaryIO, load: Callable[[], ClientAppCallable]) -> None:
    """Answers calls until the session is gone."""
    load = cache(load)
    contents: dict[str, bytes] = {}

    def sign(base: Sha256, content: Sha256, samples: float | None) -> Signed:
        answers.write(encode(Sign(base=base, content=content, samples=samples)))
        answers.flush()
        answer = _receive(calls)
        if not isinstance(answer, ToSay):
            raise EOFError("the session is gone")
        return answer.signed

    while (frame := _receive(calls)) is not None:
        if isinstance(frame, Item):
            contents[frame.object_id] = frame.content
            continue
        assert isinstance(frame, Call)
        for answer in _answer(load, frame, contents, sign):
            answers.write(encode(answer))
        answers.flush()
        contents = {}


def _answer(
    load: Callable[[], ClientAppCallable], call: Call, contents: dict[str, bytes], sign: Signer
) -> Iterable[FromWorker]:
    try:
        app = load()
    except Exception as error:  # an app may raise anything: the strategy is told what
        log.exception("ClientApp not loaded")
        return [_failed(APP_NOT_LOADED, error)]
    started = time.monotonic()
    try:
        instruction = inflate(call.message_id, contents)
        around = context(
            run_id=call.run_id,
            node_id=call.node_id,
            node_config=call.node_config,
            run_config=call.run_config,
            state=call.context,
        )
        mods = mods_of(call.terms, sign if call.signs else None, secure_least=call.secure_least)
        reply = chain(app, mods)(instruction, around)
        seconds = time.monotonic() - started
        head, objects = flatten(reply, instruction, seconds)
        after = context_state(around)
    except FlipError as error:
        log.warning("instruction refused", extra={"reason": str(error)})
        return [Failed(code=APP_RAISED, reason=str(error))]
    except Exception as error:  # an app may raise anything: the strategy is told what
        log.exception("ClientApp failed")
        return [_failed(APP_RAISED, error)]
    return _then(objects, Answered(reply=head, context=after, seconds=seconds))


def _then(objects: Iterable[Item], last: Answered) -> Iterable[FromWorker]:
    yield from objects  # made one at a time: a large model is never in memory twice
    yield last


def _failed(code: int, error: Exception) -> Failed:
    return Failed(code=code, reason=f"{type(error).__name__}: {error}")


def _receive(calls: BinaryIO) -> ToWorker | None:
    header = calls.read(HEADER)
    if len(header) < HEADER:
        return None
    length = length_of(header)
    content = calls.read(length)
    return decode_to_worker(content) if len(content) == length else None


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
