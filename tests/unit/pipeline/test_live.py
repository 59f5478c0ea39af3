"""The live feed: everything in order for who keeps up, a clear sign for who does not, and never others' changes."""

from __future__ import annotations

import asyncio

from workflow_scheduler.pipeline import live
from workflow_scheduler.pipeline.live import LiveFeed


def publish(feed, *numbers, topic="runs", tenant="local"):
    for number in numbers:
        feed.publish(topic, tenant, "run.changed", {"n": number}, number)


async def take(stream, count):
    return [item and item.data["n"] for item in [await anext(stream) for _ in range(count)]]


async def test_a_reader_gets_what_comes_after_it_began():
    feed = LiveFeed()
    publish(feed, 1)
    stream = feed.subscribe("local", ())
    reading = asyncio.ensure_future(take(stream, 2))
    await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop
    publish(feed, 2, 3)
    assert await reading == [2, 3]
    await stream.aclose()
    assert feed._wakers == set()


async def test_a_reader_that_comes_back_gets_what_it_missed():
    feed = LiveFeed(first_id=100)
    publish(feed, 1, 2, 3)
    stream = feed.subscribe("local", (), last_id=100)
    assert await take(stream, 2) == [2, 3]
    await stream.aclose()


async def test_a_reader_that_was_away_too_long_is_told_so(monkeypatch):
    monkeypatch.setattr(live, "RING_SIZE", 3)
    feed = LiveFeed()
    feed._ring = type(feed._ring)(maxlen=3)
    publish(feed, *range(10))
    stream = feed.subscribe("local", (), last_id=1)
    assert await take(stream, 1) == [None]
    await stream.aclose()


async def test_an_id_of_another_process_is_told_so():
    feed = LiveFeed(first_id=5)
    publish(feed, 1)
    stream = feed.subscribe("local", (), last_id=999)
    assert await take(stream, 1) == [None]
    await stream.aclose()


def test_a_reader_of_the_process_before_is_told_so_although_nothing_has_happened_yet():
    feed = LiveFeed(first_id=5)
    assert feed.since("local", (), 2) is None
    assert feed.since("local", (), 4) == []


async def test_tenants_and_topics_are_kept_apart():
    feed = LiveFeed()
    publish(feed, 0)
    publish(feed, 1, tenant="other")
    publish(feed, 2, topic="events")
    publish(feed, 3)
    assert [item.data["n"] for item in feed.since("local", {"runs"}, 1)] == [3]
    assert [item.data["n"] for item in feed.since("local", (), 1)] == [2, 3]
    assert [item.data["n"] for item in feed.since("other", (), 1)] == [1]
    assert feed.since("nobody", (), 1) == []


async def test_ids_grow_by_one():
    feed = LiveFeed(first_id=7)
    publish(feed, 1, 2, 3)
    assert [item.id for item in feed.since("local", (), 6)] == [7, 8, 9]
    assert feed.last_id == 9
