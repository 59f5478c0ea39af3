"""The form of the live stream."""

from __future__ import annotations

import asyncio

import pytest

from workflow_scheduler.api import live
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.pipeline.live import LiveFeed, LiveItem


async def collect(feed, count, **given):
    found = []
    stream = live.encoded(feed.subscribe("acme", frozenset(), **given), 60.0)
    async for part in stream:
        found.append(part)
        if len(found) == count:
            break
    await stream.aclose()
    return found


async def test_changes_come_in_order_and_only_those_of_the_tenant():
    feed = LiveFeed()
    for number, tenant in enumerate(("acme", "other", "acme")):
        feed.publish("runs", tenant, "run.changed", {"n": number}, 1_000_000)
    first, second, third = await collect(feed, 3, last_id=0)
    assert first.startswith(b"retry: ")
    assert second.startswith(b"id: 1\nevent: run.changed\ndata: {")
    assert third.startswith(b"id: 3\n")
    assert b'"at":"1970-01-01T00:00:01Z"' in third


async def test_an_id_that_is_too_old_gives_a_reset():
    feed = LiveFeed(first_id=100)
    feed.publish("runs", "acme", "run.changed", {}, 1)
    assert b"event: reset" in (await collect(feed, 2, last_id=5))[1]
    assert b"event: reset" in (await collect(feed, 2, last_id=10_000))[1]


async def test_silence_is_filled_with_heartbeats_and_nothing_is_lost_meanwhile():
    feed = LiveFeed()
    stream = live.encoded(feed.subscribe("acme", frozenset()), 0.001)
    parts = [await anext(stream) for _ in range(4)]
    assert parts[1:] == [b": still here\n\n"] * 3
    feed.publish("runs", "acme", "run.changed", {}, 1)
    while (part := await anext(stream)) == b": still here\n\n":
        pass
    assert part.startswith(b"id: 1\n")
    await stream.aclose()


async def test_a_reader_that_leaves_is_forgotten():
    feed = LiveFeed()
    stream = live.encoded(feed.subscribe("acme", frozenset()), 0.001)
    await anext(stream)
    await anext(stream)
    assert len(feed._wakers) == 1
    await stream.aclose()
    assert not feed._wakers
    assert len(asyncio.all_tasks()) == 1


async def test_a_feed_that_closes_ends_its_streams():
    feed = LiveFeed()
    stream = live.encoded(feed.subscribe("acme", frozenset()), 60.0)
    await anext(stream)
    following = asyncio.ensure_future(anext(stream, None))
    while not feed._wakers:
        await asyncio.wait([following], timeout=0.001)
    feed.close()
    assert await following is None
    later = live.encoded(feed.subscribe("acme", frozenset()), 60.0)
    assert [part async for part in later] == [b"retry: 2000\n: connected\n\n"]


def test_unknown_topics_are_refused_with_a_suggestion():
    assert live._topics("runs, events") == {"runs", "events"}
    with pytest.raises(ValidationFailed, match="did you mean `runs`"):
        live._topics("run")


@pytest.mark.parametrize(
    ("text", "position"), [(None, None), ("", None), ("17", 17), ("x", -1), ("9" * 30, -1), ("-1", -1)]
)
def test_the_last_id_is_a_number_of_ours_or_older_than_everything(text, position):
    assert live._position(text) == position


def test_an_item_is_one_block():
    item = LiveItem(5, "runs", "acme", "run.changed", 1, {"text": "a\n\nb"})
    assert live.render(item).count(b"\n\n") == 1
