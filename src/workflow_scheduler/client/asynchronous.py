"""A client of the service for programs on asyncio."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp

from workflow_scheduler.client import http
from workflow_scheduler.client.operations import WAIT_SECONDS, Call, Operations
from workflow_scheduler.client.repeating import pause_before_next
from workflow_scheduler.client.service import address, started_id
from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.core.time.clock import Clock, SystemClock

_ERROR_STATUS = 400


class AsyncClient(Operations[Awaitable[dict[str, Any]]]):
    """Calls one service over connections that are kept open: `async with AsyncClient() as client`."""

    def __init__(self, server: str | None = None, key: str | None = None, *, clock: Clock | None = None) -> None:
        """Call `server` (by default WFS_SERVER, or this machine) with an API key (by default WFS_API_KEY).

        Raises:
            BadRequest: the address is not one of HTTP.

        """
        key = key or os.environ.get("WFS_API_KEY")
        self.server = http.Client(address(server), key).server
        self._headers = {"accept": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _do(self, call: Call) -> dict[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            failure: NotConnected | None = None
            answer: http.Answer | None = None
            try:
                answer = await self._send(call)
            except NotConnected as error:
                failure = error
            pause = pause_before_next(call, attempt, answer)
            if pause is not None:
                await self._clock.sleep(pause)
            elif answer is None:
                assert failure is not None
                raise failure
            elif answer.status >= _ERROR_STATUS:
                raise http.problem(answer)
            else:
                return answer.value() or {}

    async def _send(self, call: Call) -> http.Answer:
        try:
            async with self._open().request(
                call.method,
                self.server + call.path,
                params=_query(call.query),
                data=call.content,
                headers=call.sent_headers,
                timeout=aiohttp.ClientTimeout(total=call.timeout),
            ) as response:
                named = {name.lower(): value for name, value in response.headers.items()}
                return http.Answer(response.status, named, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        return self._session

    def _unreachable(self, error: Exception) -> NotConnected:
        reason = "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)
        return NotConnected(
            f"cannot reach {self.server}: {reason}", fix="check the address, and that the service is up"
        )

    async def run(self, workflow: str, input: Any = None, *, seconds: float = 3600.0, **more: Any) -> dict[str, Any]:  # noqa: A002
        """Start a run and return it when it has ended, or as it stands after `seconds`.

        Raises:
            Conflict: no run was started.

        """
        run_id = started_id(await self.start(workflow, input, **more))
        deadline = self._clock.monotonic() + seconds
        while True:
            left = max(0.0, deadline - self._clock.monotonic())
            found = await self.await_run(run_id, min(WAIT_SECONDS, left))
            if found["ended_at"] is not None or left <= 0:
                return found

    async def each(
        self, listing: Callable[..., Awaitable[dict[str, Any]]], **query: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield every item of a list, page after page."""
        while True:
            page = await listing(**query)
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    async def stream(self, *topics: str, last_id: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield what changes as it comes: topics such as `runs` and `events`; all of them by default.

        Raises:
            SchedulerError: the service refused; NotConnected: the connection broke.

        """
        headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
        query = _query({"topics": ",".join(topics) or None})
        reader = http.EventReader()
        try:
            async with self._open().get(
                f"{self.server}/api/v1/stream", params=query, headers=headers, timeout=aiohttp.ClientTimeout(total=None)
            ) as response:
                if response.status >= _ERROR_STATUS:
                    raise http.problem(http.Answer(response.status, {}, await response.read()))
                async for line in response.content:
                    found = reader.feed(line)
                    if found is not None:
                        yield found
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error


def _query(given: Any) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }
