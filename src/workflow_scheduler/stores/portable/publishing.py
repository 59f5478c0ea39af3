"""The transactions that change which triggers are live: publish, undeploy, and triggers that wait for a deployment.

Every one of them moves the index epoch first. That is also their lock: on PostgreSQL the second of two concurrent
publications waits there, so that the checks below see what the first one wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.model.deployment import DeploymentStatus, OldTimes, PlannedTrigger, Publication
from workflow_scheduler.core.model.system_event import SOURCE_WORKFLOWS, SystemEvent
from workflow_scheduler.core.ports.store import Row, Sql, Work
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.stores.portable import outbox, shapes, sources
from workflow_scheduler.stores.portable.calendar_checks import check_calendars, check_versions
from workflow_scheduler.stores.portable.conflicts import check_claims, check_cycles
from workflow_scheduler.stores.portable.intake import put_occurrence

BUMP_EPOCH = Sql("UPDATE index_epoch SET epoch = epoch + 1")
WORKFLOW_PAUSE = "workflow"
_CHUNK = 100
_UPSERT_SCHEDULE = """INSERT INTO schedules (tenant_id, trigger_id, workflow_id, kind, anchor, next_fire_at,
    next_nominal, paused, paused_by, completed, tzdata, updated_at)
  VALUES (:tenant, :trigger, :workflow, :kind, :anchor, :fire, :nominal, :paused, :by, :completed, :tzdata, :now)
  ON CONFLICT (tenant_id, trigger_id) DO UPDATE SET kind = excluded.kind, anchor = excluded.anchor,
    resume_until = NULL, resume_as = NULL,
    next_fire_at = excluded.next_fire_at, next_nominal = excluded.next_nominal, completed = excluded.completed,
    tzdata = excluded.tzdata, revision = schedules.revision + 1, updated_at = excluded.updated_at,
    paused = CASE WHEN schedules.paused = 1 THEN 1 ELSE excluded.paused END,
    paused_by = CASE WHEN schedules.paused = 1 THEN schedules.paused_by ELSE excluded.paused_by END"""
_decode = msgspec.json.decode


class StoredTrigger(msgspec.Struct, frozen=True):
    """A trigger row as it was before the publication."""

    id: str
    type: str
    config: str
    shared: str
    mode: str
    status: str
    removed: bool

    def same_as(self, trigger: PlannedTrigger) -> bool:
        """Return whether type and configuration are those of `trigger`."""
        return (self.type, self.config) == (trigger.type, trigger.config)


class _Due(msgspec.Struct, frozen=True):
    """The due row of a trigger as it was before the publication."""

    next_fire_at: int | None
    next_nominal: int | None
    anchor: int
    completed: bool
    paused_until: int | None
    paused: bool
    skips: str
    fires: int
    armed: bool


def publish(p: Publication) -> Work[None]:
    """Make a version live: swap triggers, keys and due rows, and close the deployment's history entry.

    Raises:
        Conflict: the deployment was given up by another one, a public path is taken, or workflows would trigger each
            other in a circle.

    """
    who = {"tenant": p.tenant_id, "id": p.workflow_id}
    yield BUMP_EPOCH
    yield from _close_history(p)
    rows = yield Sql(
        """UPDATE workflows SET live_version = :version, deployment_status = 'DEPLOYED', deployment_error = NULL,
             revision = revision + 1, updated_at = :now, awaits = CASE WHEN awaits = 1 THEN 1 ELSE :awaits END
           WHERE tenant_id = :tenant AND id = :id AND deployment_status = 'DEPLOYING' RETURNING paused""",
        {**who, "version": p.version, "now": p.now, "awaits": int(p.awaits)},
    )
    if not rows:
        raise Conflict("the workflow was deleted or deployed by somebody else in the meantime", fix="deploy it again")
    paused = bool(rows[0][0])
    yield from check_claims(p)
    yield from check_calendars(p)
    yield from check_versions(p.tenant_id, p.calendars)
    yield from check_cycles(p)
    stored = yield from stored_triggers(who)
    due = yield from _stored_due(who)
    yield from _drop_keys(who)
    yield from _remove_gone(p, stored)
    yield sources.wake_workflow(p.tenant_id, p.workflow_id, p.now)
    for trigger in p.triggers:
        yield _upsert(p, trigger, stored.get(trigger.id))
        if trigger.source is not None:
            source = (p.tenant_id, trigger.type, trigger.source.key)
            yield sources.need(source, trigger.source.shape, p.now)
        if trigger.absence is not None:
            group = shapes.GroupId(p.tenant_id, trigger.id, "absence", "")
            yield shapes.arm(shapes.Group(group, trigger.id, None, p.now, p.now + trigger.absence))
        if trigger.next_due is not None:
            yield from _schedule(p, trigger, stored.get(trigger.id), due.get(trigger.id), paused=paused)
        elif trigger.id in due:
            yield Sql(
                "DELETE FROM schedules WHERE tenant_id = :tenant AND trigger_id = :trigger",
                {"tenant": p.tenant_id, "trigger": trigger.id},
            )
    yield from _insert_keys(p)


def _close_history(p: Publication) -> Work[None]:
    rows = yield Sql(
        """UPDATE deployments SET status = 'DEPLOYED', step = 'done', ended_at = :now, changes = :changes,
             version = :version
           WHERE tenant_id = :tenant AND id = :deployment AND status = 'DEPLOYING' RETURNING action, actor""",
        {
            "tenant": p.tenant_id,
            "deployment": p.deployment_id,
            "version": p.version,
            "now": p.now,
            "changes": p.changes,
        },
    )
    if not rows:
        raise Conflict("another deployment of this workflow took over", fix="look at its history and deploy again")
    fact = SystemEvent(
        tenant_id=p.tenant_id,
        type="workflow_deployed",
        source=SOURCE_WORKFLOWS,
        subject=p.workflow_id,
        data={
            "workflow_id": p.workflow_id,
            "workflow_name": p.workflow,
            "workflow_version": p.version,
            "action": rows[0][0],
            "actor": rows[0][1],
        },
    )
    yield outbox.put(fact, p.now)


def stored_triggers(who: dict[str, str]) -> Work[dict[str, StoredTrigger]]:
    """Return every trigger row of a workflow by its id, also those out of service."""
    rows = yield Sql(
        """SELECT id, trigger_subtype, trigger_config, shared, mode, deployment_status, removed_at FROM trigger_index
           WHERE tenant_id = :tenant AND workflow_id = :id""",
        who,
    )
    return {row[0]: StoredTrigger(row[0], row[1], row[2], row[3], row[4], row[5], row[6] is not None) for row in rows}


def _stored_due(who: dict[str, str]) -> Work[dict[str, _Due]]:
    rows = yield Sql(
        """SELECT trigger_id, next_fire_at, next_nominal, anchor, completed, paused_until, paused, skips, fires, tzdata
           FROM schedules
           WHERE tenant_id = :tenant AND workflow_id = :id""",
        who,
    )
    # A row that was never armed has no tzdata version.
    return {
        row[0]: _Due(row[1], row[2], row[3], bool(row[4]), row[5], bool(row[6]), row[7], row[8], bool(row[9]))
        for row in rows
    }


def _drop_keys(who: dict[str, str]) -> Work[None]:
    yield Sql(
        """DELETE FROM trigger_keys WHERE tenant_id = :tenant AND trigger_id IN
             (SELECT id FROM trigger_index WHERE tenant_id = :tenant AND workflow_id = :id)""",
        who,
    )


def _remove_gone(p: Publication, stored: dict[str, StoredTrigger]) -> Work[None]:
    """Take triggers that the new version no longer has out of service; their past decisions keep their names."""
    staying = {trigger.id for trigger in p.triggers}
    for trigger_id, row in stored.items():
        if trigger_id in staying or row.removed:
            continue
        who = {"tenant": p.tenant_id, "trigger": trigger_id, "now": p.now}
        yield Sql(
            """UPDATE trigger_index SET deployment_status = 'inactive', removed_at = :now, updated_at = :now
               WHERE tenant_id = :tenant AND id = :trigger""",
            who,
        )
        yield Sql(
            """UPDATE schedules SET next_fire_at = NULL, revision = revision + 1, updated_at = :now
               WHERE tenant_id = :tenant AND trigger_id = :trigger""",
            who,
        )


def _upsert(p: Publication, trigger: PlannedTrigger, before: StoredTrigger | None) -> Sql:
    return Sql(
        """INSERT INTO trigger_index (tenant_id, id, workflow_id, workflow_version, name, trigger_subtype,
             trigger_config, shared, index_key, source_key, deployment_status, mode, created_at, updated_at)
           VALUES (:tenant, :id, :workflow, :version, :name, :type, :config, :shared, :key, :source, 'active', :mode,
             :now, :now)
           ON CONFLICT (tenant_id, id) DO UPDATE SET workflow_version = excluded.workflow_version,
             trigger_subtype = excluded.trigger_subtype, trigger_config = excluded.trigger_config,
             shared = excluded.shared, index_key = excluded.index_key, source_key = excluded.source_key,
             deployment_status = 'active',
             mode = excluded.mode, error = NULL, removed_at = NULL, updated_at = excluded.updated_at,
             mode_reason = CASE WHEN trigger_index.mode = excluded.mode THEN trigger_index.mode_reason END,
             revision = trigger_index.revision + CASE WHEN trigger_index.trigger_config = excluded.trigger_config
               AND trigger_index.shared = excluded.shared THEN 0 ELSE 1 END""",
        {
            "tenant": p.tenant_id,
            "id": trigger.id,
            "workflow": p.workflow_id,
            "version": p.version,
            "name": trigger.name,
            "type": trigger.type,
            "config": trigger.config,
            "shared": trigger.shared,
            "key": trigger.index_key,
            "source": None if trigger.source is None else trigger.source.key,
            "mode": _mode(trigger, before),
            "now": p.now,
        },
    )


def _mode(trigger: PlannedTrigger, before: StoredTrigger | None) -> str:
    """Return the mode to store: what a person set stays, until the file itself says something new."""
    wanted = "enabled" if trigger.enabled else "disabled"
    if before is None:
        return wanted
    said_before = bool(_decode(before.shared).get("enabled", True))
    return before.mode if said_before == trigger.enabled else wanted


def _schedule(
    p: Publication, trigger: PlannedTrigger, before: StoredTrigger | None, due: _Due | None, *, paused: bool
) -> Work[None]:
    """Write the due row from now on; leave it alone where nothing changed, so that no fire is skipped or repeated."""
    assert trigger.next_due is not None
    anchor = p.now
    if before is not None and due is not None and before.same_as(trigger):
        if due.completed or before.status == "active":
            return
        if due.armed:
            anchor = due.anchor
    # A pause with an end has no one to end it: the due row stands at the first fire from that end on.
    rest = due.paused_until - 1 if due is not None and due.paused_until is not None else p.now
    upcoming = trigger.next_due(max(p.now, rest), anchor)
    first = trigger.next_due(p.now, anchor)
    if due is not None:
        yield from _close(p, trigger, before, due, anchor)
        if trigger.max_fires is not None and due.fires >= trigger.max_fires:
            upcoming = first = None
    yield Sql(
        _UPSERT_SCHEDULE,
        {
            "tenant": p.tenant_id,
            "trigger": trigger.id,
            "workflow": p.workflow_id,
            "kind": trigger.type,
            "anchor": anchor,
            "fire": upcoming.fire_at if upcoming else None if first is None else rest + 1,
            "nominal": first.nominal if first else None,
            "paused": int(paused),
            "by": WORKFLOW_PAUSE if paused else None,
            "completed": int(first is None),
            "tzdata": p.tzdata,
            "now": p.now,
        },
    )


def _close(p: Publication, trigger: PlannedTrigger, before: StoredTrigger | None, due: _Due, anchor: int) -> Work[None]:
    """Record what became of the times of the rule that was there before; one that comes back is superseded no more."""
    who = {"tenant": p.tenant_id, "trigger": trigger.id}
    yield Sql(
        """DELETE FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger AND nominal > :now
             AND reason = :superseded""",
        {**who, "now": p.now, "superseded": Reason.SUPERSEDED.value},
    )
    if before is None or due.next_nominal is None or due.completed:
        return
    was_live = before.status == "active"
    resting = due.paused or (due.paused_until is not None and due.next_nominal < due.paused_until)
    cause = Reason.MISSED_PAUSED if resting else Reason.SUPERSEDED
    old = OldTimes(
        trigger_id=trigger.id,
        type=before.type,
        config=before.config,
        skips=due.skips,
        anchor=due.anchor,
        nominal=due.next_nominal,
        cause=cause if was_live else Reason.UNDEPLOYED,
        replaced=was_live,
        stays=partial(_names, trigger, anchor),
    )
    for record in p.closed(old):
        yield put_occurrence(record)


def _names(trigger: PlannedTrigger, anchor: int, instant: int) -> bool:
    """Return whether a time trigger names an instant, microseconds."""
    due = None if trigger.next_due is None else trigger.next_due(instant - 1, anchor)
    return due is not None and due.nominal == instant


def _insert_keys(p: Publication) -> Work[None]:
    rows = [(trigger.type, key, sub, trigger.id) for trigger in p.triggers for key, sub in trigger.keys]
    for chunk in _chunks(rows):
        params: dict[str, Any] = {"tenant": p.tenant_id}
        values = []
        for i, row in enumerate(chunk):
            values.append(f"(:tenant, :type{i}, :key{i}, :sub{i}, :id{i})")
            params |= {f"type{i}": row[0], f"key{i}": row[1], f"sub{i}": row[2], f"id{i}": row[3]}
        yield Sql(
            "INSERT INTO trigger_keys (tenant_id, trigger_subtype, index_key, sub_key, trigger_id) "
            f"VALUES {', '.join(values)} ON CONFLICT DO NOTHING",
            params,
        )


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def unpublish(tenant_id: str, workflow_id: str, deployment_id: str, actor: str | None, now: int) -> Work[int | None]:
    """Take a workflow out of service and return the version that was live. Its triggers keep their ids and modes.

    Raises:
        Conflict: the workflow does not exist or is not deployed.

    """
    who = {"tenant": tenant_id, "id": workflow_id}
    yield BUMP_EPOCH
    rows = yield Sql(
        "SELECT live_version, deployment_status, name FROM workflows WHERE tenant_id = :tenant AND id = :id", who
    )
    if not rows or (rows[0][0] is None and rows[0][1] == DeploymentStatus.UNDEPLOYED):
        raise Conflict("the workflow is not deployed")
    live = rows[0][0]
    yield Sql(
        """UPDATE workflows SET live_version = NULL, deployment_status = 'UNDEPLOYED', deployment_error = NULL,
             revision = revision + 1, updated_at = :now WHERE tenant_id = :tenant AND id = :id""",
        {**who, "now": now},
    )
    yield from _drop_keys(who)
    yield sources.wake_workflow(tenant_id, workflow_id, now)
    yield Sql(
        """UPDATE trigger_index SET deployment_status = 'inactive', updated_at = :now
           WHERE tenant_id = :tenant AND workflow_id = :id AND deployment_status = 'active'""",
        {**who, "now": now},
    )
    yield Sql(
        """UPDATE schedules SET next_fire_at = NULL, revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND workflow_id = :id""",
        {**who, "now": now},
    )
    yield Sql(
        """UPDATE deployments SET status = 'DEPLOYMENT_FAILED', error = 'undeployed meanwhile', ended_at = :now
           WHERE tenant_id = :tenant AND workflow_id = :id AND status = 'DEPLOYING'""",
        {**who, "now": now},
    )
    yield Sql(
        """INSERT INTO deployments (tenant_id, id, workflow_id, version, action, status, step, actor, started_at,
             ended_at)
           VALUES (:tenant, :deployment, :id, :version, 'undeploy', 'UNDEPLOYED', 'done', :actor, :now, :now)""",
        {**who, "deployment": deployment_id, "version": live, "actor": actor, "now": now},
    )
    return None if live is None else int(live)
