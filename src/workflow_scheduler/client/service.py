"""A client of the service that waits for each answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from workflow_scheduler.client import http
from workflow_scheduler.client.operations import WAIT_SECONDS, Call, Operations
from workflow_scheduler.client.repeating import pause_before_next
from workflow_scheduler.core.errors import Conflict, NotConnected
from workflow_scheduler.core.time.clock import SystemClock

SERVER = "http://127.0.0.1:8003"
_ERROR_STATUS = 400
Page = dict[str, Any]


def address(server: str | None) -> str:
    """Return the address of the service: as given, or WFS_SERVER, or this machine."""
    return server or os.environ.get("WFS_SERVER") or SERVER


def started_id(started: dict[str, Any]) -> str:
    """Return the id of the run that was started.

    Raises:
        Conflict: none was.

    """
    if started["run_id"] is None:
        reasons = ", ".join(f"{one['outcome']}: {one['reason']}" for one in started.get("decisions", ()))
        raise Conflict(f"no run was started ({reasons or 'no trigger'})", fix=f"look at {started['explain']}")
    return str(started["run_id"])


class Client(Operations[dict[str, Any]]):
    """Calls one service, from any thread; nothing is kept open between calls."""

    def __init__(
        self, server: str | None = None, key: str | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Call `server` (by default WFS_SERVER, or this machine) with an API key (by default WFS_API_KEY).

        Raises:
            BadRequest: the address is not one of HTTP.

        """
        self.http = http.Client(address(server), key or os.environ.get("WFS_API_KEY"))
        self._sleep = sleep

    def _do(self, call: Call) -> dict[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            failure: NotConnected | None = None
            answer: http.Answer | None = None
            try:
                answer = self.http.send(
                    call.method, call.path, query=call.query, content=call.content, headers=call.sent_headers,
                    timeout=call.timeout,
                )  # fmt: skip
            except NotConnected as error:
                failure = error
            pause = pause_before_next(call, attempt, answer)
            if pause is not None:
                self._sleep(pause)
            elif answer is None:
                assert failure is not None
                raise failure
            elif answer.status >= _ERROR_STATUS:
                raise http.problem(answer)
            else:
                return answer.value() or {}

    def run(self, workflow: str, input: Any = None, *, seconds: float = 3600.0, **more: Any) -> dict[str, Any]:  # noqa: A002
        """Start a run and return it when it has ended, or as it stands after `seconds`.

        Raises:
            Conflict: no run was started.

        """
        run_id = started_id(self.start(workflow, input, **more))
        clock = SystemClock()
        deadline = clock.monotonic() + seconds
        while True:
            left = max(0.0, deadline - clock.monotonic())
            found = self.await_run(run_id, min(WAIT_SECONDS, left))
            if found["ended_at"] is not None or left <= 0:
                return found

    def each(self, listing: Callable[..., Page], **query: Any) -> Iterator[dict[str, Any]]:
        """Yield every item of a list, page after page: `client.each(client.runs, workflow="nightly")`."""
        while True:
            page = listing(**query)
            yield from page["items"]
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    def stream(self, *topics: str, last_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield what changes as it comes: topics such as `runs` and `events`; all of them by default."""
        return self.http.stream("/api/v1/stream", last_id=last_id, topics=",".join(topics) or None)
