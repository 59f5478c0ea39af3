"""Which calendars a workflow follows; and that none is missing, or has changed since something was computed with it."""

from __future__ import annotations

from workflow_scheduler.core.errors import FieldError, PreconditionFailed, ValidationFailed, did_you_mean
from workflow_scheduler.core.model.deployment import Publication
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.calendars.use import calendar_key
from workflow_scheduler.stores.portable.rows import numbered

TIMERS = "('cron', 'interval', 'once', 'rrule')"
"""The trigger types that follow calendars, as a list in SQL."""
_KEY = calendar_key("")


def check_calendars(p: Publication) -> Work[None]:
    """Refuse triggers that follow a calendar which the tenant does not have.

    Raises:
        ValidationFailed: there is no such calendar; the error names the trigger's field.

    """
    followed = [(key, trigger.name) for trigger in p.triggers if trigger.next_due for key, _ in trigger.keys]
    wanted = [(key.removeprefix(_KEY), trigger) for key, trigger in followed if key.startswith(_KEY)]
    if not wanted:
        return
    rows = yield Sql("SELECT name FROM calendars WHERE tenant_id = :tenant", {"tenant": p.tenant_id})
    known = [row[0] for row in rows]
    errors = []
    for calendar, trigger in wanted:
        if calendar not in known:
            near = did_you_mean(calendar, known)
            message = f"there is no calendar `{calendar}`" + (f", did you mean `{near}`?" if near else "")
            errors.append(FieldError(f"triggers.{trigger}.calendars", message, suggestion=near))
    if errors:
        raise ValidationFailed(
            errors[0].message, fix="create it first: workflow-scheduler calendar create NAME", errors=errors
        )


def check_versions(tenant_id: str, seen: dict[str, int]) -> Work[None]:
    """Refuse to write what was computed with calendars that have changed since.

    Raises:
        PreconditionFailed: one of the calendars has another version than `seen` says.

    """
    if not seen:
        return
    names, params = numbered("seen", list(seen))
    rows = yield Sql(
        f"SELECT name, version FROM calendars WHERE tenant_id = :tenant AND name IN ({names})",
        {"tenant": tenant_id, **params},
    )
    if {name: version for name, version in rows} != seen:  # noqa: C416 -- a row is a tuple of any length to mypy
        raise PreconditionFailed("a calendar was changed in the meantime", fix="try again")


async def followed(store: Store, tenant_id: str, workflow_id: str) -> list[str]:
    """Return the calendars that the live triggers of a workflow name."""
    rows = await store.read(
        f"""SELECT DISTINCT k.index_key FROM trigger_index t
            JOIN trigger_keys k ON k.tenant_id = t.tenant_id AND k.trigger_id = t.id
            WHERE t.tenant_id = :tenant AND t.workflow_id = :workflow AND k.trigger_subtype IN {TIMERS}
              AND k.index_key >= :low AND k.index_key < :high""",
        {"tenant": tenant_id, "workflow": workflow_id, "low": _KEY, "high": "calendar;"},
    )
    return [str(row[0]).removeprefix(_KEY) for row in rows]
