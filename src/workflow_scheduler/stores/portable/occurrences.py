"""Occurrences: the nominal times of a schedule that were settled, and how."""

from __future__ import annotations

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_rows

COLUMNS = (
    "nominal", "tenant_id", "trigger_id", "nominal_local", "timezone", "fold", "tzdata", "outcome", "reason",
    "note", "run_id", "event_id", "recorded_at",
)  # fmt: skip
_SELECT = ", ".join(COLUMNS)


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
                AND nominal >= :since AND nominal < :until ORDER BY nominal LIMIT :limit""",  # noqa: S608 - constants
            {"tenant": tenant_id, "trigger": trigger_id, "since": since, "until": until, "limit": limit},
        )
        found = read_rows(Occurrence, COLUMNS, rows, "occurrences")
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def of_run(self, tenant_id: str, trigger_id: str, nominal: int, now: int) -> Occurrence | None:
        """Return the occurrence at exactly this nominal time, if it was settled."""
        found = await self.between(tenant_id, trigger_id, nominal, nominal + 1, 1, now)
        return found[0] if found and isinstance(found[0], Occurrence) else None
