"""What a library hands over by calling back, taken in portions by whoever reads."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Arrivals(Generic[T]):
    """Messages in the order in which they came, until the connection is lost."""

    def __init__(self) -> None:
        """Begin with none."""
        self._come: asyncio.Queue[T] = asyncio.Queue()

    def put(self, message: T) -> None:
        """Take a message that has just come."""
        self._come.put_nowait(message)

    async def take(self, most: int, seconds: float, lost: asyncio.Future[Any]) -> list[T]:
        """Return up to `most` messages that are there or come within `seconds`.

        Raises:
            Exception: none is there, and the connection was lost; it is what `lost` was given.

        """
        if self._come.empty():
            first = asyncio.ensure_future(self._come.get())
            try:
                await asyncio.wait((first, lost), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                found = [first.result()] if first.done() else []
            finally:
                first.cancel()
        else:
            found = [self._come.get_nowait()]
        while len(found) < most and not self._come.empty():
            found.append(self._come.get_nowait())
        if not found and lost.done():
            lost.result()
        return found
