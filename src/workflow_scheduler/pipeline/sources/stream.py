"""The loop of streams: one task reads, another stores what gathered meanwhile, and acknowledges after the commit.

At most BUFFER_EVENTS are read ahead. When the inbox is full the writer waits, the buffer fills, and reading stops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Any

import msgspec

from workflow_scheduler.core.errors import LeaseLost, NotConnected
from workflow_scheduler.core.ports.sources import Received
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.sources.attempts import went_wrong
from workflow_scheduler.pipeline.sources.ending import end
from workflow_scheduler.pipeline.sources.hearing import PORTION_EVENTS, Hearing, Held
from workflow_scheduler.pipeline.sources.lending import Lender, Pulse
from workflow_scheduler.stores.portable.sources import Report

BUFFER_EVENTS = 2 * PORTION_EVENTS
CONNECT_SECONDS = 60.0
SILENCE_SECONDS = 120.0
STABLE_SECONDS = 30.0
WATCH_SECONDS = 1.0
DRAIN_SECONDS = 10.0

_encode = msgspec.json.encode


class _Buffer:
    """What was read and is not stored yet."""

    def __init__(self) -> None:
        self.pieces: deque[Received] = deque()
        self.events = 0
        self.closed = False
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        return self.events >= BUFFER_EVENTS

    async def put(self, piece: Received) -> None:
        while self.full:
            self._changed.clear()
            await self._changed.wait()
        self.pieces.append(piece)
        self.events += len(piece.heard)
        self._changed.set()

    async def take(self) -> list[Received]:
        """Return what has gathered, about a portion; an empty list after the last piece."""
        while not self.pieces:
            if self.closed:
                return []
            self._changed.clear()
            await self._changed.wait()
        taken = [self.pieces.popleft()]
        count = len(taken[0].heard)
        while self.pieces and count + len(self.pieces[0].heard) <= PORTION_EVENTS:
            taken.append(self.pieces.popleft())
            count += len(taken[-1].heard)
        self.events -= count
        self._changed.set()
        return taken

    def close(self) -> None:
        self.closed = True
        self._changed.set()


class Listener:
    """Holds one stream open until it ends."""

    def __init__(self, lender: Lender, hearing: Hearing, clock: Clock) -> None:
        """Lend through `lender`; store through `hearing`."""
        self._lender = lender
        self._hearing = hearing
        self._clock = clock

    async def run(self, held: Held, pulse: Pulse) -> Report:
        """Listen until the stream ends, and return how it ended.

        Raises:
            LeaseLost: another instance holds the source now.

        """
        held.looked_away(self._clock.now())
        buffer = _Buffer()
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._read(held, buffer, pulse))
        writing = loop.create_task(self._write(held, buffer))
        watching = loop.create_task(self._watch(held, pulse, buffer))
        tasks = (reading, writing, watching)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next(found for task in tasks if task.done() and (found := task.exception()) is not None)
            if not writing.done():  # what was read before the end is kept
                await end((reading,))
                buffer.close()
                await asyncio.wait((writing,), timeout=DRAIN_SECONDS)
            if writing.done() and isinstance(writing.exception(), LeaseLost):
                raise LeaseLost
        finally:
            await end(tasks)
        if isinstance(error, LeaseLost) or not isinstance(error, Exception):
            raise error
        earlier = 0 if self.stable(pulse) else held.row.failures
        return went_wrong(held.row, error, pulse, self._clock, earlier)

    def stable(self, pulse: Pulse) -> bool:
        """Return whether a stream has worked for long enough to forget its failures."""
        since = pulse.connected_at
        return since is not None and self._clock.now() - since >= STABLE_SECONDS * 1_000_000

    async def _read(self, held: Held, buffer: _Buffer, pulse: Pulse) -> None:
        io = self._lender.lend(held.row.tenant_id, pulse, held.kept, self._hearing.memory(held))
        async with aclosing(held.module.open(held.config, held.cursor, io)) as feed:
            async for piece in feed:
                pulse.alive(piece.lag)
                await buffer.put(piece)
        raise NotConnected("the peer has closed the stream")

    async def _write(self, held: Held, buffer: _Buffer) -> None:
        """Store what gathers and acknowledge it, until the buffer is closed and empty."""
        while taken := await buffer.take():
            heard = [one for piece in taken for one in piece.heard]
            positions = [piece.position for piece in taken if piece.position is not None]
            if heard or positions:
                await self._hearing.take(held, heard, _encode(positions[-1]) if positions else None)
            for piece in taken:
                if piece.ack is not None:
                    await self._acknowledge(piece.ack)

    @staticmethod
    async def _acknowledge(ack: Any) -> None:
        try:
            await ack()
        except NotConnected:
            raise
        except Exception as error:
            raise NotConnected(f"what was stored could not be acknowledged: {error}") from error

    async def _watch(self, held: Held, pulse: Pulse, buffer: _Buffer) -> None:
        """Raise NotConnected when the peer shows no sign of life for too long while it is being read."""
        own = getattr(held.module, "silence_seconds", None)
        silence: float | None = SILENCE_SECONDS if own is None else own(held.config)
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            if buffer.full:
                pulse.beat = self._clock.monotonic()
            quiet = self._clock.monotonic() - pulse.beat
            if pulse.connected_at is None and quiet > CONNECT_SECONDS:
                raise NotConnected(f"no connection came about within {CONNECT_SECONDS:g} s")
            if pulse.connected_at is not None and silence is not None and quiet > silence:
                raise NotConnected(f"the peer has shown no sign of life for {silence:g} s")
