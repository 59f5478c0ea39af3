"""Triggers of versions that are not deployed yet: shown as `pending`, with a due row that is not armed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from workflow_scheduler.core.model.deployment import OldTimes, PlannedTrigger
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Sql, Work
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.stores.portable.intake import put_occurrence
from workflow_scheduler.stores.portable.publishing import StoredTrigger, stored_triggers

Closed = Callable[[OldTimes], Sequence[Occurrence]]
_NEVER_LIVE = frozenset({"pending", "failed"})


def sync_pending(
    tenant_id: str, workflow_id: str, version: int, triggers: Sequence[PlannedTrigger], at: tuple[int, Closed]
) -> Work[None]:
    """Bring the triggers that are not live in line with a new version; those that are live are left to the deploy.

    `at` is now, in microseconds, and what gives the records of the times of a rule that was live once.
    """
    who = {"tenant": tenant_id, "id": workflow_id}
    now, closed = at
    stored = yield from stored_triggers(who)
    for trigger in triggers:
        before = stored.get(trigger.id)
        if before is None or before.status != "active":
            if before is not None and not before.removed and not before.same_as(trigger):
                yield from _close(tenant_id, before, closed)
            yield from _show(who, version, trigger, before, now)
    staying = {trigger.id for trigger in triggers}
    for row in stored.values():
        if row.id not in staying and row.status != "active" and not row.removed:
            yield from _drop(tenant_id, row, now)


def _close(tenant_id: str, before: StoredTrigger, closed: Closed) -> Work[None]:
    """Record the times that passed since the rule was live."""
    own = {"tenant": tenant_id, "trigger": before.id}
    rows = yield Sql(
        """SELECT skips, anchor, next_nominal FROM schedules WHERE tenant_id = :tenant AND trigger_id = :trigger
             AND next_nominal IS NOT NULL AND completed = 0""",
        own,
    )
    for skips, anchor, nominal in rows:
        old = OldTimes(
            trigger_id=before.id, type=before.type, config=before.config, skips=skips, anchor=anchor, nominal=nominal,
            cause=Reason.UNDEPLOYED, replaced=False, stays=lambda _: False,
        )  # fmt: skip
        for record in closed(old):
            yield put_occurrence(record)


def _show(
    who: dict[str, str], version: int, trigger: PlannedTrigger, before: StoredTrigger | None, now: int
) -> Work[None]:
    own = {"tenant": who["tenant"], "trigger": trigger.id}
    yield Sql(
        """INSERT INTO trigger_index (tenant_id, id, workflow_id, workflow_version, name, trigger_subtype,
             trigger_config, shared, index_key, deployment_status, mode, created_at, updated_at)
           VALUES (:tenant, :trigger, :id, :version, :name, :type, :config, :shared, :key, 'pending', :mode, :now, :now)
           ON CONFLICT (tenant_id, id) DO UPDATE SET workflow_version = excluded.workflow_version,
             trigger_subtype = excluded.trigger_subtype, trigger_config = excluded.trigger_config,
             shared = excluded.shared, index_key = excluded.index_key, updated_at = excluded.updated_at,
             deployment_status = 'pending', error = NULL, removed_at = NULL""",
        {
            **who,
            **own,
            "version": version,
            "name": trigger.name,
            "type": trigger.type,
            "config": trigger.config,
            "shared": trigger.shared,
            "key": trigger.index_key,
            "mode": "enabled" if trigger.enabled else "disabled",
            "now": now,
        },
    )
    if before is not None and not before.same_as(trigger):
        # Another rule counts anew, and what was completed is not any more; a pause and skips stay.
        yield Sql(
            """UPDATE schedules SET next_nominal = NULL, completed = 0, fires = 0, tzdata = ''
               WHERE tenant_id = :tenant AND trigger_id = :trigger""",
            own,
        )
    if trigger.next_due is not None:
        yield Sql(
            """INSERT INTO schedules (tenant_id, trigger_id, workflow_id, kind, anchor, updated_at)
               VALUES (:tenant, :trigger, :id, :kind, :now, :now) ON CONFLICT DO NOTHING""",
            {**who, **own, "kind": trigger.type, "now": now},
        )


def _drop(tenant_id: str, row: StoredTrigger, now: int) -> Work[None]:
    """Forget a trigger that never decided anything; one that did keeps its name for the decisions."""
    own = {"tenant": tenant_id, "trigger": row.id}
    if row.status in _NEVER_LIVE:
        yield Sql("DELETE FROM schedules WHERE tenant_id = :tenant AND trigger_id = :trigger", own)
        yield Sql(
            """DELETE FROM trigger_index WHERE tenant_id = :tenant AND id = :trigger AND NOT EXISTS
                 (SELECT 1 FROM decisions WHERE tenant_id = :tenant AND trigger_id = :trigger)""",
            own,
        )
    yield Sql(
        """UPDATE trigger_index SET removed_at = :now, updated_at = :now, deployment_status = 'inactive'
           WHERE tenant_id = :tenant AND id = :trigger""",
        {**own, "now": now},
    )
