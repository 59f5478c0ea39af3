"""Group commit: batches that arrive while the lanes are busy are written together by the next lane that is free."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import asyncpg
import msgspec

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.ports.store import Batch, BatchResult
from workflow_scheduler.stores.portable.merge import STALE, Refusals, result_of, rows_of, side_by_side
from workflow_scheduler.stores.postgres.connection import CONNECT_SECONDS, TRY_AGAIN, Session, own_error
from workflow_scheduler.stores.postgres.group import GroupWriter, StaleEpochError, mergeable

GROUP_ROWS_MAX = 1_500
ATTEMPTS = 4


class Request(msgspec.Struct, gc=False):
    """A batch and who waits for it."""

    batch: Batch
    future: asyncio.Future[BatchResult]


class Committer:
    """Writes batches through `lanes` sessions of `pool`; `stale` is called when an epoch has turned out old."""

    def __init__(self, pool: asyncpg.Pool[Any], lanes: int, stale: Callable[[], None]) -> None:
        """Start with nothing to do."""
        self._pool = pool
        self._idle_lanes = lanes
        self._stale = stale
        self._waiting: deque[Request] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._closing = False

    def submit(self, batch: Batch) -> asyncio.Future[BatchResult]:
        """Queue `batch` and return the future of its result.

        Raises:
            StoreUnavailable: the store is closed.

        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        request = Request(batch, loop.create_future())
        self._waiting.append(request)
        if self._idle_lanes:
            self._idle_lanes -= 1
            lane = loop.create_task(self._lane(), name="postgres-commit")
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return request.future

    async def close(self) -> None:
        """Write what is queued."""
        self._closing = True
        if self._lanes:
            await asyncio.wait(self._lanes)

    async def _lane(self) -> None:
        try:
            while self._waiting:
                await self._settle(self._take())
        finally:
            self._idle_lanes += 1

    def _take(self) -> list[Request]:
        """Take what may be written together, up to the size of a group."""
        group: list[Request] = []
        rows, epoch = 0, None
        while self._waiting and rows < GROUP_ROWS_MAX:
            batch = self._waiting[0].batch
            if batch.epoch is not None and epoch is not None and batch.epoch != epoch:
                break
            epoch = batch.epoch if epoch is None else epoch
            rows += rows_of(batch)
            group.append(self._waiting.popleft())
        return group

    async def _settle(self, group: list[Request]) -> None:
        """Write the group; where that fails for a reason that may lie in one batch, write them one by one."""
        try:
            batches = [request.batch for request in group]
            if len(group) > 1 and not mergeable(batches):
                await self._one_by_one(group)
                return
            refused = await self._write(batches)
        except StaleEpochError:
            await self._without_stale(group)
        except Exception as error:  # noqa: BLE001 (it is handed to those who wait)
            told = own_error(error)
            if len(group) > 1 and not isinstance(told, StoreUnavailable):
                await self._one_by_one(group)
            else:
                _tell(group, told)
        else:
            for request in group:
                if not request.future.done():
                    request.future.set_result(result_of(request.batch, refused))

    async def _one_by_one(self, group: list[Request]) -> None:
        for request in group:
            await self._settle([request])

    async def _without_stale(self, group: list[Request]) -> None:
        self._stale()
        for request in group:
            if request.batch.epoch is not None and not request.future.done():
                request.future.set_result(STALE)
        rest = [request for request in group if request.batch.epoch is None]
        if rest:
            await self._settle(rest)

    async def _write(self, batches: Sequence[Batch]) -> Refusals:
        """Write all batches in one transaction; a deadlock with another instance is tried again."""
        whole = batches[0]
        if len(batches) > 1:
            whole = side_by_side(batches)
            whole.epoch = next((batch.epoch for batch in batches if batch.epoch is not None), None)
        attempt = 1
        while True:
            try:
                async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    async with connection.transaction():
                        refused = await GroupWriter(connection).write(whole)
                    with suppress(Exception):  # the commit has its answer, whatever becomes of the session now
                        await cast("Session", connection).wrote(rows_of(whole))
                    return refused
            except TRY_AGAIN:
                attempt += 1
                if attempt > ATTEMPTS:
                    raise


def _tell(group: Sequence[Request], error: BaseException) -> None:
    for request in group:
        if not request.future.done():
            request.future.set_exception(error)
