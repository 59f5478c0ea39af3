"""Joins: a workflow that waits for several others runs once when all of them have ended as it asked.

The state is one row per member that has arrived. It is read and written in the transaction of the event that brings
the next member, under a lock on the trigger's row, so that two members that arrive at once on two instances cannot
both be "not the last". What a run used is consumed; the next round begins empty.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Row, Sql, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.intents import Ask, intent

_encode = msgspec.json.encode


def lock(tenant_id: str, trigger_id: str) -> Work[None]:
    """Hold a join until the end of the transaction; deploys lock these rows before the epoch as well."""
    yield Sql(
        "UPDATE trigger_index SET updated_at = updated_at WHERE tenant_id = :tenant AND id = :trigger",
        {"tenant": tenant_id, "trigger": trigger_id},
    )


def bring(event: Event, ask: Ask, preliminary: Decision, now: int, owner: str) -> Work[tuple[Decision, Run | None]]:
    """Store the member that an event brings; return the decision, and the run when no member is missing now."""
    compiled = ask.compiled
    arrived = yield from _arrive(event, compiled)
    missing = _missing(compiled, arrived)
    run = None
    if not missing:
        run = intent(_collected(event, arrived), compiled, now, owner, ask.overlap_key)
        yield Sql(
            "DELETE FROM joins WHERE tenant_id = :tenant AND trigger_id = :trigger",
            {"tenant": event.tenant_id, "trigger": compiled.trigger.id},
        )
    return _decision(preliminary, compiled, arrived, missing, run), run


def _arrive(event: Event, compiled: Compiled) -> Work[dict[str, Row]]:
    """Store the member that `event` brings, and return the members that are present inside the window.

    The window lies between the ends themselves: after an outage, two that were near each other still belong together.
    """
    key: dict[str, Any] = {"tenant": event.tenant_id, "trigger": compiled.trigger.id}
    fields = msgspec.json.decode(event.data)
    yield Sql(
        "INSERT INTO joins (tenant_id, trigger_id, member, event_id, run_id, status, at, data) "
        "VALUES (:tenant, :trigger, :member, :event, :run, :status, :at, :data) "
        "ON CONFLICT (tenant_id, trigger_id, member) DO UPDATE SET event_id = excluded.event_id, "
        "run_id = excluded.run_id, status = excluded.status, at = excluded.at, data = excluded.data "
        "WHERE excluded.at >= joins.at",
        {**key, "member": event.index_keys[0], "event": event.id, "run": event.cause_run_id,
         "status": str(fields.get("status")), "at": event.time, "data": event.data},
    )  # fmt: skip
    rows = yield Sql(
        "SELECT member, event_id, run_id, status, at, data FROM joins "
        "WHERE tenant_id = :tenant AND trigger_id = :trigger",
        key,
    )
    members = {member.workflow for member in compiled.config.all or ()}
    arrived = {row[0]: row for row in rows if row[0] in members}
    window = compiled.config.window
    oldest = 0 if window is None else max((row[4] for row in arrived.values()), default=0) - int(window * SECOND_US)
    if any(row[4] < oldest for row in arrived.values()):
        yield Sql(
            "DELETE FROM joins WHERE tenant_id = :tenant AND trigger_id = :trigger AND at < :oldest",
            {**key, "oldest": oldest},
        )
    return {name: row for name, row in arrived.items() if row[4] >= oldest}


def _missing(compiled: Compiled, arrived: dict[str, Row]) -> list[str]:
    members = compiled.config.all or ()
    return [member.workflow for member in members if member.required and member.workflow not in arrived]


def _collected(event: Event, arrived: dict[str, Row]) -> Event:
    """Return the last event with all members' ends as the input of the run."""
    members = {name: msgspec.Raw(bytes(row[5])) for name, row in sorted(arrived.items())}
    return msgspec.structs.replace(event, input=_encode({"members": members}))


def _decision(
    preliminary: Decision, compiled: Compiled, arrived: dict[str, Row], missing: list[str], run: Run | None
) -> Decision:
    wanted = [member.workflow for member in compiled.config.all or ()]
    note = f"still missing: {', '.join(missing)}" if missing else None
    line = Predicate("all", wanted, sorted(arrived), not missing, note)
    lines = [*msgspec.json.decode(preliminary.predicates), line]
    return msgspec.structs.replace(
        preliminary,
        outcome=Outcome.RUN_STARTED if run else Outcome.ABSORBED,
        reason=Reason.MATCHED if run else Reason.WAITING_FOR_MEMBERS,
        predicates=_encode(lines),
        run_id=run.id if run else None,
    )
