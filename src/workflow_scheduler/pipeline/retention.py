"""Retention: old events, runs, logs and keys are deleted, a little at a time, for ever."""

from __future__ import annotations

import msgspec
import structlog

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, Clock
from workflow_scheduler.stores.portable.retention import Sweeper

LOOP_SECONDS = 600.0
DEDUP_US = 7 * DAY_US
IDEMPOTENCY_US = 25 * HOUR_US

_log = structlog.get_logger(__name__)


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept, in microseconds.

    Events, runs and dead letters are kept for seven days at least, whatever is asked for: their keys refuse doubles,
    and no source repeats itself for longer. Logs never outlive their runs.
    """

    events: int = 30 * DAY_US
    runs: int = 90 * DAY_US
    logs: int = 14 * DAY_US
    audit: int = 400 * DAY_US

    @classmethod
    def of_days(cls, *, events: float, runs: float, logs: float, audit: float) -> Ages:
        """Return the ages for numbers of days."""
        return cls(
            events=round(events * DAY_US),
            runs=round(runs * DAY_US),
            logs=round(logs * DAY_US),
            audit=round(audit * DAY_US),
        )


class Retention:
    """Deletes what is older than its age."""

    def __init__(self, store: Store, clock: Clock, ages: Ages) -> None:
        """Delete from `store` by `ages`."""
        self._sweeper = Sweeper(store)
        self._clock = clock
        self._ages = ages

    async def run_once(self) -> dict[str, int]:
        """Delete everything that is old now, in portions, and return how many rows of each kind went.

        Raises:
            StoreUnavailable: the store did not answer; what was deleted before stays deleted.

        """
        now, ages, sweep = self._clock.now(), self._ages, self._sweeper
        events, runs = max(ages.events, DEDUP_US), max(ages.runs, DEDUP_US)
        return {
            "logs": await sweep.logs(now - min(ages.logs, runs)),
            "runs": await sweep.runs(now - runs),
            "events": await sweep.events(now - events),
            "attachments": await sweep.attachments(now - events),
            "occurrences": await sweep.occurrences(now - max(events, runs)),
            "dead_letters": await sweep.dead_letters(now - max(events, runs)),
            "backfills": await sweep.backfills(now - max(events, runs)),
            "rounds": await sweep.rounds(now - runs),
            "source_items": await sweep.source_items(now - events),
            "audit": await sweep.audit(now - ages.audit),
            "idempotency_keys": await sweep.idempotency_keys(now - IDEMPOTENCY_US),
        }

    async def loop(self) -> None:
        """Delete what has become old every ten minutes; a failure is logged and tried again."""
        while True:
            try:
                gone = await self.run_once()
                if any(gone.values()):
                    _log.info("retention.deleted", **gone)
            except SchedulerError as error:
                _log.warning("retention.failed", error=error.detail)
            await self._clock.sleep(LOOP_SECONDS)
