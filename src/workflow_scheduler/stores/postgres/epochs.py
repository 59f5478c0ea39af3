"""Hearing of a new index epoch, and of new facts, from whichever instance made them, through LISTEN."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.postgres import statements
from workflow_scheduler.stores.postgres.connection import own_errors, single

CHANNEL = "wfs_epoch"
FACTS = "wfs_outbox"
RETRY_SECONDS = 1.0


class Epochs:
    """Keeps the current epoch. While the connection is down it is not `current`, and must be read instead."""

    def __init__(self, url: str, clock: Clock, heard: Callable[[int], None], on_fact: Callable[[], None]) -> None:
        """Keep where to listen and whom to tell of an epoch and of facts."""
        self._url = url
        self._clock = clock
        self._heard = heard
        self._on_fact = on_fact
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection[Any] | None = None
        self._lost = asyncio.Event()
        self.current = False
        self.epoch = 0

    async def open(self) -> None:
        """Connect and keep listening until closed.

        Raises:
            StoreUnavailable: the server does not answer.

        """
        await self._connect()
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="postgres-epochs")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.current = False
        self._hang_up()

    def learn(self, epoch: int) -> None:
        """Take note of an epoch that was read or heard; tell when it is a later one."""
        if epoch > self.epoch:
            first, self.epoch = self.epoch == 0, epoch
            if not first:
                self._heard(epoch)

    async def _connect(self) -> None:
        self._hang_up()
        connection = self._connection = await single(self._url)
        self._lost.clear()
        with own_errors():
            connection.add_termination_listener(self._ended)
            await connection.add_listener(CHANNEL, self._notified)
            await connection.add_listener(FACTS, self._told)
            self.learn(await connection.fetchval(statements.EPOCH))
        self.current = True

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.remove_termination_listener(self._ended)
            self._connection.terminate()
            self._connection = None

    def _notified(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.learn(int(str(payload)))

    def _told(self, *_: object) -> None:
        self._on_fact()

    def _ended(self, _connection: object) -> None:
        self.current = False
        self._lost.set()

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            self.current = False
            await self._again()

    async def _again(self) -> None:
        while True:
            try:
                return await self._connect()
            except SchedulerError:
                await self._clock.sleep(RETRY_SECONDS * (0.5 + self._clock.random()))
