"""No query of lists and explanations looks through a table: each is answered by an index (SQLite shows its plan)."""

import apsw
import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.services.backfill_rule import BackfillRequest
from workflow_scheduler.services.replay import ReplayRequest
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter
from workflow_scheduler.stores.portable.events import EventFilter
from workflow_scheduler.stores.portable.health import queue_health
from workflow_scheduler.stores.portable.runs import RunFilter
from workflow_scheduler.testing.factories import (
    NOON,
    make_dead_letter,
    make_decision,
    make_event,
    make_job,
    make_log,
    make_run,
    make_trigger,
)

BIG = (
    "events",
    "decisions",
    "runs",
    "jobs",
    "job_logs",
    "dead_letters",
    "occurrences",
    "schedules",
    "idempotency_keys",
)


class Watched:
    """A store that keeps every statement it is asked for."""

    def __init__(self, store):
        self.store = store
        self.texts = {}

    @property
    def dialect(self):
        return self.store.dialect

    def on_epoch(self, callback):
        self.store.on_epoch(callback)

    async def epoch(self):
        return await self.store.epoch()

    async def read(self, text, params=None):
        self.texts[text] = params or {}
        return await self.store.read(text, params)

    async def transact(self, work):
        return await self.store.transact(self._watch(work))

    def _watch(self, work):
        sent = None
        while True:
            try:
                statement = work.send(sent)
            except StopIteration as end:
                return end.value
            self.texts[statement.text] = statement.params
            sent = yield statement

    async def commit(self, batch):
        return await self.store.commit(batch)


@pytest.fixture
async def watched(store, house):
    seen = Watched(store)
    made = type(house)(seen)
    await made.cache.refresh()
    return made


def plans(path, texts):
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    for text, params in texts.items():
        lines = connection.execute("EXPLAIN QUERY PLAN " + text.replace("{json:", "").replace("}", ""), dict(params))
        yield text, [line[3] for line in lines]


def scans(text, lines):
    """Return the lines of a plan that walk through a big table without a condition on an index."""
    bad = [line for line in lines if line.startswith("SCAN ") and line.split()[1] in BIG]
    # `SELECT MIN(tenant_id)` and the oldest of an index are one probe, which the plan calls a scan or a search.
    return [] if "MIN(" in text and "WITH RECURSIVE" in text else bad


async def test_every_query_is_answered_by_an_index(watched, store):
    house = watched
    await house.deploy(
        "flow",
        hook={"type": "webhook", "path": "orders", "signature": "none"},
        hourly={"type": "cron", "cron": "0 * * * *"},
    )
    trigger = make_trigger(workflow="flow")
    event = await house.rows.event(make_event())
    run = await house.rows.run(make_run(trigger, event))
    await house.rows.decision(make_decision(trigger, event, run))
    await house.rows.job(make_job(run))
    await house.rows.log(make_log(run, "x"))
    letter = await house.rows.dead_letter(make_dead_letter())
    schedule_id = await house.trigger_id("hourly")
    house.store.texts.clear()

    for status in (None, *RunStatus):
        await house.runs.page(LOCAL, wanted=RunFilter(status=status))
        await house.runs.page(LOCAL, workflow="flow", wanted=RunFilter(status=status, trigger_type="webhook"))
        await house.runs.page(LOCAL, wanted=RunFilter(status=status, event_id=event.id))
    await house.runs.page(LOCAL, wanted=RunFilter(trigger_type="x", trigger_id="y", since=NOON, until=NOON + DAY_US))
    await house.runs.show(LOCAL, run.id)
    await house.runs.logs(LOCAL, run.id, job="work")
    await house.runs.executions(LOCAL, "flow", key="k")
    await house.events.page(LOCAL, EventFilter(type="x", source="y", provider="z", since=NOON, until=NOON + DAY_US))
    await house.explain.event(LOCAL, event.id)
    await house.explain.run(LOCAL, run.id)
    await house.explain.anything(LOCAL, "flow/hook")
    await house.explain.trigger(LOCAL, "flow/hourly", NOON)
    await house.events.trigger_decisions(LOCAL, trigger.id)
    await house.dead.page(LOCAL, DeadLetterFilter(reason="x", kind="y"))
    await house.dead.show(LOCAL, letter.id)
    await house.dead.discard(LOCAL, letter.id)
    await house.replay.replay(LOCAL, ReplayRequest(ids=[event.id], dry_run=True))
    await house.schedules.page(LOCAL)
    await house.schedules.page(LOCAL, workflow="flow")
    await house.schedules.coming(LOCAL, 10)
    await house.schedules.occurrences(LOCAL, schedule_id, since=None, until=None)
    span = BackfillRequest(workflow="flow", trigger="hourly", since=NOON - DAY_US, until=NOON, reprocess="failed")
    await house.backfills.plan(LOCAL, span)
    made = await house.backfills.create(LOCAL, span)
    await house.backfilling.tick()
    await house.backfilling.tick()
    await house.runs.page(LOCAL, workflow="flow", wanted=RunFilter(backfill_id=made["id"], status=RunStatus.FAILED))
    await house.backfills.page(LOCAL, workflow="flow")
    await house.schedules.pause(LOCAL, schedule_id)
    await house.schedules.resume(LOCAL, schedule_id)
    await queue_health(house.store, NOON)
    await Retention(house.store, house.clock, Ages()).run_once()

    assert len(house.store.texts) > 50
    found = {text: scans(text, lines) for text, lines in plans(store.path, house.store.texts)}
    assert {text: bad for text, bad in found.items() if bad} == {}


async def test_lists_are_walked_in_the_order_of_the_index(watched, store):
    house = watched
    house.store.texts.clear()
    await house.runs.page(LOCAL)
    await house.runs.page(LOCAL, workflow="flow")
    await house.runs.page(LOCAL, wanted=RunFilter(status=RunStatus.FAILED))
    await house.events.page(LOCAL, EventFilter(type="x"))
    await house.dead.page(LOCAL)
    await house.schedules.page(LOCAL)
    sorted_by_hand = {
        text: lines
        for text, lines in plans(store.path, house.store.texts)
        if any("TEMP B-TREE" in line for line in lines)
    }
    assert sorted_by_hand == {}
