"""Occurrences: the nominal times of a schedule that were settled, and how."""

from __future__ import annotations

from typing import NamedTuple

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import MINUTE_US, from_iso
from workflow_scheduler.core.time.records import STRETCH_NOTE
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_rows

COLUMNS = (
    "nominal", "tenant_id", "trigger_id", "nominal_local", "timezone", "fold", "tzdata", "outcome", "reason",
    "note", "run_id", "event_id", "recorded_at",
)  # fmt: skip
_SELECT = ", ".join(COLUMNS)
_RECENT = 20


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

    async def of_minute(self, tenant_id: str, trigger_id: str, instant: int, now: int) -> Occurrence | None:
        """Return the first occurrence settled for the minute that holds an instant, microseconds."""
        minute = instant - instant % MINUTE_US
        found = await self.between(tenant_id, trigger_id, minute, minute + MINUTE_US, 1, now)
        return found[0] if found and isinstance(found[0], Occurrence) else None

    async def covering(self, tenant_id: str, trigger_id: str, instant: int, now: int) -> Occurrence | None:
        """Return the newest record of `instant` (microseconds), its own or that of a stretch around it."""
        found = await self._recent(tenant_id, trigger_id, instant, now)
        return next((one for one in found if covers(one, instant)), None)

    async def reaching(self, tenant_id: str, trigger_id: str, instant: int, now: int) -> Occurrence | None:
        """Return the record of a stretch that begins earlier than `instant` (microseconds) and ends there or later."""
        found = await self._recent(tenant_id, trigger_id, instant - 1, now)
        return next((one for one in found if covers(one, instant)), None)

    async def latest(self, tenant_id: str, trigger_id: str, until: int, now: int) -> Occurrence | None:
        """Return the last settled occurrence with a nominal time of `until` or earlier."""
        found = await self._recent(tenant_id, trigger_id, until, now)
        return found[0] if found else None

    async def _recent(self, tenant_id: str, trigger_id: str, until: int, now: int) -> list[Occurrence]:
        """Return records with a nominal time of `until` or earlier, the newest first.

        Inside of a stretch there are few others: times that an older rule or a clock set back left there.
        """
        rows = await self._store.read(
            f"""SELECT {_SELECT} FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal <= :until ORDER BY nominal DESC LIMIT {_RECENT}""",
            {"tenant": tenant_id, "trigger": trigger_id, "until": until},
        )
        found = read_rows(Occurrence, COLUMNS, rows, "occurrences", key=(2, 0))
        await quarantine(self._store, tenant_id, found, now)
        return [one for one in found if isinstance(one, Occurrence)]

    async def tally(self, tenant_id: str, trigger_id: str, since: int, until: int) -> list[Settled]:
        """Count the records of single times in [since, until), microseconds, by outcome and reason."""
        rows = await self._store.read(
            f"""SELECT outcome, reason, COUNT(*) FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal >= :since AND nominal < :until AND (note IS NULL OR note NOT LIKE '%{STRETCH_NOTE}%')
                GROUP BY outcome, reason""",
            {"tenant": tenant_id, "trigger": trigger_id, "since": since, "until": until},
        )
        return [Settled(str(outcome), reason, int(count)) for outcome, reason, count in rows]

    async def stretches(self, tenant_id: str, trigger_id: str, since: int, until: int, now: int) -> list[Occurrence]:
        """Return the records in [since, until), microseconds, that speak for several times each; 10,000 at most."""
        rows = await self._store.read(
            f"""SELECT {_SELECT} FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal >= :since AND nominal < :until AND note LIKE '%{STRETCH_NOTE}%'
                ORDER BY nominal LIMIT 10000""",
            {"tenant": tenant_id, "trigger": trigger_id, "since": since, "until": until},
        )
        found = read_rows(Occurrence, COLUMNS, rows, "occurrences", key=(2, 0))
        await quarantine(self._store, tenant_id, found, now)
        return [one for one in found if isinstance(one, Occurrence)]

    async def runs_between(self, tenant_id: str, trigger_id: str, since: int, until: int) -> list[str]:
        """Return the ids of the runs of the times in [since, until], microseconds, in their order; 1,000 at most."""
        rows = await self._store.read(
            """SELECT run_id FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal >= :since AND nominal <= :until AND run_id IS NOT NULL ORDER BY nominal LIMIT 1000""",
            {"tenant": tenant_id, "trigger": trigger_id, "since": since, "until": until},
        )
        return [str(row[0]) for row in rows]


class Settled(NamedTuple):
    """How many single times had an outcome for a reason."""

    outcome: str
    reason: str | None
    number: int


class StretchFacts(NamedTuple):
    """How many times a record speaks for, the last of them in microseconds, and what is said of each."""

    number: int
    last: int
    note: str | None = None


def stretch_of(occurrence: Occurrence) -> StretchFacts | None:
    """Return what a record that speaks for several times covers, or None where it is about one."""
    count, marker, rest = (occurrence.note or "").partition(STRETCH_NOTE)
    if not marker:
        return None
    last, _, why = rest.partition("; ")
    try:
        return StretchFacts(int(count), from_iso(last), why or None)
    except (ValueError, OverflowError):
        return None


def covers(occurrence: Occurrence, nominal: int) -> bool:
    """Return whether a record speaks for a nominal time: its own, or one of the stretch that its note counts."""
    stretch = stretch_of(occurrence)
    return occurrence.nominal == nominal or (stretch is not None and occurrence.nominal <= nominal <= stretch.last)
