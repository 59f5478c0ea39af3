"""The virtual clock of `trigger simulate` makes of stored events what the pipeline made of them."""

import msgspec
import pytest

from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.pipeline.sources.shaped import Shaped
from workflow_scheduler.services.shape_play import ShapePlay
from workflow_scheduler.stores.portable.events import EventFilter, EventRepository

STEPS = [0, 5, 5, 40, 1, 1, 1, 90, 10, 10, 10, 10, 200, 3, 61, 2]
SHAPES = {
    "debounce": {"debounce": "30s"},
    "bounded": {"debounce": {"quiet": "30s", "max_wait": "50s", "key": "event.data.k"}},
    "batch": {"batch": {"size": 3, "time": "60s"}},
    "keyed": {"batch": {"size": 2, "time": "60s", "key": "event.data.k"}},
    "threshold": {"threshold": {"count": 3, "window": "30s"}},
    "limited": {"rate_limit": "2/m"},
    "throttled": {"throttle": "2/m"},
    "unique": {"unique": {"key": "event.data.k", "window": "30s"}},
    "both": {
        "unique": {"key": "event.data.n", "window": "30s"},
        "rate_limit": {"rate": "1/10s", "key": "event.data.k"},
    },
}


@pytest.mark.parametrize("name", SHAPES)
async def test_each_event_is_decided_as_it_was(one, name):
    await one.deploy("orders", {"paid": {"type": "event", "event": "order_paid", **SHAPES[name]}})
    loop = Shaped(one.store, one.cache, one.inbox, one.clock)
    for number, seconds in enumerate(STEPS):
        for _ in range(seconds):
            await one.clock.advance(1)
            await loop.settle_some()
        await one.inbox.accept(one.event(data=msgspec.json.encode({"n": number, "k": number % 2})))
    await one.settle()
    rows = await one.all(
        "SELECT e.id, d.outcome, d.reason FROM events e JOIN decisions d ON d.event_id = e.id "
        "WHERE e.type = 'order_paid' ORDER BY e.id"
    )
    for _ in range(200):
        await one.clock.advance(1)
        await loop.settle_some()
    await one.settle()
    (bucket,) = [await one.cache.find(one.event())]
    trigger = msgspec.structs.replace(bucket[0].trigger, mode=Mode.ENABLED)
    events, _ = await EventRepository(one.store).page(
        "local", EventFilter(type="order_paid"), 100, None, one.clock.now()
    )
    play, found = ShapePlay(trigger), []
    for event in sorted(events, key=lambda event: event.id):
        decision = {"outcome": "run_started", "reason": "matched", "predicates": []}
        decided = play.decide(event, decision)
        found.append((event.id, decided["outcome"], decided["reason"]))
    assert found == [tuple(row) for row in rows]
    play.settle()
    started = sum(outcome == "run_started" for _, outcome, _ in found)
    assert await one.count("runs") == started + play.runs + play.later
