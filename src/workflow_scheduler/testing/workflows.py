"""A workflow and its triggers in this process, on a clock that stands still: no ports, no waiting.

::

    async with WorkflowTest(document) as t:
        await t.send(webhook("orders", {"amount": 500}))
        t.stub("publish", output={"ok": True})
        await t.advance("2h")
        assert t.runs[-1].status == "SUCCEEDED"

The pipeline, the embedded engine and SQLite are the real ones; only time is not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, cast

import msgspec

from workflow_scheduler.app import Application, job_types
from workflow_scheduler.client.http import Answer, problem
from workflow_scheduler.client.operations import Definition, definition_of, name_of
from workflow_scheduler.core.definition.load import parse
from workflow_scheduler.core.model.workflow import duration_seconds
from workflow_scheduler.core.time.clock import SECOND_US, from_iso
from workflow_scheduler.engines.embedded.parking import Parking
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient, Reply
from workflow_scheduler.testing.requests import Request
from workflow_scheduler.testing.stillness import Activity, StillClock, WatchedStore
from workflow_scheduler.testing.stubs import Stub, watched_types

BEGINNING = "2027-01-05T12:00:00Z"
_LEASE_SECONDS = 10 * 365 * 86_400.0
_STEP_SECONDS = 60.0
_IDLE_STEP_SECONDS = 6 * 3_600.0
_NOT_NEEDED = frozenset({"health", "retention", "inspection", "sources"})
_ERROR_STATUS = 400
_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_NEXT = (
    "SELECT MIN(next_fire_at) FROM schedules WHERE paused = 0 AND next_fire_at > :now",
    "SELECT MIN(wake_at) FROM jobs WHERE status IN ('PAUSED', 'QUEUED') AND wake_at > :now",
    "SELECT MIN(due_at) FROM join_rounds WHERE due_at > :now",
    "SELECT MIN(paused_until) FROM workflows WHERE paused_until > :now",
    "SELECT MIN(paused_until) FROM schedules WHERE paused_until > :now",
)
_BUSY = (
    "SELECT (SELECT COUNT(*) FROM jobs WHERE status = 'RUNNING') + (SELECT COUNT(*) FROM runs WHERE status = 'QUEUED')"
)


class SeenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stood after the last `send`, `start` or `advance`; `jobs` are by name, times are ISO 8601."""

    id: str
    workflow: str
    status: str
    trigger_type: str | None = None
    event_id: str | None = None
    scheduled_for: str | None = None
    input: Any = None
    output: Any = None
    error: Any = None
    created_at: str | None = None
    ended_at: str | None = None
    jobs: dict[str, dict[str, Any]] = {}


class _InProcess(Application):
    """The service on a clock that stands still."""

    def __init__(self, settings: Settings, clock: StillClock, activity: Activity, stubs: Mapping[str, Stub]) -> None:
        """Wire the service; `stubs` answer for jobs, `activity` hears what is under way."""
        self.failures: list[str] = []
        self.activity = activity
        self.stubs = stubs
        super().__init__(settings, clock)
        self.recovery.lease_seconds = _LEASE_SECONDS

    def open_store(self) -> WatchedStore:
        store = WatchedStore(self.settings.data / "workflow_scheduler.db", self.clock)
        store.activity = self.activity
        return store

    def load_jobs(self) -> dict[str, ModuleType]:
        return watched_types(job_types(), self.stubs, self.activity)

    def _begin(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        if name in _NOT_NEEDED:
            loop.close()
        else:
            super()._begin(name, loop)

    async def _guard(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception as error:  # noqa: BLE001 -- whatever it is, the test is to fail with it
            self.failures.append(f"the loop `{name}` ended: {error!r}")


class WorkflowTest:
    """Workflows, deployed in a service of their own; `http` calls its API, `clock` is its clock."""

    def __init__(
        self,
        *workflows: Definition,
        at: str = BEGINNING,
        secrets: Mapping[str, str] | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Deploy `workflows` at the instant `at` (ISO 8601).

        `secrets` are set before, and `connections`: name -> {kind, fields}. `folder` is for the database; by default a
        temporary one.
        """
        self._workflows = workflows
        self._secrets = dict(secrets or {})
        self._connections = dict(connections or {})
        self._given_folder = folder
        self._folder: Path | None = None
        self._at = from_iso(at)
        self._seen: dict[str, SeenRun] = {}
        self._stubs: dict[str, Stub] = {}
        self._activity = Activity()
        self.clock = StillClock(self._at, self._activity)
        self._app: _InProcess | None = None

    async def __aenter__(self) -> Self:
        self._folder = self._given_folder or Path(tempfile.mkdtemp(prefix="wfs-test-"))
        app = self._made(self._folder)
        await app.start()
        self._app = app
        self.http = AsgiClient(app.asgi())
        try:
            await self._prepare()
        except BaseException:
            await self.close()
            raise
        return self

    def _made(self, folder: Path) -> _InProcess:
        # Every setting is given, so that what the environment says does not count here.
        defaults = {name: field.default for name, field in Settings.model_fields.items()}
        settings = Settings.model_validate({**defaults, "data": folder, "allow_code": True})
        return _InProcess(settings, self.clock, self._activity, self._stubs)

    async def _prepare(self) -> None:
        for name, value in self._secrets.items():
            await self._ask("POST", "/api/v1/secrets", {"name": name, "value": value})
        for name, connection in self._connections.items():
            await self._ask("POST", "/api/v1/connections", {"name": name, **connection})
        for workflow in self._workflows:
            await self.deploy(workflow)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the service and remove its folder."""
        if self._app is not None:
            await self._app.stop()
            self._app = None
        if self._given_folder is None and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def deploy(self, workflow: Definition) -> dict[str, Any]:
        """Deploy a workflow, or a new version of one.

        Raises:
            DefinitionInvalid: it has mistakes.

        """
        given = definition_of(workflow)
        name = name_of(workflow) or parse(given).definition.name
        found = await self._ask("POST", f"/api/v1/deployment/workflows/{name}/deploy", {"workflow_spec": given})
        await self._look()
        return found

    def stub(self, job: str, output: Any = None, *, error: str = "", failures: int = 0) -> Stub:
        """Let the job of that name do nothing but return `output`, after failing `failures` times with `error`.

        An `output` that is a function is called with the job's configuration. What is returned keeps the `calls`.
        """
        self._stubs[job] = Stub(output, error, failures or (1_000_000 if error else 0), [])
        return self._stubs[job]

    async def send(self, request: Request) -> dict[str, Any]:
        """Send a request, let everything happen that follows at once, and return the answer with its decisions.

        Raises:
            SchedulerError: the service refused it.

        """
        path = f"{request.path}{'&' if '?' in request.path else '?'}wait=decision"
        reply = await self.http.request(request.method, path, body=request.body, headers=request.headers)
        found = _value(reply)
        await self._look()
        return found

    async def start(
        self,
        input: Any = None,  # noqa: A002 -- its name everywhere
        *,
        workflow: str | None = None,
        trigger: str | None = None,
    ) -> SeenRun:
        """Start one run by hand (of the only workflow, unless one is named), and return it as it stands then."""
        if workflow is None:
            found = await self._ask("GET", "/api/v1/workflows")
            [workflow] = [one["name"] for one in found["items"]]
        body = {"confirm": True, "input": input, **({} if trigger is None else {"trigger": trigger})}
        started = await self._ask("POST", f"/api/v1/triggers/workflows/{workflow}/manual", body)
        await self._look()
        return self._seen[started["run_id"]]

    async def advance(self, by: str | float) -> None:
        """Let time pass (`90s`, `2h`, `3d`, or seconds); all that is due on the way happens at its own time."""
        end = self.clock.monotonic() + float(cast("float", duration_seconds(by)))
        await self.clock.settle()
        while (left := end - self.clock.monotonic()) > 0:
            await self.clock.leap(min(left, await self._next_step()))
        await self._look()

    async def _next_step(self) -> float:
        """Return the seconds until something is due, and no more than what loops that look from time to time need."""
        assert self._app is not None
        store, now = self._app.store, self.clock.now()
        steps = [_IDLE_STEP_SECONDS]
        for text in _NEXT:
            rows = await store.read(text, {"now": now})
            if rows[0][0] is not None:
                steps.append((rows[0][0] - now) / SECOND_US)
        if (await store.read(_BUSY))[0][0]:
            steps.append(_STEP_SECONDS)
        return max(0.001, min(*steps, self._next_timer(), _IDLE_STEP_SECONDS))

    def _next_timer(self) -> float:
        """Return the seconds until the engine's next timer: time-outs, not the pieces that parked jobs wait in."""
        assert self._app is not None
        now = self.clock.monotonic()
        dues = []
        for due, call in self._app.embedded.timers.planned():
            owner = getattr(getattr(call, "func", call), "__self__", None)
            if not isinstance(owner, Parking):
                dues.append(due - now)
        return min((due for due in dues if due > 0), default=_IDLE_STEP_SECONDS)

    @property
    def runs(self) -> list[SeenRun]:
        """All runs, the oldest first."""
        return list(self._seen.values())

    async def explain(self, reference: str) -> dict[str, Any]:
        """Say why an event, a run or a trigger (`workflow/trigger`) did what it did."""
        return await self._ask("GET", f"/api/v1/explain?ref={reference}")

    async def _look(self) -> None:
        assert self._app is not None
        await self.clock.settle()
        assert not self._app.failures, "; ".join(self._app.failures)
        ids: list[str] = []
        cursor = ""
        while True:
            page = await self._ask("GET", f"/api/v1/runs?limit=200{cursor}")
            ids += [one["id"] for one in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        for run_id in reversed(ids):
            known = self._seen.get(run_id)
            if known is None or known.status not in _ENDED:
                found = await self._ask("GET", f"/api/v1/runs/{run_id}")
                jobs = {one["id"]: one for one in found["jobs"]}
                self._seen[run_id] = msgspec.convert({**found, "jobs": jobs}, SeenRun)

    async def _ask(self, method: str, path: str, body: Any = msgspec.UNSET) -> dict[str, Any]:
        return _value(await self.http.request(method, path, json=body))


def _value(reply: Reply) -> dict[str, Any]:
    if reply.status >= _ERROR_STATUS:
        raise problem(Answer(reply.status, reply.headers, reply.body))
    found: dict[str, Any] = reply.json()
    return found
