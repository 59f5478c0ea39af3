"""Events, runs, triggers and their rows for tests, each complete, each with an id of its own.

`Rows` writes them into any store with plain statements, without the pipeline, so that a test can make states that the
pipeline would never leave behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict

from workflow_scheduler.core.ids import IdSource, logical_id
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.principal import LOCAL_TENANT
from workflow_scheduler.core.model.run import JobRecord, JobStatus, LogLine, Run, Wake
from workflow_scheduler.core.model.trigger import Occurrence, Schedule, Trigger
from workflow_scheduler.core.ports.store import DeadLetter, Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SECOND_US, from_iso

T = TypeVar("T", bound=msgspec.Struct)
NOON = from_iso("2027-01-05T12:00:00Z")
_numbers = itertools.count(1)
_sources: dict[int, IdSource] = {}


def mint(at: int) -> str:
    """Return a new id of the instant `at`, whatever instants other tests have used; later calls give greater ids."""
    return _sources.setdefault(at // 1000, IdSource()).mint(at)


def _made(model: type[T], defaults: Mapping[str, Any], given: Mapping[str, Any]) -> T:
    return model(**{**defaults, **given})


def make_event(at: int = NOON, **given: Any) -> Event:
    """Return an event received at `at` (microseconds): a webhook, unless `given` says otherwise."""
    event_id = mint(at)
    defaults: dict[str, Any] = {
        "id": event_id,
        "tenant_id": LOCAL_TENANT,
        "provider": "webhook",
        "source": "/webhooks/orders",
        "type": "webhook",
        "event_key": event_id,
        "time": at,
        "received_at": at,
        "data": b'{"amount":120}',
        "index_keys": ("orders",),
    }
    return _made(Event, defaults, given)


def make_trigger(name: str = "orders", workflow: str = "order-flow", **given: Any) -> Trigger:
    """Return a live webhook trigger of `workflow`, with logical ids made from the names."""
    tenant = given.get("tenant_id", LOCAL_TENANT)
    workflow_id = given.get("workflow_id", logical_id(tenant, "workflow", workflow))
    defaults: dict[str, Any] = {
        "id": logical_id(tenant, workflow_id, name),
        "tenant_id": tenant,
        "workflow_id": workflow_id,
        "workflow": workflow,
        "workflow_version": 1,
        "name": name,
        "type": "webhook",
        "config": {"path": "orders", "signature": "none"},
        "index_key": "orders",
        "updated_at": NOON - 3600 * SECOND_US,
    }
    return _made(Trigger, defaults, given)


def make_run(trigger: Trigger | None = None, event: Event | None = None, **given: Any) -> Run:
    """Return a queued run of `trigger` for `event`."""
    trigger, event = trigger or make_trigger(), event or make_event()
    defaults: dict[str, Any] = {
        "id": mint(event.received_at),
        "tenant_id": trigger.tenant_id,
        "workflow_id": trigger.workflow_id,
        "workflow": trigger.workflow,
        "version": trigger.workflow_version,
        "trigger_id": trigger.id,
        "trigger_type": trigger.type,
        "event_id": event.id,
        "event_key": event.event_key,
        "created_at": event.received_at,
        "input": event.data,
    }
    return _made(Run, defaults, given)


def make_decision(trigger: Trigger, event: Event, run: Run | None = None, **given: Any) -> Decision:
    """Return the decision of `event` for `trigger`: started where there is a run, else filtered."""
    defaults: dict[str, Any] = {
        "tenant_id": event.tenant_id,
        "event_id": event.id,
        "trigger_id": trigger.id,
        "workflow_id": trigger.workflow_id,
        "outcome": Outcome.RUN_STARTED if run else Outcome.FILTERED,
        "reason": Reason.MATCHED if run else Reason.PREDICATE_FALSE,
        "decided_at": event.received_at,
        "run_id": run.id if run else None,
    }
    return _made(Decision, defaults, given)


def make_job(run: Run, job_id: str = "work", **given: Any) -> JobRecord:
    """Return a job of `run` that succeeded a second after its creation."""
    defaults: dict[str, Any] = {
        "tenant_id": run.tenant_id,
        "run_id": run.id,
        "job_id": job_id,
        "fence": run.fence,
        "status": JobStatus.SUCCEEDED,
        "started_at": run.created_at,
        "ended_at": run.created_at + SECOND_US,
        "output": b'{"rows":3}',
    }
    return _made(JobRecord, defaults, given)


def make_wake(run: Run, child_id: str, **given: Any) -> Wake:
    """Return what the end of the run `child_id` tells the job `call` of `run`: that it succeeded."""
    defaults: dict[str, Any] = {
        "tenant_id": run.tenant_id,
        "run_id": run.id,
        "job_id": "call",
        "name": f"run:{child_id}",
        "status": JobStatus.SUCCEEDED,
        "at": NOON,
        "output": b"null",
    }
    return _made(Wake, defaults, given)


def make_log(run: Run, line: str, seq: int | None = None, **given: Any) -> LogLine:
    """Return a line that a job of `run` printed."""
    defaults: dict[str, Any] = {
        "tenant_id": run.tenant_id,
        "run_id": run.id,
        "job_id": "work",
        "attempt": 1,
        "seq": next(_numbers) if seq is None else seq,
        "at": run.created_at,
        "stream": "stdout",
        "line": line,
    }
    return _made(LogLine, defaults, given)


def make_dead_letter(at: int = NOON, **given: Any) -> DeadLetter:
    """Return a dead letter of kind `run` without references."""
    defaults: dict[str, Any] = {
        "id": mint(at),
        "tenant_id": LOCAL_TENANT,
        "kind": "run",
        "event_id": None,
        "run_id": None,
        "trigger_id": None,
        "workflow_id": None,
        "reason": Reason.POISON.value,
        "detail": "delivered 5 times without reaching an end",
        "payload": b'{"amount":120}',
        "attempts": 5,
        "created_at": at,
    }
    return _made(DeadLetter, defaults, given)


def make_schedule(trigger: Trigger, next_fire_at: int | None, **given: Any) -> Schedule:
    """Return the due row of a time trigger, due at `next_fire_at` (microseconds)."""
    defaults: dict[str, Any] = {
        "tenant_id": trigger.tenant_id,
        "trigger_id": trigger.id,
        "workflow_id": trigger.workflow_id,
        "kind": trigger.type,
        "revision": 1,
        "next_fire_at": next_fire_at,
        "next_nominal": next_fire_at,
        "anchor": trigger.updated_at,
    }
    return _made(Schedule, defaults, given)


def make_occurrence(trigger: Trigger, nominal: int, **given: Any) -> Occurrence:
    """Return the record of a fire at `nominal` (microseconds)."""
    defaults: dict[str, Any] = {
        "tenant_id": trigger.tenant_id,
        "trigger_id": trigger.id,
        "nominal": nominal,
        "nominal_local": "2027-01-05T02:00:00",
        "timezone": "America/New_York",
        "fold": 0,
        "tzdata": "2026.1",
        "outcome": Outcome.RUN_STARTED.value,
        "recorded_at": nominal,
    }
    return _made(Occurrence, defaults, given)


_BYTES_OF = {"events": ("index_keys", "sub_keys")}
_NOT_STORED: Mapping[str, frozenset[str]] = {
    "events": frozenset({"bearer", "input", "priority", "scheduled_for"}),
    "jobs": frozenset({"fence"}),
}


def insert(table: str, values: Mapping[str, Any]) -> Work[None]:
    """Yield the statement that inserts one row."""
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    yield Sql(f"INSERT INTO {table} ({names}) VALUES ({places})", values)  # noqa: S608 - names are those of structs


class Rows:
    """Writes model objects into the tables of `store`."""

    def __init__(self, store: Store) -> None:
        """Write to `store`."""
        self._store = store

    async def raw(self, table: str, **values: Any) -> None:
        """Insert one row as it is given."""
        await self._store.transact(insert(table, values))

    async def _struct(self, table: str, row: msgspec.Struct, **more: Any) -> None:
        left_out = _NOT_STORED.get(table, frozenset())
        values = {name: value for name, value in asdict(row).items() if name not in left_out}
        for name in _BYTES_OF.get(table, ()):
            values[name] = msgspec.json.encode(values[name]).decode()
        for name, value in values.items():
            if isinstance(value, bool):
                values[name] = int(value)
            elif isinstance(value, str):
                values[name] = str(value)
        await self.raw(table, **values, **more)

    async def event(self, event: Event, duplicates: int = 0) -> Event:
        """Insert an event."""
        await self._struct("events", event, duplicates=duplicates)
        return event

    async def run(self, run: Run) -> Run:
        """Insert a run."""
        await self._struct("runs", run)
        return run

    async def decision(self, decision: Decision) -> None:
        """Insert a decision."""
        await self._struct("decisions", decision)

    async def job(self, job: JobRecord) -> None:
        """Insert a job."""
        await self._struct("jobs", job)

    async def log(self, line: LogLine) -> None:
        """Insert a log line."""
        await self._struct("job_logs", line)

    async def dead_letter(self, letter: DeadLetter) -> DeadLetter:
        """Insert a dead letter."""
        await self._struct("dead_letters", letter)
        return letter

    async def occurrence(self, occurrence: Occurrence) -> None:
        """Insert an occurrence."""
        await self._struct("occurrences", occurrence)

    async def schedule(self, schedule: Schedule) -> None:
        """Insert a due row."""
        await self._struct("schedules", schedule, updated_at=schedule.anchor)

    async def workflow(self, trigger: Trigger, definition: bytes | None = None) -> None:
        """Insert the workflow that `trigger` belongs to, deployed in version 1."""
        at, keys = trigger.updated_at, {"tenant_id": trigger.tenant_id}
        await self.raw(
            "workflows", **keys, id=trigger.workflow_id, name=trigger.workflow, latest_version=1, live_version=1,
            deployment_status="DEPLOYED", created_at=at, updated_at=at,
        )  # fmt: skip
        text = definition or msgspec.json.encode(
            {"version": 1, "name": trigger.workflow, "jobs": {"work": {"uses": "noop"}}}
        )
        await self.raw(
            "workflow_versions", **keys, workflow_id=trigger.workflow_id, version=1, definition=text.decode(),
            hash="0", created_at=at,
        )  # fmt: skip

    async def trigger(
        self, trigger: Trigger, *, sub_keys: tuple[str, ...] = ("",), created_at: int | None = None
    ) -> None:
        """Insert a live trigger with its keys; its workflow must be there."""
        shared = {"condition": trigger.condition, "on_unknown": trigger.on_unknown, "input": trigger.input}
        at = trigger.updated_at
        await self.raw(
            "trigger_index", tenant_id=trigger.tenant_id, id=trigger.id, workflow_id=trigger.workflow_id,
            workflow_version=trigger.workflow_version, name=trigger.name, trigger_subtype=trigger.type,
            trigger_config=msgspec.json.encode(trigger.config).decode(), shared=msgspec.json.encode(shared).decode(),
            index_key=trigger.index_key, mode=trigger.mode.value, mode_reason=trigger.mode_reason,
            created_at=at if created_at is None else created_at, updated_at=at,
        )  # fmt: skip
        if trigger.index_key is None:
            return
        for sub_key in sub_keys:
            await self.raw(
                "trigger_keys", tenant_id=trigger.tenant_id, trigger_subtype=trigger.type,
                index_key=trigger.index_key, sub_key=sub_key, trigger_id=trigger.id,
            )  # fmt: skip
