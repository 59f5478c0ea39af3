"""What goes wrong with triggers and runs, told as internal events by the transaction that writes it down."""

from __future__ import annotations

from workflow_scheduler.core.model.system_event import SOURCE_DEAD_LETTERS, SOURCE_TRIGGERS, SystemEvent
from workflow_scheduler.core.ports.store import DeadLetter, Sql, Work
from workflow_scheduler.stores.portable import outbox


def trigger_failed(tenant_id: str, trigger_id: str, error: str, now: int, run_id: str | None = None) -> Work[None]:
    """Tell that a trigger fires no more until somebody mends it; `run_id` is the run that was the last straw."""
    rows = yield Sql(
        """SELECT t.name, t.workflow_id, w.name FROM trigger_index t
           LEFT JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
           WHERE t.tenant_id = :tenant AND t.id = :trigger""",
        {"tenant": tenant_id, "trigger": trigger_id},
    )
    name, workflow_id, workflow = rows[0] if rows else (None, None, None)
    data = {
        "trigger_id": trigger_id,
        "trigger_name": name,
        "workflow_id": workflow_id,
        "workflow_name": workflow,
        "error": error[:500],
        "run_id": run_id,
    }
    fact = SystemEvent(
        tenant_id=tenant_id, type="trigger_failed", source=SOURCE_TRIGGERS, subject=trigger_id, data=data
    )
    yield outbox.put(fact, now)


def dead_lettered(letter: DeadLetter, now: int) -> Work[None]:
    """Tell of a dead letter, once however often its transaction is repeated.

    The end of a run that a dead letter has started is not told: nothing answers its own trouble for ever.
    """
    if letter.event_id is not None:
        rows = yield Sql(
            "SELECT type FROM events WHERE tenant_id = :tenant AND id = :event",
            {"tenant": letter.tenant_id, "event": letter.event_id},
        )
        if rows and rows[0][0] == "dead_letter":
            return
    names = ("kind", "reason", "detail", "attempts", "run_id", "event_id", "trigger_id", "workflow_id")
    data = {"dead_letter_id": letter.id, **{name: getattr(letter, name) for name in names}}
    fact = SystemEvent(
        tenant_id=letter.tenant_id, type="dead_letter", source=SOURCE_DEAD_LETTERS, subject=letter.id, data=data
    )
    yield outbox.put(fact, now, letter.id)
