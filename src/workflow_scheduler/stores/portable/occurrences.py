"""Occurrences: the nominal times of a schedule that were settled, and how."""

from __future__ import annotations

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_rows

COLUMNS = (
    "nominal", "tenant_id", "trigger_id", "nominal_local", "timezone", "fold", "tzdata", "outcome", "reason",
    "note", "run_id", "event_id", "recorded_at",
)  # fmt: skip
_SELECT = ", ".join(COLUMNS)
STRETCH_NOTE = " fires until "
"""Stands between the count and the last nominal time in the note of a record that speaks for several times."""


class OccurrenceRepository:
    """Reads the occurrences of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def between(
        self, tenant_id: str, trigger_id: str, since: int, until: int, limit: int, now: int
    ) -> list[Occurrence | Malformed]:
        """Return the occurrences with a nominal time in [since, until), microseconds, the oldest first."""
        rows = await self._store.read(
            f"""SELECT {_SELECT} FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal >= :since AND nominal < :until ORDER BY nominal LIMIT :limit""",
            {"tenant": tenant_id, "trigger": trigger_id, "since": since, "until": until, "limit": limit},
        )
        found = read_rows(Occurrence, COLUMNS, rows, "occurrences", key=(2, 0))
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def of_run(self, tenant_id: str, trigger_id: str, nominal: int, now: int) -> Occurrence | None:
        """Return the occurrence at exactly this nominal time, if it was settled."""
        found = await self.between(tenant_id, trigger_id, nominal, nominal + 1, 1, now)
        return found[0] if found and isinstance(found[0], Occurrence) else None

    async def latest(self, tenant_id: str, trigger_id: str, until: int, now: int) -> Occurrence | None:
        """Return the last settled occurrence with a nominal time of `until` or earlier."""
        rows = await self._store.read(
            f"""SELECT {_SELECT} FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal <= :until ORDER BY nominal DESC LIMIT 1""",
            {"tenant": tenant_id, "trigger": trigger_id, "until": until},
        )
        found = read_rows(Occurrence, COLUMNS, rows, "occurrences", key=(2, 0))
        await quarantine(self._store, tenant_id, found, now)
        return found[0] if found and isinstance(found[0], Occurrence) else None


def covers(occurrence: Occurrence, nominal: int) -> bool:
    """Return whether a record speaks for a nominal time: its own, or one of the stretch that its note counts."""
    if occurrence.nominal == nominal:
        return True
    _, marker, last = (occurrence.note or "").partition(STRETCH_NOTE)
    if not marker:
        return False
    try:
        return occurrence.nominal <= nominal <= from_iso(last)
    except (ValueError, OverflowError):
        return False
