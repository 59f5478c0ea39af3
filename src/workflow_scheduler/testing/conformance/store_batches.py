"""What every store must do with batches."""

from __future__ import annotations

import asyncio

import msgspec

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.core.ports.store import Accepted, Batch, Store
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import MINUTE_US
from workflow_scheduler.testing.conformance.store_material import (
    CLOCKED,
    advance,
    count,
    ended,
    move_epoch,
    run_row,
    set_name,
    started,
)
from workflow_scheduler.testing.factories import (
    NOON,
    Rows,
    make_dead_letter,
    make_event,
    make_job,
    make_log,
    make_occurrence,
    make_schedule,
    make_wake,
)


class StoreBatches:
    """The batch path."""

    async def test_a_batch_is_written_whole(self, store: Store) -> None:
        """Every kind of row arrives."""
        item = started()
        run = item.runs[0]
        result = await store.commit(
            Batch(
                accepted=[item],
                jobs=[make_job(run)],
                run_changes=[ended(run, output=b"{}")],
                logs=[make_log(run, "hello", 1)],
                dead=[make_dead_letter()],
                occurrences=[make_occurrence(CLOCKED, NOON)],
            )
        )
        assert not result.stale
        assert not result.fenced
        tables = ("events", "decisions", "runs", "jobs", "job_logs", "dead_letters", "occurrences")
        assert {table: await count(store, table) for table in tables} == dict.fromkeys(tables, 1)
        assert await run_row(store, run) == ("SUCCEEDED", NOON + MINUTE_US, b"{}", None)

    async def test_a_wake_comes_with_the_end_it_tells_of_and_only_with_it(self, store: Store) -> None:
        """The first one stored for a name counts; one whose run's end is refused is not stored."""
        waiting, child = started().runs[0], started()
        run = child.runs[0]
        wake = make_wake(waiting, run.id)
        await store.commit(Batch(accepted=[child]))
        late = ended(msgspec.structs.replace(run, fence=run.fence - 1))
        assert (await store.commit(Batch(run_changes=[late], run_wakes={run.id: wake}))).fenced == {run.id}
        assert await count(store, "wakes") == 0
        for output in (b"1", b"2"):
            told = msgspec.structs.replace(wake, output=output)
            await store.commit(Batch(run_changes=[ended(run)] if output == b"1" else [], run_wakes={run.id: told}))
        assert await store.read("SELECT output FROM wakes") == [(b"1",)]

    async def test_a_key_is_accepted_once(self, store: Store) -> None:
        """A redelivery is told the first event's id, and leaves no decision and no run."""
        first, again = started(make_event(event_key="k")), started(make_event(event_key="k"))
        assert (await store.commit(Batch(accepted=[first]))).duplicates == {}
        assert (await store.commit(Batch(accepted=[again]))).duplicates == {again.event.id: first.event.id}
        assert [await count(store, table) for table in ("events", "decisions", "runs")] == [1, 1, 1]
        assert await store.read("SELECT duplicates FROM events") == [(1,)]

    async def test_a_key_twice_in_one_batch_is_accepted_once(self, store: Store) -> None:
        """The first of the two stays."""
        first, again, other = (started(make_event(event_key=key)) for key in ("k", "k", "other"))
        result = await store.commit(Batch(accepted=[first, again, other]))
        assert len(result.duplicates) == 1
        assert set(result.duplicates) | set(result.duplicates.values()) == {first.event.id, again.event.id}
        assert [await count(store, table) for table in ("events", "decisions", "runs")] == [2, 2, 2]

    async def test_keys_of_other_tenants_and_sources_are_other_keys(self, store: Store) -> None:
        """Identity is (tenant, source, key)."""
        events = [
            make_event(event_key="k"),
            make_event(event_key="k", source="/elsewhere"),
            make_event(event_key="k", tenant_id="b"),
        ]
        result = await store.commit(Batch(accepted=[Accepted(event, [], []) for event in events]))
        assert result.duplicates == {}
        assert await count(store, "events") == len(events)

    async def test_a_batch_may_be_written_again(self, store: Store) -> None:
        """After an unknown outcome the same ids count as written, not as duplicates."""
        item = started()
        await store.commit(Batch(accepted=[item]))
        result = await store.commit(Batch(accepted=[item]))
        assert not result.duplicates
        assert not result.refused_runs
        assert [await count(store, table) for table in ("events", "decisions", "runs")] == [1, 1, 1]

    async def test_a_trigger_runs_once_for_a_key_from_several_sources(self, store: Store) -> None:
        """The second run is refused, and the decision says which run it was."""
        first = started(make_event(event_key="k"))
        second = started(make_event(event_key="k", source="/elsewhere"))
        await store.commit(Batch(accepted=[first]))
        result = await store.commit(Batch(accepted=[second]))
        assert result.refused_runs == {second.runs[0].id: first.runs[0].id}
        assert await count(store, "runs") == 1
        rows = await store.read("SELECT outcome, run_id FROM decisions WHERE event_id = :id", {"id": second.event.id})
        assert rows == [(Outcome.DUPLICATE.value, first.runs[0].id)]

    async def test_a_batch_decided_at_an_old_epoch_is_not_written(self, store: Store) -> None:
        """It is decided again; a batch that names no epoch does not mind."""
        epoch = await store.epoch()
        await store.transact(move_epoch())
        stale, free = await asyncio.gather(
            store.commit(Batch(epoch=epoch, accepted=[started()])), store.commit(Batch(accepted=[started()]))
        )
        assert stale.stale
        assert not free.stale
        assert await count(store, "events") == 1
        assert not (await store.commit(Batch(epoch=epoch + 1, accepted=[started()]))).stale

    async def test_a_schedule_is_moved_on_once(self, store: Store) -> None:
        """Who comes second writes neither the event nor the occurrence of the fire."""
        rows = Rows(store)
        schedule = make_schedule(CLOCKED, NOON)
        await rows.schedule(schedule)
        fires = [started(make_event(source="cron", event_key=f"{CLOCKED.id}@{NOON}")) for _ in range(2)]
        batches = [
            Batch(
                accepted=[fire],
                advances=[advance(schedule)],
                fired={CLOCKED.id: (fire.event.id,)},
                occurrences=[make_occurrence(CLOCKED, NOON, event_id=fire.event.id)],
            )
            for fire in fires
        ]
        results = await asyncio.gather(*(store.commit(batch) for batch in batches))
        assert sorted(len(result.lost_advances) for result in results) == [0, 1]
        assert [await count(store, table) for table in ("events", "runs", "occurrences")] == [1, 1, 1]
        stored = await store.read("SELECT next_fire_at, last_fired_at, completed FROM schedules")
        assert stored == [(NOON + MINUTE_US, NOON, 0)]

    async def test_an_edited_schedule_does_not_fire_as_it_was(self, store: Store) -> None:
        """Another revision is another schedule; events of other triggers in the batch are written."""
        await Rows(store).schedule(make_schedule(CLOCKED, NOON, revision=2))
        lost, other = started(), started()
        step = advance(make_schedule(CLOCKED, NOON, revision=1))
        result = await store.commit(
            Batch(accepted=[lost, other], advances=[step], fired={CLOCKED.id: (lost.event.id,)})
        )
        assert result.lost_advances == {CLOCKED.id}
        assert await store.read("SELECT id FROM events") == [(other.event.id,)]

    async def test_a_one_time_schedule_is_completed(self, store: Store) -> None:
        """It has no next fire and stays visible."""
        schedule = make_schedule(CLOCKED, NOON)
        await Rows(store).schedule(schedule)
        step = advance(schedule, next_fire_at=None, next_nominal=None, completed=True)
        await store.commit(Batch(advances=[step]))
        assert await store.read("SELECT next_fire_at, last_nominal, completed FROM schedules") == [(None, NOON, 1)]

    async def test_an_older_fence_is_refused(self, store: Store) -> None:
        """Neither job records nor changes of a former owner are written."""
        item = started(fence=2)
        run = item.runs[0]
        await store.commit(Batch(accepted=[item]))
        result = await store.commit(Batch(jobs=[make_job(run, fence=1)], run_changes=[ended(run, fence=1)]))
        assert result.fenced == {run.id}
        assert await count(store, "jobs") == 0
        assert (await run_row(store, run))[0] == "QUEUED"
        assert (await store.commit(Batch(run_changes=[ended(run)]))).fenced == frozenset()

    async def test_a_run_ends_once(self, store: Store) -> None:
        """The first end stays, whatever comes later."""
        item = started()
        run = item.runs[0]
        await store.commit(Batch(accepted=[item]))
        await store.commit(Batch(run_changes=[ended(run, output=b"1")]))
        late = Batch(jobs=[make_job(run)], run_changes=[ended(run, RunStatus.FAILED, output=b"2")])
        assert (await store.commit(late)).fenced == {run.id}
        assert (await run_row(store, run))[:3] == ("SUCCEEDED", NOON + MINUTE_US, b"1")
        assert await count(store, "jobs") == 0

    async def test_one_refused_run_does_not_touch_the_others(self, store: Store) -> None:
        """In one batch and beside other batches, each run is judged for itself."""
        items = [started() for _ in range(20)]
        runs = [item.runs[0] for item in items]
        await store.commit(Batch(accepted=items))
        await store.commit(Batch(run_changes=[ended(runs[7], RunStatus.CANCELLED)]))
        together = Batch(jobs=[make_job(run) for run in runs[:10]], run_changes=[ended(run) for run in runs[:10]])
        single = [Batch(jobs=[make_job(run)], run_changes=[ended(run)]) for run in runs[10:]]
        results = await asyncio.gather(*(store.commit(batch) for batch in (together, *single)))
        assert [result.fenced for result in results] == [frozenset({runs[7].id})] + [frozenset()] * 10
        assert await store.read("SELECT count(*) FROM runs WHERE status = 'SUCCEEDED'") == [(19,)]
        assert await count(store, "jobs") == len(runs) - 1

    async def test_the_event_of_a_refused_end_is_not_written(self, store: Store) -> None:
        """A former owner cannot announce an end that did not happen."""
        item = started(fence=2)
        run = item.runs[0]
        await store.commit(Batch(accepted=[item]))
        end = started(make_event(source="workflow", event_key=f"{run.id}/FAILED"))
        batch = Batch(accepted=[end], ends={end.event.id: run.id}, run_changes=[ended(run, RunStatus.FAILED, fence=1)])
        assert (await store.commit(batch)).fenced == {run.id}
        assert await count(store, "events") == 1

    async def test_none_leaves_what_is_stored(self, store: Store) -> None:
        """Changes carry only what is new; several of one run in one group are laid over each other."""
        item = started()
        run = item.runs[0]
        await store.commit(Batch(accepted=[item]))
        running = ended(run, RunStatus.RUNNING, started_at=NOON, ended_at=None, external_id="x")
        await asyncio.gather(
            store.commit(Batch(run_changes=[running])), store.commit(Batch(run_changes=[ended(run, output=b"7")]))
        )
        assert await run_row(store, run) == ("SUCCEEDED", NOON + MINUTE_US, b"7", "x")

    async def test_the_last_record_of_a_job_wins(self, store: Store) -> None:
        """Also when both are in one batch."""
        item = started()
        run = item.runs[0]
        running = make_job(run, status=JobStatus.RUNNING, ended_at=None, output=None)
        await store.commit(Batch(accepted=[item]))
        await store.commit(Batch(jobs=[running, make_job(run), make_job(run, "other")]))
        rows = await store.read("SELECT job_id, status, output FROM jobs ORDER BY job_id")
        assert rows == [("other", "SUCCEEDED", b'{"rows":3}'), ("work", "SUCCEEDED", b'{"rows":3}')]

    async def test_a_value_that_cannot_be_stored_fails_only_its_own_batch(self, store: Store) -> None:
        """A poison event never blocks its neighbours."""
        poison = started(make_event(subject="half a character \ud800"))
        batches = [Batch(accepted=[item]) for item in (started(), poison, started())]
        results = await asyncio.gather(*(store.commit(batch) for batch in batches), return_exceptions=True)
        assert [isinstance(result, SchedulerError) for result in results] == [False, True, False]
        assert await count(store, "events") == len(batches) - 1

    async def test_two_hundred_tasks_at_once(self, store: Store) -> None:
        """Every one gets its own answer, and all is stored."""
        pairs = [[started(make_event(event_key=str(number))) for _ in range(2)] for number in range(100)]
        batches = [Batch(accepted=[item]) for pair in pairs for item in pair]
        works = [store.transact(set_name(str(number))) for number in range(20)]
        commits = asyncio.gather(*(store.commit(batch) for batch in batches))
        results, names = await asyncio.gather(commits, asyncio.gather(*works))
        refused = [result.duplicates for result in results]
        assert sum(bool(duplicates) for duplicates in refused) == len(pairs)
        assert await count(store, "events") == len(pairs)
        assert await count(store, "runs") == len(pairs)
        assert names == [str(number) for number in range(20)]

    async def test_a_large_batch_of_odd_size(self, store: Store) -> None:
        """Sizes that no prepared statement fits exactly."""
        items = [started() for _ in range(1_357)]
        await store.commit(Batch(accepted=items))
        runs = [item.runs[0] for item in items]
        await store.commit(Batch(jobs=[make_job(run) for run in runs], run_changes=[ended(run) for run in runs]))
        assert await store.read("SELECT count(*) FROM runs WHERE status = 'SUCCEEDED'") == [(len(items),)]
        assert await count(store, "jobs") == len(items)
