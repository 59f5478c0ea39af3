"""A /v2 engine for tests: a real HTTP server that commits runs and, by plan, is a bad peer.

`starts` counts, per idempotency key, how many executions were begun: two for one key is a double start. With
`idempotent=False` it begins one for every start that arrives, as an engine without idempotency does, so that only the
caller's look-ups stand between a fault and a double start.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from aiohttp import web


class Fault(StrEnum):
    """What happens to one start request."""

    NONE = "none"  # 202 with the execution
    DROP_AFTER = "drop_after"  # committed, then the connection is cut
    DROP_BEFORE = "drop_before"  # the connection is cut, nothing committed
    ERROR_AFTER = "error_after"  # committed, then 500
    ERROR_BEFORE = "error_before"  # 500, nothing committed
    LATE = "late"  # committed, and answered only when the server closes
    COMMIT_LATE = "commit_late"  # committed and answered only when `release` is called
    BUSY = "busy"  # 503 with Retry-After, nothing committed
    REFUSE = "refuse"  # 422


Plan = Callable[[str, int], Fault]


def no_faults(_key: str, _attempt: int) -> Fault:
    """Plan for a good day."""
    return Fault.NONE


class FakeEngine:
    """The server. `plan(key, attempt)` says what happens to the attempt-th start (from 1) for a key."""

    def __init__(self, plan: Plan = no_faults, *, idempotent: bool = True) -> None:
        """Begin with no executions; they run until `finish` is called."""
        self.plan = plan
        self.idempotent = idempotent
        self.starts: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.executions: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.url = ""
        self._released = asyncio.Event()
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def open(self) -> FakeEngine:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v2/workflows/{workflow}/execute", self._execute)
        app.router.add_get("/v2/workflows/{workflow}/executions", self._list)
        app.router.add_get("/v2/executions/{execution}", self._show)
        app.router.add_post("/v2/executions/{execution}/cancel", self._cancel)
        app.router.add_post("/v2/executions/{execution}/resume", self._resume)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def close(self) -> None:
        """Let late answers go and stop listening."""
        self._released.set()
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def release(self) -> None:
        """Let the starts that wait under COMMIT_LATE commit."""
        self._released.set()

    def finish(self, run_id: str, status: str = "SUCCEEDED", **more: Any) -> None:
        """End the executions of a run."""
        for execution in self.executions.values():
            if execution["idempotency_key"] == run_id:
                execution.update(status=status, ended_at="2027-03-14T09:31:00Z", **more)

    def pause(self, workflow: str, started_at: str, interaction_id: str | None = None) -> str:
        """Add a paused execution that somebody else started; return its id."""
        execution_id = f"other-{len(self.executions) + 1}"
        self.executions[execution_id] = {
            "execution_id": execution_id, "workflow_id": workflow, "idempotency_key": None, "status": "PAUSED",
            "started_at": started_at, "interaction_id": interaction_id,
        }  # fmt: skip
        return execution_id

    async def _execute(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        body = await request.json()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        self.attempts[key] += 1
        fault = self.plan(key, self.attempts[key])
        if fault in (Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.BUSY, Fault.REFUSE):
            return self._refuse(request, fault)
        if fault is Fault.COMMIT_LATE:
            await self._released.wait()
        known = self._known(key) if self.idempotent else None
        if known is not None:
            return web.json_response({"execution_id": known, "status": "RUNNING"}, status=409)
        execution_id = self._commit(request.match_info["workflow"], key)
        if fault is Fault.DROP_AFTER:
            _cut(request)
        if fault is Fault.ERROR_AFTER:
            return web.json_response({"error": "lost my mind"}, status=500)
        if fault is Fault.LATE:
            await self._closing.wait()
        return web.json_response({"execution_id": execution_id, "status": "RUNNING"}, status=202)

    def _refuse(self, request: web.Request, fault: Fault) -> web.Response:
        if fault is Fault.DROP_BEFORE:
            _cut(request)
        if fault is Fault.BUSY:
            return web.json_response({"error": "busy"}, status=503, headers={"Retry-After": "7"})
        return web.json_response({"error": "no"}, status=422 if fault is Fault.REFUSE else 500)

    def _commit(self, workflow: str, key: str) -> str:
        execution_id = f"x-{len(self.executions) + 1}"
        self.starts[key] += 1
        self.executions[execution_id] = {
            "execution_id": execution_id,
            "workflow_id": workflow,
            "idempotency_key": key,
            "status": "RUNNING",
            "started_at": "2027-03-14T09:30:00Z",
        }
        return execution_id

    def _known(self, key: str) -> str | None:
        return next((one for one, it in self.executions.items() if it["idempotency_key"] == key), None)

    async def _list(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path_qs, dict(request.headers), None))
        key = request.query.get("idempotency_key")
        found = [
            execution
            for execution in self.executions.values()
            if execution["workflow_id"] == request.match_info["workflow"]
            and key in (None, execution["idempotency_key"])
            and request.query.get("status") in (None, execution["status"])
        ]
        return web.json_response({"workflows": found})

    async def _show(self, request: web.Request) -> web.Response:
        execution = self.executions.get(request.match_info["execution"])
        if execution is None:
            return web.json_response({"error": "unknown"}, status=404)
        return web.json_response(execution)

    async def _cancel(self, request: web.Request) -> web.Response:
        execution = self.executions.get(request.match_info["execution"])
        if execution is None:
            return web.json_response({"error": "unknown"}, status=404)
        if execution["status"] != "RUNNING":
            return web.json_response({"error": "it has ended"}, status=409)
        execution.update(status="CANCELLED", ended_at="2027-03-14T09:31:00Z")
        return web.json_response(execution)

    async def _resume(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.requests.append((request.method, request.path_qs, dict(request.headers), await request.json()))
        self.attempts[key] += 1
        fault = self.plan(key, self.attempts[key])
        if fault in (Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.BUSY, Fault.REFUSE):
            return self._refuse(request, fault)
        execution = self.executions.get(request.match_info["execution"])
        if execution is None or execution["status"] != "PAUSED":
            return web.json_response({"error": "it is not paused"}, status=409)
        execution.update(status="RUNNING", resumed_by=key)
        if fault is Fault.DROP_AFTER:
            _cut(request)
        return web.json_response(execution)


def _cut(request: web.Request) -> None:
    """Abort the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
