"""Several streams of one source, read side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from workflow_scheduler.core.ports.sources import Received


async def merged(*streams: AsyncGenerator[Received]) -> AsyncGenerator[Received]:
    """Yield what any of them brings, until one of them ends; what one raises ends all."""
    pieces: asyncio.Queue[Received] = asyncio.Queue(1)
    pumps = [asyncio.ensure_future(_pump(stream, pieces)) for stream in streams]
    try:
        while True:
            coming = asyncio.ensure_future(pieces.get())
            await asyncio.wait((coming, *pumps), return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                yield coming.result()
                continue
            coming.cancel()
            next(pump for pump in pumps if pump.done()).result()
            return
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


async def _pump(stream: AsyncGenerator[Received], pieces: asyncio.Queue[Received]) -> None:
    async for piece in stream:
        await pieces.put(piece)
