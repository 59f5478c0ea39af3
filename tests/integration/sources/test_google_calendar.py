"""A Google calendar: what changed, what starts soon, forgotten tokens, and channels that are replaced in time."""

import msgspec
import pytest
from peers.google_calendar import Peer
from pydantic import ValidationError

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.connection import Google
from workflow_scheduler.core.time.clock import SECOND_US, from_iso, to_iso
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.sources import LoneIO, SourceBench
from workflow_scheduler.triggers import google_calendar

DAY = 86_400
NOTIFICATIONS = "/api/v1/google_calendar/notifications"


@pytest.fixture
async def peer():
    made = Peer()
    await made.start()
    yield made
    await made.stop()


def config(**given):
    return google_calendar.Config.model_validate({"connection": "cloud", "calendar": Peer.calendar, **given})


class Look:
    """Looks at the calendar of `peer` on a clock of its own, which the server shares."""

    def __init__(self, peer, config):
        self.peer, self.config, self.cursor = peer, config, None
        self.clock = FakeClock(from_iso("2026-11-27T09:00:00Z"))
        peer.now = lambda: self.clock.now() / SECOND_US
        peer._is_good = lambda _: True
        fields = Google.model_validate(peer.connections["cloud"]["fields"])
        self.lone = LoneIO(self.clock, connections={"cloud": ("google", fields)})

    async def __aenter__(self):
        self.io = await self.lone.__aenter__()
        await self.heard()
        return self

    async def __aexit__(self, *given):
        await self.lone.__aexit__(*given)

    async def heard(self, seconds=60.0):
        """Let time pass and ask until there is no more; return what was heard."""
        self.clock.jump(seconds)
        found = []
        while True:
            page = await google_calendar.poll(self.config, self.cursor, self.io)
            found += [(one.type.partition(".")[2], one.subject) for one in page.heard]
            self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            if not page.more:
                self.channel_ends = (self.cursor.get("channel") or {}).get("expires_at")
                return found

    def at(self, seconds):
        return {"start": {"dateTime": to_iso(self.clock.now() + round(seconds * SECOND_US))}}


async def test_what_is_created_updated_and_cancelled_counts_once(peer):
    look = Look(peer, config())
    peer.set("old", summary="Old")
    async with look:
        peer.set("a", summary="Planning")
        assert await look.heard() == [("created", "Planning")]
        assert await look.heard() == []
        peer.set("a", summary="Planning, later")
        peer.set("old", status="cancelled")
        assert await look.heard() == [("updated", "Planning, later"), ("cancelled", "Old")]
        assert await look.heard() == []


async def test_only_what_is_asked_for_is_heard(peer):
    async with Look(peer, config(events=["cancelled"])) as look:
        peer.set("a", summary="Planning")
        assert await look.heard() == []
        peer.set("a", status="cancelled")
        assert await look.heard() == [("cancelled", "Planning")]


async def test_a_forgotten_token_loses_and_doubles_nothing(peer):
    look = Look(peer, config())
    for number in range(250):
        peer.set(f"old{number}", summary="Old")
    async with look:
        peer.set("a", summary="Heard")
        assert await look.heard() == [("created", "Heard")]
        look.clock.jump(60)
        peer.set("b", summary="Not yet")
        peer.set("old7", summary="Changed")
        peer.forget_tokens()
        assert sorted(await look.heard()) == [("created", "Not yet"), ("updated", "Changed")]
        assert await look.heard() == []
        peer.set("c", summary="Next")
        assert await look.heard() == [("created", "Next")]


async def test_what_was_deleted_while_the_token_was_forgotten_is_told_once(peer, monkeypatch):
    monkeypatch.setattr(google_calendar, "GONE_MAX", 5)
    look = Look(peer, config())
    for name in ("before", "heard", "meanwhile", "many", "more"):
        peer.set(name, summary=name)
    peer.drop("before")
    async with look:
        peer.drop("heard")
        assert await look.heard() == [("cancelled", "heard")]
        peer.drop("meanwhile")
        peer.forget_tokens()
        assert await look.heard() == [("cancelled", "meanwhile")]
        peer.forget_tokens()
        assert await look.heard() == []
        peer.drop("many")
        peer.forget_tokens()
        assert await look.heard() == [("cancelled", "many")]
        peer.drop("more")
        peer.set("last", summary="last")
        assert sorted(await look.heard()) == [("cancelled", "more"), ("created", "last")]
        peer.drop("last")
        peer.forget_tokens()
        assert await look.heard() == [], "more than can be remembered: nothing is told twice"


async def test_a_place_that_remembers_no_deleted_entries_tells_none_of_before(peer):
    look = Look(peer, config())
    peer.set("before", summary="before")
    peer.drop("before")
    async with look:
        for name in ("gone", "knows_gone"):
            look.cursor.pop(name, None)  # as an earlier version has stored it
        peer.forget_tokens()
        assert await look.heard() == []
        peer.set("a", summary="a")
        peer.drop("a")
        peer.forget_tokens()
        assert await look.heard() == [("cancelled", "a")]


async def test_more_than_a_page_is_read_page_by_page(peer):
    async with Look(peer, config()) as look:
        for number in range(230):
            peer.set(f"new{number}", summary=str(number))
        assert len(await look.heard()) == 230


async def test_an_entry_starts_soon_once_for_each_start_it_is_set_to(peer):
    async with Look(peer, config(events=["starting"], starts_in="10m")) as look:
        peer.set("a", summary="Planning", **look.at(900))
        peer.set("b", summary="Far away", **look.at(9_000))
        peer.set("c", summary="Called off", status="cancelled", **look.at(700))
        assert await look.heard(240) == []
        assert await look.heard(60) == [("starting", "Planning")]
        assert await look.heard(60) == []
        peer.set("a", summary="Planning", **look.at(600))
        assert await look.heard(60) == [("starting", "Planning")]
        peer.set("d", summary="At once", **look.at(30))
        assert await look.heard(10) == [("starting", "At once")]
        assert await look.heard(600) == []


async def test_what_started_while_nobody_looked_is_found_afterwards(peer):
    async with Look(peer, config(events=["starting"], starts_in="10m")) as look:
        peer.set("a", summary="Missed", **look.at(1_200))
        assert await look.heard(3_600) == [("starting", "Missed")]
        assert await look.heard() == []


async def test_a_whole_day_starts_at_midnight_in_the_zone_of_the_calendar(peer):
    async with Look(peer, config(events=["starting"], starts_in="1h")) as look:
        peer.set("a", summary="Holiday", start={"date": "2026-11-28"})
        look.clock.jump(from_iso("2026-11-27T21:58:00Z") / SECOND_US - look.clock.now() / SECOND_US)
        assert await look.heard(60) == []
        assert await look.heard(60) == [("starting", "Holiday")]


async def test_a_channel_is_replaced_at_half_its_life(peer):
    async with Look(peer, config(push=True)) as look:
        (first,) = peer.channels
        assert peer.channels[first]["address"] == f"https://flows.example.test{NOTIFICATIONS}"
        assert abs(look.channel_ends - look.clock.now() - 7 * DAY * SECOND_US) < 120 * SECOND_US
        await look.heard(3 * DAY)
        assert list(peer.channels) == [first]
        await look.heard(DAY)
        (second,) = peer.channels
        assert (peer.stopped, second != first) == ([first], True)


async def test_a_channel_without_an_end_stays(peer):
    peer.ends = False
    async with Look(peer, config(push=True)) as look:
        await look.heard(30 * DAY)
        assert (len(peer.channels), peer.stopped, look.channel_ends) == (1, [], None)


async def test_a_calendar_that_is_not_there_is_said_so(peer):
    look = Look(peer, config(calendar="nobody@shop.example"))
    async with look.lone as io:
        with pytest.raises(Rejected, match="Not Found"):
            await google_calendar.poll(look.config, None, io)


async def test_a_channel_to_an_address_that_google_cannot_use_is_said_so(peer, tmp_path):
    async with SourceBench(tmp_path, peer, public_url="http://127.0.0.1:1") as bench:
        await bench.deploy(push=True)

        async def told():
            return "must be HTTPS" in str(await bench.health())

        await bench.until(told, "the refusal")


async def test_a_notification_lets_the_calendar_be_asked_at_once(peer, tmp_path):
    async with SourceBench(tmp_path, peer, public_url="https://flows.example.test") as bench:
        await bench.deploy(push=True, every="1h")
        await bench.until(lambda: peer.channels, "the channel")
        await bench.until(lambda: bench.app.supervisor.running == 0, "the end of the first look")
        await peer.publish([1])
        told = peer.notification()
        reply = await bench.http.request("POST", NOTIFICATIONS, headers=told)
        assert reply.status == 202
        assert set(await bench.heard(1)) == {1}
        for wrong in ({**told, "X-Goog-Channel-ID": "other"}, {**told, "X-Goog-Channel-Token": "other"}, {}):
            assert (await bench.http.request("POST", NOTIFICATIONS, headers=wrong)).status == 404
        assert (await bench.http.request("GET", NOTIFICATIONS)).status == 405


def test_what_starts_needs_how_long_before():
    for wrong in ({"events": ["starting"]}, {"starts_in": "10m"}):
        with pytest.raises(ValidationError, match="belong together"):
            config(**wrong)
