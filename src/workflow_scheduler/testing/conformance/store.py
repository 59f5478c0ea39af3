"""What every store must do.

Subclass StoreConformance with a fixture `store` that gives an open, empty Store.
"""

from __future__ import annotations

from workflow_scheduler.testing.conformance.store_batches import StoreBatches
from workflow_scheduler.testing.conformance.store_transactions import StoreTransactions


class StoreConformance with a fixture `store` that gives an open, empty Store. `StoreTransactions` covers reads and
transactions, `StoreBatches` the batch path; StoreConformance is both.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, SchedulerError
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobStatus, Run, RunChange, RunStatus
from workflow_scheduler.core.model.trigger import Schedule
from workflow_scheduler.core.ports.store import Accepted, Batch, ScheduleAdvance, Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import MINUTE_US
from workflow_scheduler.testing.factories import (
    NOON,
    Rows,
    make_dead_letter,
    make_decision,
    make_event,
    make_job,
    make_log,
    make_occurrence,
    make_run,
    make_schedule,
    make_trigger,
)

TRIGGER = make_trigger()
CLOCKED = make_trigger("nightly", type="cron")


def started(event: Event | None = None, **given: Any) -> Accepted:
    """Return an event with one run and its decision."""
    event = event or make_event()
    run = make_run(TRIGGER, event, **given)
    return Accepted(event, [make_decision(TRIGGER, event, run)], [run])


def ended(run: Run, status: RunStatus = RunStatus.SUCCEEDED, **given: Any) -> RunChange:
    """Return the change that ends `run`."""
    values: dict[str, Any] = {"fence": run.fence, "ended_at": NOON + MINUTE_US, **given}
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, status=status, **values)


def advance(schedule: Schedule, **given: Any) -> ScheduleAdvance:
    """Return the step of `schedule` to its next minute."""
    due = schedule.next_fire_at
    assert due is not None
    values: dict[str, Any] = {
        "tenant_id": schedule.tenant_id, "trigger_id": schedule.trigger_id, "revision": schedule.revision,
        "was_fire_at": due, "next_fire_at": due + MINUTE_US, "next_nominal": due + MINUTE_US, "last_nominal": due,
        "last_fired_at": due,
    }  # fmt: skip
    return ScheduleAdvance(**{**values, **given})


def set_name(name: str, *, fail: bool = False) -> Work[str]:
    """Insert a tenant and return its name as stored; `fail` raises NotFound after that."""
    rows = yield Sql(
        "INSERT INTO tenants (id, name, created_at) VALUES (:tenant, :name, :now) RETURNING name",
        {"tenant": f"tenant-{name}", "name": name, "now": NOON},
    )
    if fail:
        raise NotFound(name)
    return str(rows[0][0])


def move_epoch() -> Work[int]:
    """Move the index epoch on and return it."""
    rows = yield Sql("UPDATE index_epoch SET epoch = epoch + 1 RETURNING epoch")
    return int(rows[0][0])


async def count(store: Store, table: str) -> int:
    """Return the number of rows of `table`."""
    return int((await store.read(f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608 (a name of the suite)


async def run_row(store: Store, run: Run) -> tuple[Any, ...]:
    """Return (status, ended_at, output, external_id) of `run`."""
    rows = await store.read(
        "SELECT status, ended_at, output, external_id FROM runs WHERE tenant_id = :tenant AND id = :id",
        {"tenant": run.tenant_id, "id": run.id},
    )
    return rows[0]


class StoreTransactions:
    """Reads and works."""

    async def test_a_work_gets_rows_and_returns_a_value(self, store: Store) -> None:
        """The value of the generator is the value of the transaction, and its rows are there afterwards."""
        assert await store.transact(set_name("a")) == "a"
        assert await store.read("SELECT name FROM tenants WHERE id = :tenant", {"tenant": "tenant-a"}) == [("a",)]

    async def test_a_work_without_statements_returns_its_value(self, store: Store) -> None:
        """A generator may end before its first statement."""

        def nothing() -> Work[int]:
            if store is None:
                yield Sql("SELECT 1")
            return 7

        assert await store.transact(nothing()) == 7  # noqa: PLR2004 (the value above)

    async def test_an_error_in_a_work_undoes_all_of_it(self, store: Store) -> None:
        """The error reaches the caller as it was raised."""
        with pytest.raises(NotFound):
            await store.transact(set_name("a", fail=True))
        assert await count(store, "tenants") == 0

    async def test_a_failed_work_does_not_touch_its_neighbours(self, store: Store) -> None:
        """Works that share a commit are isolated from each other."""
        works = [store.transact(set_name(str(number), fail=number % 3 == 0)) for number in range(12)]
        results = await asyncio.gather(*works, return_exceptions=True)
        assert [isinstance(result, NotFound) for result in results] == [number % 3 == 0 for number in range(12)]
        assert await count(store, "tenants") == 8  # noqa: PLR2004 (two of three)

    async def test_a_violated_constraint_is_a_conflict(self, store: Store) -> None:
        """A row that exists already, and a value outside its list."""
        await store.transact(set_name("a"))
        with pytest.raises(Conflict):
            await store.transact(set_name("a"))
        assert await count(store, "tenants") == 1

    async def test_a_work_sees_its_own_writes_and_others_do_not_before_the_end(self, store: Store) -> None:
        """A later statement of a work reads what an earlier one wrote."""

        def twice() -> Work[int]:
            yield from set_name("a")
            rows = yield Sql("SELECT count(*) FROM tenants")
            return int(rows[0][0])

        assert await store.transact(twice()) == 1

    async def test_values_come_back_as_they_went_in(self, store: Store) -> None:
        """Bytes stay bytes, text stays text, numbers keep 64 bits, and None stays None."""
        event = make_event(data=b'\x00\xff{"a":1}', subject="snow ☃ \U0001f600", depth=3, traceparent=None)
        await store.commit(Batch(accepted=[Accepted(event, [], [])]))
        rows = await store.read(
            "SELECT data, subject, depth, traceparent, received_at, sub_keys FROM events WHERE tenant_id = :tenant",
            {"tenant": event.tenant_id},
        )
        assert rows == [(event.data, event.subject, 3, None, event.received_at, '[""]')]

    async def test_parameters_may_be_used_twice_be_none_or_be_calculated_with(self, store: Store) -> None:
        """The shapes that lists with optional filters and cursors use."""
        for name in ("a", "b", "c"):
            await store.transact(set_name(name))
        text = (
            "SELECT name FROM tenants WHERE (:after IS NULL OR id > :after) AND created_at >= :now - 5000000000 "
            "AND 'a:b' = 'a:b' ORDER BY id DESC LIMIT :limit"
        )
        assert await store.read(text, {"after": None, "now": NOON, "limit": 2}) == [("c",), ("b",)]
        assert await store.read(text, {"after": "tenant-b", "now": NOON, "limit": 2}) == [("c",)]

    async def test_json_is_read_from_text_and_from_bytes(self, store: Store) -> None:
        """The `{json:…}` macro makes both usable with the operators."""
        event = make_event(data=b'{"branch":"main"}', index_keys=("orders",))
        await store.commit(Batch(accepted=[Accepted(event, [], [])]))
        text = (
            "SELECT {json:data} ->> 'branch', {json:index_keys} ->> 0 FROM events WHERE {json:data} ->> 'branch' = :b"
        )
        assert await store.read(text, {"b": "main"}) == [("main", "orders")]

    async def test_text_is_ordered_by_bytes(self, store: Store) -> None:
        """Cursors compare ids as both databases do."""
        for name in ("b", "B", "a", "Z", "é"):
            await store.transact(set_name(name))
        rows = await store.read("SELECT name FROM tenants ORDER BY name")
        assert [row[0] for row in rows] == ["B", "Z", "a", "b", "é"]

    async def test_a_large_result_arrives_whole(self, store: Store) -> None:
        """A read without a limit is not cut off."""
        items = [Accepted(make_event(), [], []) for _ in range(3_000)]
        await store.commit(Batch(accepted=items))
        rows = await store.read("SELECT a.id FROM events a JOIN events b ON b.tenant_id = a.tenant_id AND b.id = a.id")
        assert {row[0] for row in rows} == {item.event.id for item in items}

    async def test_a_new_epoch_is_told(self, store: Store) -> None:
        """Whoever keeps a cache of the index hears of a change."""
        told: asyncio.Queue[int] = asyncio.Queue()
        store.on_epoch(told.put_nowait)
        before = await store.epoch()
        after = await store.transact(move_epoch())
        assert after == before + 1
        assert await asyncio.wait_for(told.get(), 10) == after
        assert await store.epoch() == after


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
        results = await asyncio.gather(*(store.commit(batch) for batch in batches), *works)
        refused = [result.duplicates for result in results[: len(batches)]]
        assert sum(bool(duplicates) for duplicates in refused) == len(pairs)
        assert await count(store, "events") == len(pairs)
        assert await count(store, "runs") == len(pairs)
        assert results[len(batches) :] == [str(number) for number in range(20)]

    async def test_a_large_batch_of_odd_size(self, store: Store) -> None:
        """Sizes that no prepared statement fits exactly."""
        items = [started() for _ in range(1_357)]
        await store.commit(Batch(accepted=items))
        runs = [item.runs[0] for item in items]
        await store.commit(Batch(jobs=[make_job(run) for run in runs], run_changes=[ended(run) for run in runs]))
        assert await store.read("SELECT count(*) FROM runs WHERE status = 'SUCCEEDED'") == [(len(items),)]
        assert await count(store, "jobs") == len(items)


class StoreConformance(StoreTransactions, StoreBatches):
    """The suite."""
