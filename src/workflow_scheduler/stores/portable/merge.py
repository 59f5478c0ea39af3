"""The part of writing batches that is the same on every database: what is merged, folded, left out, and reported."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.run import FINAL, JobRecord, RunChange, Wake
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Accepted, Batch, BatchResult, SourceId
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.stores.portable import columns

WRITTEN = BatchResult()
STALE = BatchResult(stale=True)


class GuardLostError(Exception):
    """A guard did not hold for every row of a merged write; nothing that was written may stay."""


class Refusals(msgspec.Struct):
    """What a write refused: event id -> earlier event id, run id -> earlier run id, trigger ids, sources, run ids."""

    duplicates: dict[str, str] = msgspec.field(default_factory=dict)
    runs: dict[str, str] = msgspec.field(default_factory=dict)
    lost: set[str] = msgspec.field(default_factory=set)
    moves: set[SourceId] = msgspec.field(default_factory=set)
    fenced: set[str] = msgspec.field(default_factory=set)


def side_by_side(batches: Sequence[Batch]) -> Batch:
    """Return one batch with the contents of all, in their order."""
    whole = Batch()
    for batch in batches:
        whole.accepted += batch.accepted
        whole.advances += batch.advances
        whole.moves += batch.moves
        whole.occurrences += batch.occurrences
        whole.run_changes += batch.run_changes
        whole.jobs += batch.jobs
        whole.logs += batch.logs
        whole.dead += batch.dead
        whole.fired.update(batch.fired)
        whole.heard.update(batch.heard)
        whole.ends.update(batch.ends)
        whole.run_wakes.update(batch.run_wakes)
    return whole


def without_lost(batch: Batch, lost: set[str]) -> tuple[Sequence[Accepted], Sequence[Occurrence]]:
    """Leave out the events and occurrences of schedules that somebody else has moved on."""
    if not lost:
        return batch.accepted, batch.occurrences
    dropped = {event_id for trigger_id in lost for event_id in batch.fired.get(trigger_id, ())}
    accepted = [item for item in batch.accepted if item.event.id not in dropped]
    return accepted, [item for item in batch.occurrences if item.trigger_id not in lost]


def without_lost_moves(batch: Batch, accepted: Sequence[Accepted], lost: set[SourceId]) -> Sequence[Accepted]:
    """Leave out the events of sources that somebody else holds now; they come to their new owner again."""
    if not lost:
        return accepted
    dropped = {event_id for source in lost for event_id in batch.heard.get(source, ())}
    return [item for item in accepted if item.event.id not in dropped]


def folded(changes: Sequence[RunChange]) -> list[RunChange]:
    """Return one change per run: later ones of the same owner are laid over earlier ones.

    Raises:
        GuardLostError: two owners, or a change after the end, in one group; they have to be written one by one.

    """
    found: dict[str, RunChange] = {}
    for change in changes:
        earlier = found.get(change.run_id)
        if earlier is None:
            found[change.run_id] = change
        elif earlier.fence != change.fence or earlier.status in FINAL:
            raise GuardLostError
        else:
            later = {name: value for name in columns.RUN_CHANGE if (value := getattr(change, name)) is not None}
            found[change.run_id] = replace(earlier, **later)
    return list(found.values())


def seen(decision: Decision, refused: dict[str, str]) -> Decision:
    """Return what the decision becomes when its run exists already under the same key."""
    earlier = refused.get(decision.run_id or "")
    if earlier is None:
        return decision
    return replace(decision, outcome=Outcome.DUPLICATE, reason=Reason.ALREADY_SEEN, run_id=earlier)


def as_settled(occurrences: Sequence[Occurrence], refused: Refusals) -> Sequence[Occurrence]:
    """Return the records of fires as they turned out: one that somebody else had started before started nothing."""
    if not refused.duplicates and not refused.runs:
        return occurrences
    found = []
    for one in occurrences:
        event, run = refused.duplicates.get(one.event_id or ""), refused.runs.get(one.run_id or "")
        if event is not None or run is not None:
            seen_before = {"outcome": Outcome.DUPLICATE, "reason": Reason.ALREADY_SEEN}
            found.append(replace(one, **seen_before, run_id=run, event_id=event or one.event_id))
        else:
            found.append(one)
    return found


def result_of(batch: Batch, refused: Refusals) -> BatchResult:
    """Return the part of `refused` that concerns `batch`."""
    duplicates, runs = refused.duplicates, refused.runs
    if not (duplicates or runs or refused.lost or refused.moves or refused.fenced):
        return WRITTEN
    own = [item.event.id for item in batch.accepted] if duplicates else []
    own_runs = [run.id for item in batch.accepted for run in item.runs] if runs else []
    touched = {change.run_id for change in batch.run_changes} | {job.run_id for job in batch.jobs}
    return BatchResult(
        duplicates={event_id: duplicates[event_id] for event_id in own if event_id in duplicates},
        refused_runs={run_id: runs[run_id] for run_id in own_runs if run_id in runs},
        lost_advances=frozenset(item.trigger_id for item in batch.advances if item.trigger_id in refused.lost),
        lost_moves=frozenset(item.id for item in batch.moves if item.id in refused.moves),
        fenced=frozenset(touched & refused.fenced),
    )


class Parts(msgspec.Struct, gc=False):
    """The job records and run changes of a batch, before and after the runs that the same batch creates."""

    jobs: Sequence[JobRecord]
    changes: Sequence[RunChange]
    late_jobs: Sequence[JobRecord] = ()
    late_changes: Sequence[RunChange] = ()


def parts(batch: Batch, accepted: Sequence[Accepted]) -> Parts:
    """Split what concerns runs that exist already from what concerns runs that `accepted` creates."""
    jobs, changes = batch.jobs, batch.run_changes
    if not accepted or not (jobs or changes):
        return Parts(jobs, changes)
    created = {run.id for item in accepted for run in item.runs}
    late_jobs = [job for job in jobs if job.run_id in created]
    late_changes = [change for change in changes if change.run_id in created]
    if not late_jobs and not late_changes:
        return Parts(jobs, changes)
    return Parts(
        [job for job in jobs if job.run_id not in created],
        [change for change in changes if change.run_id not in created],
        late_jobs,
        late_changes,
    )


def without_fenced_ends(batch: Batch, accepted: Sequence[Accepted], fenced: set[str]) -> Sequence[Accepted]:
    """Leave out the events that say a run ended where that end was refused."""
    if not fenced or not batch.ends:
        return accepted
    return [item for item in accepted if batch.ends.get(item.event.id) not in fenced]


def wakes_of(batch: Batch, fenced: set[str]) -> list[Wake]:
    """Return the wakes of a batch, without those of runs whose end was refused."""
    return [wake for run_id, wake in batch.run_wakes.items() if run_id not in fenced]


def rows_of(batch: Batch) -> int:
    """Return about how many rows `batch` writes."""
    accepted = batch.accepted
    own = 3 * len(accepted) + len(batch.advances) + len(batch.moves) + len(batch.jobs) + len(batch.logs)
    return 1 + own + len(batch.run_changes) + len(batch.occurrences) + len(batch.dead) + len(batch.run_wakes)
