"""Retention and the figures of queue health."""

import asyncio

import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.stores.portable.health import queue_health
from workflow_scheduler.stores.portable.retention import Sweeper
from workflow_scheduler.stores.portable.tenants import tenants_of
from workflow_scheduler.testing.factories import (
    NOON,
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

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
AGES = Ages(events=30 * DAY_US, runs=30 * DAY_US, logs=10 * DAY_US)


async def counts(house):
    tables = ("events", "decisions", "runs", "jobs", "job_logs", "occurrences", "dead_letters", "idempotency_keys")
    return {table: (await house.store.read(f"SELECT count(*) FROM {table}"))[0][0] for table in tables}  # noqa: S608


async def happened(house, days_ago, status=RunStatus.SUCCEEDED, tenant="local"):
    at = NOON - days_ago * DAY_US
    trigger = make_trigger(tenant_id=tenant)
    event = await house.rows.event(make_event(at, tenant_id=tenant))
    ended = None if status in (RunStatus.RUNNING, RunStatus.PAUSED) else at + SECOND_US
    run = await house.rows.run(make_run(trigger, event, status=status, ended_at=ended))
    await house.rows.decision(make_decision(trigger, event, run))
    await house.rows.job(make_job(run))
    for number in range(3):
        await house.rows.log(make_log(run, "x", number))
    return run


async def test_old_things_go_and_young_things_stay(house):
    for days in (1, 5, 20, 40, 400):
        await happened(house, days)
        await happened(house, days, tenant="other")
    gone = await Retention(house.store, house.clock, AGES).run_once()
    assert gone["events"] == 4
    assert gone["runs"] == 4
    left = await counts(house)
    assert (left["events"], left["decisions"], left["runs"], left["jobs"]) == (6, 6, 6, 6)
    assert left["job_logs"] == 12
    assert await Retention(house.store, house.clock, AGES).run_once() == dict.fromkeys(gone, 0)


async def test_what_an_open_run_needs_stays(house):
    await happened(house, 100, RunStatus.PAUSED)
    await happened(house, 100, RunStatus.FAILED)
    await Retention(house.store, house.clock, AGES).run_once()
    left = await counts(house)
    assert (left["events"], left["decisions"], left["runs"], left["jobs"], left["job_logs"]) == (1, 1, 1, 1, 3)


async def test_a_run_that_ended_lately_stays_however_long_it_took(house):
    run = await happened(house, 100, RunStatus.RUNNING)
    event = make_event(NOON - 100 * DAY_US)
    await house.rows.run(make_run(None, event, status=RunStatus.SUCCEEDED, ended_at=NOON - DAY_US))
    assert await Sweeper(house.store).runs(NOON - 30 * DAY_US) == 0
    assert run.id in {row[0] for row in await house.store.read("SELECT id FROM runs")}


async def test_keys_that_refuse_doubles_live_for_seven_days_whatever_is_asked(house):
    await happened(house, 6)
    await happened(house, 8)
    await Retention(house.store, house.clock, Ages(events=1, runs=1, logs=1)).run_once()
    left = await counts(house)
    assert (left["events"], left["runs"]) == (1, 1)


async def test_small_portions_reach_the_end_as_well(house):
    for days in range(20, 32):
        await happened(house, days)
    await happened(house, 25, RunStatus.PAUSED)
    sweeper = Sweeper(house.store, portion=2)
    assert await sweeper.logs(NOON - 10 * DAY_US) == 36
    assert await sweeper.runs(NOON - 10 * DAY_US) == 12
    assert await sweeper.events(NOON - 10 * DAY_US) == 12


async def test_occurrences_settled_dead_letters_and_idempotency_keys_go_too(house):
    for name in ("a", "b"):
        for days in (1, 50, 51, 52):
            await house.rows.occurrence(make_occurrence(make_trigger(name), NOON - days * DAY_US))
    dead = await house.rows.dead_letter(make_dead_letter(NOON - 50 * DAY_US))
    settled = await house.rows.dead_letter(make_dead_letter(NOON - 50 * DAY_US))
    await house.dead.discard(LOCAL, settled.id)
    for hours in (1, 26, 27):
        await house.rows.raw(
            "idempotency_keys",
            tenant_id="local",
            scope="POST /x",
            key=str(hours),
            fingerprint="f",
            status=200,
            body=b"",
            created_at=NOON - hours * HOUR_US,
        )
    sweeper = Sweeper(house.store, portion=2)
    assert await sweeper.occurrences(NOON - 30 * DAY_US) == 6
    assert await sweeper.dead_letters(NOON - 30 * DAY_US) == 1
    assert await sweeper.idempotency_keys(NOON - 25 * HOUR_US) == 2
    assert [row[0] for row in await house.store.read("SELECT id FROM dead_letters")] == [dead.id]


async def test_the_loop_goes_on_after_a_failure(house, monkeypatch):
    retention = Retention(house.store, house.clock, AGES)
    calls = []

    async def flaky():
        calls.append(house.clock.now())
        if len(calls) == 1:
            raise StoreUnavailable("the disk is full")
        return {"events": 1}

    monkeypatch.setattr(retention, "run_once", flaky)
    loop = asyncio.create_task(retention.loop())
    await house.clock.advance(1300)
    loop.cancel()
    assert len(calls) == 3


async def test_tenants_are_found_without_a_scan(house):
    for tenant in ("a", "b", "c"):
        for _ in range(3):
            await house.rows.event(make_event(tenant_id=tenant))
    assert await tenants_of(house.store, "events") == ["a", "b", "c"]
    assert await tenants_of(house.store, "runs") == []
    with pytest.raises(ValueError, match="secrets"):
        await tenants_of(house.store, "secrets")


async def test_queue_health_counts_what_waits(house):
    empty = await queue_health(house.store, NOON)
    assert set(empty.gauges().values()) == {0}
    assert empty.open_runs == 0
    for name, late in (("a", 10 * SECOND_US), ("b", 5 * MINUTE_US), ("c", -HOUR_US)):
        await house.rows.schedule(make_schedule(make_trigger(name), NOON - late))
    await house.rows.schedule(make_schedule(make_trigger("d"), NOON - DAY_US, paused=True))
    for n, status in enumerate((RunStatus.QUEUED, RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.FAILED)):
        event = make_event(NOON - (90 - n) * SECOND_US)
        await house.rows.run(make_run(None, event, status=status))
    await house.rows.dead_letter(make_dead_letter(NOON - 30 * SECOND_US))
    await house.rows.dead_letter(make_dead_letter(NOON - 20 * SECOND_US, tenant_id="other"))
    found = await queue_health(house.store, NOON)
    assert (found.due, found.overdue, found.oldest_due_seconds) == (2, 1, 300.0)
    assert (found.queued_runs, found.running_runs, found.paused_runs, found.open_runs) == (2, 1, 0, 3)
    assert found.oldest_queued_seconds == 90.0
    assert (found.dead_letters, found.oldest_dead_letter_seconds) == (2, 30.0)
    assert found.gauges()["queue_pending"] == 2
