"""What is known of nominal times: their records, their events, and their latest runs, some hundreds at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.payload import CLOCK_SOURCE, occurrence_id
from workflow_scheduler.core.time.records import STRETCH_NOTE
from workflow_scheduler.core.time.reprocess import Past
from workflow_scheduler.stores.portable.occurrences import (
    COLUMNS,
    OccurrenceRepository,
    covers,
    stretch_of,
)
from workflow_scheduler.stores.portable.rows import numbered, read_rows

_STATUSES = frozenset(RunStatus)


class BackfillRun(NamedTuple):
    """A run that a backfill made for a nominal time (microseconds)."""

    nominal: int
    backfill_id: str
    run_id: str
    status: str

    @property
    def shape(self) -> dict[str, Any]:
        """How ledgers and explanations show it."""
        return {"backfill_id": self.backfill_id, "run_id": self.run_id, "run_status": self.status}


class PastReader:
    """Reads what is known of the times of one schedule."""

    def __init__(self, store: Store, tenant_id: str, trigger_id: str) -> None:
        """Read of the trigger with the logical id `trigger_id`."""
        self._store = store
        self._tenant = tenant_id
        self._trigger = trigger_id
        self._occurrences = OccurrenceRepository(store)

    async def of(self, nominals: Sequence[int], now: int) -> dict[int, tuple[Past, bool]]:
        """Return what is known of each of these times (in order, microseconds), and whether anything is recorded."""
        if not nominals:
            return {}
        keys = {occurrence_id(self._trigger, nominal): nominal for nominal in nominals}
        events = await self._events(keys)
        runs = await self._runs(keys, events)
        records = await self._records(nominals, now)
        found = {}
        for nominal in nominals:
            record = records.get(nominal)
            run_id, status, event_id = runs.get(nominal, (None, None, None))
            past = Past(
                outcome=record.outcome if record else None,
                reason=record.reason if record else None,
                run_id=run_id or (record.run_id if record and record.nominal == nominal else None),
                status=status,
                event_id=events.get(nominal) or event_id,
            )
            found[nominal] = past, record is not None
        return found

    async def _events(self, keys: dict[str, int]) -> dict[int, str]:
        """Return the events of the schedule's own fires."""
        names, params = numbered("key", list(keys))
        rows = await self._store.read(
            f"""SELECT event_key, id FROM events WHERE tenant_id = :tenant AND source = :source
                AND event_key IN ({names})""",
            {"tenant": self._tenant, "source": CLOCK_SOURCE + self._trigger, **params},
        )
        return {keys[key]: str(event_id) for key, event_id in rows}

    async def _runs(self, keys: dict[str, int], events: dict[int, str]) -> dict[int, tuple[str, RunStatus | None, str]]:
        """Return the latest run of each time: of its own fire, of a backfill, or of a replay of its event."""
        who = {"tenant": self._tenant, "trigger": self._trigger}
        head = "SELECT id, status, event_id, {} FROM runs WHERE tenant_id = :tenant AND trigger_id = :trigger"
        names, params = numbered("key", list(keys))
        own = await self._store.read(f"{head.format('event_key')} AND event_key IN ({names})", {**who, **params})
        found = [(keys[str(row[3])], row) for row in own]
        names, params = numbered("at", list(keys.values()))
        made = await self._store.read(
            f"{head.format('scheduled_for')} AND backfill_id IS NOT NULL AND scheduled_for IN ({names})",
            {**who, **params},
        )
        found += [(int(row[3]), row) for row in made]
        of_event = {event_id: nominal for nominal, event_id in events.items()}
        of_event |= {str(row[2]): keys[str(row[3])] for row in own}
        if of_event:
            names, params = numbered("event", list(of_event))
            # The trigger is compared here: its own index would be walked through for it.
            again = await self._store.read(
                "SELECT id, status, event_id, replay_of, trigger_id FROM runs "
                f"WHERE tenant_id = :tenant AND replay_of IN ({names})",
                {"tenant": self._tenant, **params},
            )
            found += [(of_event[str(row[3])], row) for row in again if row[4] == self._trigger]
        latest: dict[int, tuple[str, RunStatus | None, str]] = {}
        for nominal, row in found:
            status = RunStatus(row[1]) if row[1] in _STATUSES else None
            latest[nominal] = max(latest.get(nominal, ("", None, "")), (str(row[0]), status, str(row[2])))
        return latest

    async def _records(self, nominals: Sequence[int], now: int) -> dict[int, Occurrence]:
        """Return the record that speaks for each time, where there is one."""
        names, params = numbered("at", nominals)
        rows = await self._store.read(
            f"""SELECT {", ".join(COLUMNS)} FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger
                AND nominal IN ({names})""",
            {"tenant": self._tenant, "trigger": self._trigger, **params},
        )
        read = read_rows(Occurrence, COLUMNS, rows, "occurrences", key=(2, 0))
        own = {one.nominal: one for one in read if isinstance(one, Occurrence)}
        ordered = sorted(nominals)
        stretch = await self._occurrences.covering(self._tenant, self._trigger, ordered[0], now)
        found: dict[int, Occurrence] = {}
        for nominal in ordered:
            record = own.get(nominal)
            if record is not None:
                found[nominal] = record
                stretch = record if stretch_of(record) is not None else stretch
            elif stretch is not None and covers(stretch, nominal):
                found[nominal] = stretch
        return found

    async def evidence(self, after: int, until: int, limit: int) -> list[int]:
        """Return the times in (after, until) with a record of their own or a backfill's run, in order, at most `limit`.

        Only these can be left out for what happened: a time without either has no run.
        """
        who = "tenant_id = :tenant AND trigger_id = :trigger"
        rows = await self._store.read(
            f"""SELECT at FROM (SELECT nominal AS at FROM occurrences WHERE {who} AND nominal > :after
                  AND nominal < :until AND (note IS NULL OR note NOT LIKE '%{STRETCH_NOTE}%')
                  ORDER BY nominal LIMIT :limit) AS recorded
                UNION SELECT at FROM (SELECT scheduled_for AS at FROM runs WHERE {who} AND backfill_id IS NOT NULL
                  AND scheduled_for > :after AND scheduled_for < :until ORDER BY scheduled_for LIMIT :limit) AS made
                ORDER BY at LIMIT :limit""",
            {"tenant": self._tenant, "trigger": self._trigger, "after": after, "until": until, "limit": limit},
        )
        return [int(row[0]) for row in rows]

    async def backfilled(self, since: int, until: int, limit: int = 1_000) -> dict[str, list[dict[str, Any]]]:
        """Return the runs that backfills made for times in [since, until), by the ISO text of the time."""
        rows = await self._store.read(
            """SELECT scheduled_for, backfill_id, id, status FROM runs WHERE tenant_id = :tenant
               AND trigger_id = :trigger AND backfill_id IS NOT NULL AND scheduled_for >= :since
               AND scheduled_for < :until ORDER BY scheduled_for, id LIMIT :limit""",
            {"tenant": self._tenant, "trigger": self._trigger, "since": since, "until": until, "limit": limit},
        )
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(to_iso(int(row[0])), []).append(BackfillRun(*row).shape)
        return found
