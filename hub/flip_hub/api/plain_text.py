"""Text that nobody writes and that other programs stumble over: NUL, and what is not UTF-8.

Lone surrogates in a body need no look: the JSON decoder does not take them.
"""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request

from flip_hub.problem import Refused

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def check_plain_text(request: Request[Any, Any, Any]) -> None:
    """Raises `Refused`."""
    scope = request.scope
    for part in (scope["raw_path"], scope["query_string"]):
        if b"%" in part:
            _check_address(unquote_to_bytes(part))
    if request.route_handler.parsed_data_field is not None and _ESCAPED_NUL.search(await request.body()):
        raise Refused("the body holds a NUL character", hint="leave \\u0000 out of all texts and names")


def _check_address(text: bytes) -> None:
    if b"\0" in text:
        raise Refused("the address holds a NUL character", hint="leave %00 out of it")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Refused("the address is not UTF-8", hint="encode names as UTF-8 before percent-encoding") from error
