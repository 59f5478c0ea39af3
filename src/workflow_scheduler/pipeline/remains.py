"""What a run that ends outside of its engine leaves behind: records of jobs that were under way when it last ran."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus, Run
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import claims

RETRY_SECONDS = 1.0


async def closed_jobs(
    store: Store, clock: Clock, run: Run, status: JobStatus, error: bytes | None = None
) -> list[JobRecord]:
    """Return the open job records of `run`, closed with `status`; the store is waited for.

    Records that cannot be read stay as they are: the inspection lists them.
    """
    while True:
        try:
            jobs = await claims.jobs_of(store, run)
        except StoreUnavailable:
            await clock.sleep(RETRY_SECONDS)
        except (ValueError, TypeError):
            return []
        else:
            break
    now = clock.now()
    return [
        msgspec.structs.replace(job, status=status, ended_at=now, wake_at=None, error=error or job.error)
        for job in jobs
        if job.status not in JOB_FINAL
    ]
