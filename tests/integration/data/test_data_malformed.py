"""A thousand rows that cannot be read: every list still answers, shows each with its error, and keeps a note of it."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter
from workflow_scheduler.testing.factories import (
    NOON,
    make_dead_letter,
    make_decision,
    make_event,
    make_occurrence,
    make_run,
    make_schedule,
    make_trigger,
)

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
SPOILED = (
    "UPDATE events SET data = :bytes",
    "UPDATE runs SET status = 'LOST', input = :bytes",
    "UPDATE decisions SET outcome = 'guessed'",
    "UPDATE trigger_index SET trigger_config = '{', shared = '['",
    "UPDATE schedules SET next_nominal = 9000000000000000000",
    "UPDATE occurrences SET recorded_at = 9000000000000000000",
    "UPDATE dead_letters SET created_at = 9000000000000000000",
)


def spoil():
    for text in SPOILED:
        yield Sql(text, {"bytes": b"\xff{"} if ":bytes" in text else {})


async def everything(house, cursor_of):
    items, cursor = [], None
    while True:
        page = await cursor_of(cursor)
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


async def test_a_thousand_unreadable_rows_are_listed_and_quarantined(house):
    trigger = make_trigger(type="cron", index_key=None)
    await house.rows.workflow(trigger)
    await house.rows.trigger(trigger)
    await house.rows.schedule(make_schedule(trigger, NOON))
    for number in range(200):
        event = await house.rows.event(make_event(NOON + number))
        run = await house.rows.run(make_run(trigger, event))
        await house.rows.decision(make_decision(trigger, event, run))
        await house.rows.occurrence(make_occurrence(trigger, NOON + number))
        await house.rows.dead_letter(make_dead_letter(NOON + number))
    await house.store.transact(spoil())

    events = await everything(house, lambda cursor: house.events.page(LOCAL, limit=90, cursor=cursor))
    runs = await everything(house, lambda cursor: house.runs.page(LOCAL, limit=90, cursor=cursor))
    dead = await everything(house, lambda cursor: house.dead.page(LOCAL, DeadLetterFilter(), limit=90, cursor=cursor))
    decisions = await everything(
        house, lambda cursor: house.events.trigger_decisions(LOCAL, trigger.id, limit=90, cursor=cursor)
    )
    schedules = (await house.schedules.page(LOCAL)).items
    assert (len(events), len(runs), len(dead), len(decisions), len(schedules)) == (200, 200, 200, 200, 1)
    for item in (*events, *runs, *dead, *decisions, *schedules):
        assert item["error"]["code"] == "malformed"
    explained = await house.explain.event(LOCAL, events[0]["id"])
    assert explained["event"]["error"]["code"] == "malformed"
    assert (await house.explain.run(LOCAL, runs[0]["id"]))["summary"].startswith("This row cannot be read")
    rows = await house.store.read("SELECT kind, COUNT(*) FROM quarantine GROUP BY kind ORDER BY kind")
    assert dict(rows) == {"dead_letters": 200, "decisions": 200, "events": 200, "runs": 200, "schedules": 1}
