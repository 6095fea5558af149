"""A few transfers at the same time, each an object of up to 5 MiB."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 4


async def all_at_once(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results in order. Waits for all; raises the first error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
