"""Parking: how a job says that it waits and needs nothing until then.

A job type's `run` returns one of the structs below instead of an output. The engine stores it with the job, as PAUSED,
gives the job's place back, and keeps no task, connection or transaction for it. Parked jobs survive restarts and go
with their run to another instance.

**Waiting for a named thing.** `WaitFor(name)` parks a job until somebody stores a `Wake` with that name for it:

- The name says what is waited for, with its kind before the colon: `run:ID` is the end of a run. It is unique within
  (run, job), so that an answer to an earlier attempt cannot be taken for one to this attempt.
- `stores/portable/intake.put_wake` stores the wake, as a step of any transaction, on any instance. The first one
  stored for a name counts. It may be stored before the job is parked. Ends of runs come with their batch
  (`Batch.run_wakes`).
- The instance that owns the run finds it within a second (`pipeline/wakes.py`; at once with its `hint`), hands it to
  `EmbeddedEngine.complete`, and removes it when the job's end is on disk. Until then it is handed over again, also
  after a crash: the end of a job is taken in once, whatever is repeated.
- A wake is found by a run that rests as well (below): whoever stores one need not know where the run is.
- When the job is cancelled or runs out of its `timeout`, the engine awaits `withdraw(run, job_id, name)`
  (`EmbeddedEngine.connect`) and then ends the job: what was waited for is told durably, or told again after a crash.
  A wake that comes meanwhile counts if it comes first.

**Runs that rest.** A run of which every job under way is parked, waits for its next attempt, or for its iteration, with
nothing due within a minute, is PAUSED. The engine then lets go of it (`engines/embedded/standing.py`), at once when it
waits for times only, after five seconds when it waits for something named. The change and the jobs' records are one
commit; from then on the row has the owner `parked`, the next due time (`wake_at`, of jobs, their timeouts and the
run's), and no process keeps anything of it: 10,000 such runs cost rows. Every instance looks once a second for rows
that are due, are to be cancelled, or were told something (`pipeline/wakes.py`), takes them under a higher fence, and
goes on from the stored records. Rules that hold places go on holding them: a run that rests counts for its `overlap`,
and one whose workflow has `concurrency.max_runs` is PAUSED but stays in its process, whose places those are.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from workflow_scheduler.core.dag.repeat import split_instance
from workflow_scheduler.core.model.run import JobStatus
from workflow_scheduler.core.time.clock import SECOND_US

REST_US: Final = 60 * SECOND_US


class SleepUntil(msgspec.Struct, frozen=True):
    """What a job type's `run` returns to be parked until `wake_at` (microseconds UTC).

    The engine stores the time with the job, holds no worker, and ends the job successfully with `output` once the
    time has come, also after a restart. A time that is past ends the job at once.
    """

    wake_at: int
    output: Any = None


class WaitFor(msgspec.Struct, frozen=True):
    """What a job type's `run` returns to be parked until a wake named `name` is stored for it (see the module).

    `facts` are shown as the job's output while it waits, beside `waiting_for`: they tell people what is going on.
    """

    name: str
    facts: dict[str, Any] = {}


class Waiting(msgspec.Struct, frozen=True):
    """What is stored of a WaitFor: the part of the job's output that the engine reads again."""

    waiting_for: str


def is_resting(under_way: Collection[tuple[str, JobStatus, int | None]], now: int) -> bool:
    """Return whether a run rests of which these jobs (id, status, next time) have begun and not ended.

    A repeated job is under way as its instances are.
    """
    repeated = {parts[0] for one in under_way if (parts := split_instance(one[0])) is not None}
    times = []
    named = False
    for job_id, status, wake_at in under_way:
        if job_id in repeated:
            continue
        if status is JobStatus.RUNNING:
            return False
        named = named or wake_at is None
        times.append(wake_at)
    return bool(times) and (named or all(at is not None and at - now > REST_US for at in times))


def waiting_for(output: bytes | None) -> str | None:
    """Return the name that a stored PAUSED job waits for; None when it waits for a time."""
    try:
        return msgspec.json.decode(output or b"null", type=Waiting).waiting_for
    except msgspec.MsgspecError:
        return None
