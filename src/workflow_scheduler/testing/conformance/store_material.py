"""Works, batches and look-ups that the store suites share."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.model.trigger import Schedule
from workflow_scheduler.core.ports.store import Accepted, ScheduleAdvance, Sql, Store, Work
from workflow_scheduler.core.time.clock import MINUTE_US
from workflow_scheduler.testing.factories import (
    NOON,
    make_decision,
    make_event,
    make_run,
    make_trigger,
)

TRIGGER = make_trigger()
CLOCKED = make_trigger("nightly", type="cron")


def started(event: Event | None = None, **given: Any) -> Accepted:
    """Return an event with one run and its decision."""
    event = event or make_event()
    run = make_run(TRIGGER, event, **given)
    return Accepted(event, [make_decision(TRIGGER, event, run)], [run])


def ended(run: Run, status: RunStatus = RunStatus.SUCCEEDED, **given: Any) -> RunChange:
    """Return the change that ends `run`."""
    values: dict[str, Any] = {"fence": run.fence, "ended_at": NOON + MINUTE_US, **given}
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, status=status, **values)


def advance(schedule: Schedule, **given: Any) -> ScheduleAdvance:
    """Return the step of `schedule` to its next minute."""
    due = schedule.next_fire_at
    assert due is not None
    values: dict[str, Any] = {
        "tenant_id": schedule.tenant_id, "trigger_id": schedule.trigger_id, "revision": schedule.revision,
        "was_fire_at": due, "next_fire_at": due + MINUTE_US, "next_nominal": due + MINUTE_US, "last_nominal": due,
        "last_fired_at": due,
    }  # fmt: skip
    return ScheduleAdvance(**{**values, **given})


def set_name(name: str, *, fail: bool = False) -> Work[str]:
    """Insert a tenant and return its name as stored; `fail` raises NotFound after that."""
    rows = yield Sql(
        "INSERT INTO tenants (id, name, created_at) VALUES (:tenant, :name, :now) RETURNING name",
        {"tenant": f"tenant-{name}", "name": name, "now": NOON},
    )
    if fail:
        raise NotFound(name)
    return str(rows[0][0])


def move_epoch() -> Work[int]:
    """Move the index epoch on and return it."""
    rows = yield Sql("UPDATE index_epoch SET epoch = epoch + 1 RETURNING epoch")
    return int(rows[0][0])


async def count(store: Store, table: str) -> int:
    """Return the number of rows of `table`."""
    return int((await store.read(f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608 (a name of the suite)


async def run_row(store: Store, run: Run) -> tuple[Any, ...]:
    """Return (status, ended_at, output, external_id) of `run`."""
    rows = await store.read(
        "SELECT status, ended_at, output, external_id FROM runs WHERE tenant_id = :tenant AND id = :id",
        {"tenant": run.tenant_id, "id": run.id},
    )
    return rows[0]
