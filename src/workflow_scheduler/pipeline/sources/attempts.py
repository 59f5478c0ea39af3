"""What follows from how an attempt at a source went: when the next one is, and what the health says."""

from __future__ import annotations

import structlog

from workflow_scheduler.core.errors import EndOfSource, NotConnected, Rejected, RetryAfter, SchedulerError
from workflow_scheduler.core.time.backoff import backoff_seconds
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.pipeline.sources.lending import Pulse
from workflow_scheduler.stores.portable import sources
from workflow_scheduler.stores.portable.sources import Report, SourceRow

OPEN_FAILURES = 8
BACKOFF_CAP_SECONDS = 300.0
REFUSED_FIRST_SECONDS, REFUSED_CAP_SECONDS = 60.0, 900.0
ASKED_SECONDS = 60.0

_log = structlog.get_logger(__name__)


def went_well(row: SourceRow, pulse: Pulse, now: int, wait_seconds: float) -> Report:
    """Return the report of a poll that the peer has answered."""
    return Report(
        status=sources.CONNECTED,
        next_at=now + round(wait_seconds * SECOND_US),
        at=now,
        revision=row.revision,
        well=True,
        alive_at=now,
        lag=pulse.lag,
        expires_at=pulse.expires_at,
        credentials_end=pulse.credentials_end,
    )


def went_wrong(row: SourceRow, error: Exception, pulse: Pulse, clock: Clock, earlier: int) -> Report:
    """Return the report of an attempt that `error` ended, after `earlier` failures in a row.

    What is away is tried again with full jitter, from a second to five minutes; from the eighth failure on the circuit
    is open and one attempt looks whether the peer is back. What is refused is tried from a minute to a quarter of an
    hour apart, because somebody may mend it at the peer.
    """
    now, failures = clock.now(), earlier + 1
    detail = error.detail if isinstance(error, SchedulerError) else f"{type(error).__name__}: {error}"
    fix = error.fix if isinstance(error, SchedulerError) else None
    code, status, failed = "fault", sources.BACKING_OFF, True
    asked = error.retry_after_seconds if isinstance(error, SchedulerError) else None
    wait = backoff_seconds(failures, chance=clock.random(), cap=BACKOFF_CAP_SECONDS)
    if isinstance(error, RetryAfter):
        code, status, failed = error.code, sources.WAITING, False
        wait = (ASKED_SECONDS if asked is None else asked) * (1 + clock.random() / 10)
    elif isinstance(error, Rejected):
        code, status = error.code, sources.REFUSED
        wait = backoff_seconds(failures, chance=clock.random(), first=REFUSED_FIRST_SECONDS, cap=REFUSED_CAP_SECONDS)
    elif isinstance(error, NotConnected):
        code = error.code
        status = sources.OPEN if failures >= OPEN_FAILURES else status
        wait = max(wait, asked or 0.0)
    elif isinstance(error, EndOfSource):
        code, status, failed = error.code, sources.ENDED, False
    else:
        _log.error("source.fault", tenant=row.tenant_id, type=row.type, source=row.key, exc_info=error)
        detail = f"the trigger type failed: {detail}"
        fix = "This is a fault of the trigger type; the log of the service has its trace."
    return Report(
        status=status,
        next_at=None if status == sources.ENDED else now + round(wait * SECOND_US),
        at=now,
        revision=row.revision,
        failed=failed,
        code=code,
        error=detail,
        remedy=fix,
        alive_at=now if isinstance(error, RetryAfter) else pulse.alive_at,
        lag=pulse.lag,
        expires_at=pulse.expires_at,
        credentials_end=pulse.credentials_end,
    )
