"""Text that nobody writes and that other programs stumble over: NUL, in a path, a query or a JSON body.

Lone surrogates need no look here: neither the JSON decoder nor UTF-8 takes them.
"""

import re
from typing import Any

from litestar import Request

from flip_hub.problem import Refused

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


async def check_plain_text(request: Request[Any, Any, Any]) -> None:
    """Raises `Refused`."""
    scope = request.scope
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise Refused("the address holds a NUL character", hint="leave it out")
    if request.route_handler.parsed_data_field is not None and _ESCAPED_NUL.search(await request.body()):
        raise Refused("the body holds a NUL character", hint="leave \\u0000 out of all texts and names")
