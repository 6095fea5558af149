"""Why feedback or samples are not kept, beyond what is wrong with the request itself."""

from http import HTTPStatus

from flip_agent.inference.problems import Refusal
from flip_agent.sqlite_errors import Full
from flip_runtime.errors import Unavailable


class NoRoom(Refusal):
    status = HTTPStatus.INSUFFICIENT_STORAGE
    retry_after = 60


class NotKept(Refusal):
    """Now; the disk may be mended."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 10


class TooBusy(Refusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after = 1


def refusal_of(error: Unavailable) -> Refusal:
    """Without the paths that the log names."""
    if isinstance(error, Full):
        return NoRoom("there is no room for more samples", hint="make room on the disk, or raise samples.max_bytes")
    return NotKept("the samples cannot be written now", hint="make room on the disk of agent.state, or check it")
