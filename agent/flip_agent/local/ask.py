"""One question of the command line to `flip-agent run`, and its answer."""

import socket
from pathlib import Path
from typing import TypeVar

import msgspec

from flip_agent.local.messages import (
    LINE_LIMIT,
    Declined,
    FromRun,
    Hello,
    Mend,
    Mended,
    Models,
    ModelsRequest,
    Receipts,
    ReceiptsRequest,
    Retry,
    RetryDone,
    Rollback,
    RollbackDone,
    Status,
    StatusRequest,
)
from flip_runtime.errors import Rejected, Unavailable

Question = StatusRequest | Mend | ModelsRequest | Rollback | Retry | ReceiptsRequest
A = TypeVar("A", Status, Mended, Models, RollbackDone, RetryDone, Receipts)


def ask(path: Path, question: Question, kind: type[A], *, within: float = 10.0) -> A:
    """`within` seconds. Raises `Unavailable` when no daemon answers on the socket, `Rejected` when it declines."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(within)
            connection.connect(str(path))
            for message in (Hello(role="cli"), question):
                connection.sendall(msgspec.json.encode(message) + b"\n")
            with connection.makefile("rb") as lines:
                answer = msgspec.json.decode(lines.readline(LINE_LIMIT), type=FromRun)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "start it with: flip-agent run (or: systemctl start flip-agent)"
        raise Unavailable(f"flip-agent is not running: nothing answers on {path}", hint=hint) from error
    if isinstance(answer, Declined):
        raise Rejected(answer.reason, hint=answer.hint)
    if not isinstance(answer, kind):
        raise Unavailable(f"flip-agent answered with {type(answer).__name__}", hint="is it another version?")
    return answer
