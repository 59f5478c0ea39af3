"""Sources that do not do what they should: seen in health and figures, told as events, tried again in good time."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from peers import sse
from pydantic import Field

from workflow_scheduler.app import Application
from workflow_scheduler.core.errors import EndOfSource, NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.match.verdict import TRUE
from workflow_scheduler.core.ports.sources import Polled
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.time.clock import DAY_US, SystemClock, from_iso, to_iso
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.pipeline.sources.expiring import Expiring
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.sources import SourceBench

FLOW = {
    "version": 1,
    "name": "hears",
    "triggers": {"it": {"type": "moody", "place": "here"}},
    "jobs": {"one": {"uses": "noop"}},
}
WATCH = {
    "version": 1,
    "name": "watch",
    "triggers": {"trouble": {"type": "event", "event": ["source_down", "source_up", "credentials_expiring"]}},
    "jobs": {"one": {"uses": "noop"}},
}


class Config(ClosedConfig):
    """Where it listens."""

    place: str = Field(title="Place", description="Any word.")


class Moody:
    """A polled trigger type whose peer does what the test says."""

    def __init__(self):
        self.says = Polled()
        self.looks = 0

    async def poll(self, config, cursor, io):
        self.looks += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def module(self):
        return SimpleNamespace(
            __doc__="A peer of the test.", __name__="moody", name="moody", title="Moody", icon="x", shape="poll",
            since="0.1", extras="", Config=Config, examples=(), poll=self.poll,
            index_keys=lambda config: (config.place,), source_key=lambda config: config.place,
            matches=lambda config, event: TRUE, poll_seconds=lambda config: 30.0,
        )  # fmt: skip


class Bench:
    """An instance whose supervisor looks when the test says so, on a clock that stands still."""

    def __init__(self, settings):
        self.clock = FakeClock()
        self.app = Application(settings, self.clock)
        self.peer = Moody()
        self.app.types["moody"] = self.peer.module()
        self.http = AsgiClient(self.app.asgi())

    async def deploy(self, definition):
        path = f"/api/v1/deployment/workflows/{definition['name']}/deploy"
        assert (await self.http.post(path, json={"workflow_spec": definition})).status == 200

    async def look(self):
        """Let the supervisor do what is due, then let what was told become events."""
        supervisor = self.app.supervisor
        await supervisor.tick()
        while supervisor.running:
            await asyncio.gather(*(one.task for one in supervisor._running.values()))
        while await self.app.internal.accept_some():
            pass
        await self.app.inbox.drain()

    async def health(self):
        (one,) = (await self.http.get("/api/v1/triggers?workflow=hears&health=true")).json()["items"]
        whole = (await self.http.get(f"/api/v1/triggers/{one['id']}/health")).json()
        assert {name: whole[name] for name in ("status", "summary", "source")} == one["health"]
        return whole

    async def next_look(self):
        """Go to the next attempt, and return how many seconds that took."""
        at = from_iso((await self.health())["source"]["next_attempt_at"])
        waited = (at - self.clock.now()) / 1e6
        self.clock.jump(max(0.0, waited))
        await self.look()
        return waited

    async def told(self):
        """Return what the workflow that watches has heard, the oldest first."""
        runs = (await self.http.get("/api/v1/runs?workflow=watch")).json()["items"]
        events = [(await self.http.get(f"/api/v1/events/{run['event_id']}")).json() for run in runs]
        return [(one["type"], one["data"]) for one in sorted(events, key=lambda one: one["id"])]


@pytest.fixture(params=["sqlite", "postgres"])
async def bench(request, tmp_path):
    database = {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("postgres_url")}
    # Without the role `sources`: the test decides when the supervisor looks.
    made = Bench(Settings(_env_file=None, data=tmp_path, roles="api,ingest,dispatch,engine", **database))
    await made.app.start()
    await made.deploy(WATCH)
    await made.deploy(FLOW)
    yield made
    await made.app.stop()


async def test_a_peer_that_is_away_is_tried_ever_more_seldom_told_once_and_told_again_when_it_is_back(bench):
    await bench.look()
    assert (await bench.health())["status"] == "healthy"
    bench.peer.says = NotConnected("nobody answers at kafka:9092", fix="Is the server running?")
    waits = []
    await bench.next_look()
    for _ in range(8):
        health = await bench.health()
        assert (health["status"], health["source"]["status"]) == (
            "down",
            "backing_off" if len(waits) < 7 else "circuit_open",
        )
        assert "Nobody answers at kafka:9092. Is the server running?" in health["summary"]
        waits.append(await bench.next_look())
    assert max(waits) <= 300
    while not await bench.told():
        await bench.next_look()
    ((kind, data),) = await bench.told()
    assert (kind, data["source"], data["workflow_name"], data["remedy"]) == (
        "source_down", "/moody/here", ["hears"], "Is the server running?")  # fmt: skip
    await bench.next_look()
    assert len(await bench.told()) == 1
    bench.peer.says = Polled()
    await bench.next_look()
    health = await bench.health()
    assert (health["status"], health["source"]["failures"], health["source"]["down_since"]) == ("healthy", 0, None)
    assert [kind for kind, _ in await bench.told()] == ["source_down", "source_up"]


async def test_a_short_break_is_not_told(bench):
    await bench.look()
    bench.peer.says = NotConnected("reset")
    await bench.next_look()
    bench.peer.says = Polled()
    await bench.next_look()
    assert await bench.told() == []


async def test_what_is_refused_is_tried_a_minute_later_and_says_what_to_do(bench):
    bench.peer.says = Rejected("the password is wrong", fix="Set the secret again.")
    await bench.look()
    health = await bench.health()
    assert (health["source"]["status"], health["source"]["error"]["remedy"]) == ("refused", "Set the secret again.")
    assert "Set the secret again." in health["summary"]
    while not await bench.told():
        assert await bench.next_look() <= 900
    assert [kind for kind, _ in await bench.told()] == ["source_down"]


async def test_a_peer_that_asks_to_wait_is_left_alone_and_is_not_down(bench):
    bench.peer.says = RetryAfter("too many requests", retry_after_seconds=120)
    await bench.look()
    health = await bench.health()
    assert (health["status"], health["source"]["failures"]) == ("waiting", 0)
    assert 120 <= await bench.next_look() <= 132
    assert await bench.told() == []


async def test_a_source_that_has_ended_is_told_at_once(bench):
    bench.peer.says = EndOfSource("the folder is gone")
    await bench.look()
    assert (await bench.health())["status"] == "ended"
    ((kind, data),) = await bench.told()
    assert (kind, data["error"]) == ("source_down", "the folder is gone")
    bench.clock.jump(3_600)
    looks = bench.peer.looks
    await bench.look()
    assert bench.peer.looks == looks


async def test_lag_and_expiry_are_shown(bench):
    heard = Heard(source="", type="x", event_key="1", data=b"{}")
    bench.peer.says = Polled(heard=[heard], cursor=1, lag=41, expires_at=bench.clock.now() + DAY_US)
    await bench.look()
    health = await bench.health()
    assert (health["status"], health["source"]["lag"]) == ("expiring", 41)
    assert health["source"]["credentials_expire_soon"] is True
    assert health["source"]["last_event_at"] == health["source"]["last_alive_at"]


async def test_what_is_renewed_does_not_end_any_more(bench):
    bench.peer.says = Polled(expires_at=bench.clock.now() + DAY_US)
    await bench.look()
    assert (await bench.health())["status"] == "expiring"
    bench.peer.says = NotConnected("away")
    await bench.next_look()
    assert (await bench.health())["source"]["credentials_expire_soon"] is True
    bench.peer.says = Polled()
    await bench.next_look()
    assert (await bench.health())["source"]["credentials_expire_at"] is None


async def tell_twice(bench):
    """Let two instances look at once, and return what was told so far."""
    others = [Expiring(bench.app.store, bench.clock, bench.app.internal.hint) for _ in range(2)]
    await asyncio.gather(*(one.tell_some() for one in others))
    await bench.look()
    return [data for kind, data in await bench.told() if kind == "credentials_expiring"]


async def test_a_week_and_a_day_before_credentials_end_it_is_told_once(bench):
    end = bench.clock.now() + 8 * DAY_US
    bench.peer.says = Polled(expires_at=end)
    await bench.look()
    assert await tell_twice(bench) == []
    bench.clock.jump(DAY_US / 1e6)
    (week,) = await tell_twice(bench)
    assert (week["source"], week["trigger_name"], week["workflow_name"]) == ("/moody/here", ["it"], ["hears"])
    assert (week["expires_at"], week["lead_days"], week["connection"]) == (to_iso(end), 7, None)
    assert "Renew" in week["remedy"]
    assert "renew them before" in (await bench.health())["summary"]
    bench.clock.jump(5.9 * DAY_US / 1e6)
    assert len(await tell_twice(bench)) == 1
    bench.clock.jump(0.2 * DAY_US / 1e6)
    assert [one["lead_days"] for one in await tell_twice(bench)] == [7, 1]
    bench.clock.jump(2 * DAY_US / 1e6)
    assert len(await tell_twice(bench)) == 2
    bench.peer.says = Polled(expires_at=bench.clock.now() + 5 * DAY_US)
    await bench.next_look()
    assert [one["lead_days"] for one in await tell_twice(bench)] == [7, 1, 7], "new ones have notices of their own"


async def test_a_connection_that_ends_is_told_with_who_uses_it(bench):
    end = bench.clock.now() + DAY_US // 2
    web = {"name": "web", "kind": "http", "fields": {"auth": "bearer", "secret": "x"}, "expires_at": to_iso(end)}
    assert (await bench.http.post("/api/v1/connections", json=web)).status == 201
    calls = {"version": 1, "name": "calls", "jobs": {
        "one": {"uses": "http", "with": {"url": "https://example.test", "connection": "web"}}}}  # fmt: skip
    await bench.deploy(calls)
    (told,) = await tell_twice(bench)
    assert (told["connection"], told["kind"], told["workflow_name"]) == ("web", "http", ["calls"])
    assert (told["lead_days"], told["expires_at"], told["source"]) == (1, to_iso(end), None)
    assert "connection rotate web" in told["remedy"]
    assert len(await tell_twice(bench)) == 1
    fresh = {"secrets": {"secret": "y"}, "test": False, "expires_at": to_iso(end + 20 * DAY_US)}
    assert (await bench.http.post("/api/v1/connections/web/rotate", json=fresh)).status == 200
    assert len(await tell_twice(bench)) == 1
    bench.clock.jump(14 * DAY_US / 1e6)
    assert [one["lead_days"] for one in await tell_twice(bench)] == [1, 7]


async def test_the_figures_say_how_sources_do(bench):
    bench.peer.says = NotConnected("away")
    await bench.look()
    await bench.clock.advance(60)
    for _ in range(50):
        await bench.app.store.read("SELECT 1")
        await bench.clock.settle()
    shown = (await bench.http.get("/metrics")).text
    assert 'sources{status="backing_off",type="moody"} 1.0' in shown
    line = next(one for one in shown.splitlines() if one.startswith('source_lag_seconds{source="moody"}'))
    assert 0 < float(line.split()[-1]) <= 60


async def test_a_fault_of_a_type_ends_no_other(bench):
    await bench.deploy({**FLOW, "name": "other", "triggers": {"it": {"type": "moody", "place": "there"}}})
    bench.peer.says = RuntimeError("a bug")
    await bench.look()
    rows = await bench.app.store.read("SELECT key, status, error FROM sources ORDER BY key")
    assert [(key, status) for key, status, _ in rows] == [("here", "backing_off"), ("there", "backing_off")]
    assert all("the trigger type failed" in error for _, _, error in rows)
    bench.peer.says = Polled(heard=[Heard(source="", type="x", event_key="2", data=msgspec.json.encode(2))], cursor=2)
    bench.clock.jump(300)
    await bench.look()
    runs = (await bench.http.get("/api/v1/runs")).json()["items"]
    assert sorted(run["workflow"] for run in runs) == ["hears", "other"]


async def test_another_instance_takes_a_stream_over_in_time_and_nothing_is_lost_or_doubled(tmp_path, postgres_url):
    """The holder ends as by `kill -9`, with the lease that is the default."""
    peer, clock = sse.Peer(), SystemClock()
    await peer.start()
    first = SourceBench(tmp_path / "first", peer, database_url=postgres_url)
    second = SourceBench(tmp_path / "second", peer, database_url=postgres_url)
    await first.start()
    await second.start()
    try:
        await first.deploy()
        await peer.publish(range(1, 4))
        await first.heard(3)
        holder, other = (first, second) if first.app.supervisor.running else (second, first)
        assert other.app.supervisor.running == 0
        await holder.crash()
        began = clock.monotonic()
        await peer.publish(range(4, 9))
        assert set((await other.heard(8)).values()) == {1}
        assert clock.monotonic() - began < 20
        (row,) = await other.app.store.read("SELECT owner, fence FROM sources")
        assert row == (other.app.owner, 2)
    finally:
        for bench in (first, second):
            await bench.stop()
        await peer.stop()


async def remembered(bench):
    store = bench.app.store
    names = [row[0] for row in await store.read("SELECT name FROM source_items ORDER BY name")]
    ((cursor,),) = await store.read("SELECT cursor FROM sources WHERE type = 'moody'")
    return names, cursor is not None


async def sweep(bench, days):
    bench.clock.jump(days * DAY_US / 1e6)
    await Retention(bench.app.store, bench.clock, Ages()).run_once()
    return await remembered(bench)


async def test_what_a_listing_remembers_goes_when_nobody_has_needed_it_for_long(bench):
    names = [f"n{number:04}" for number in range(1_200)]
    bench.peer.says = Polled(cursor={"whole": True}, items=dict.fromkeys(names, "1"))
    await bench.look()
    bench.peer.says = Polled(cursor={"whole": True})
    assert await sweep(bench, 400) == (names, True), "it is needed"
    off = await bench.http.post("/api/v1/deployment/workflows/hears/undeploy", json={})
    assert off.status == 200, off.text
    await bench.look()
    assert await sweep(bench, 29) == (names, True)
    await bench.deploy(FLOW)
    await bench.look()
    assert await sweep(bench, 29) == (names, True), "it came back in time"
    await bench.http.post("/api/v1/deployment/workflows/hears/undeploy", json={})
    await bench.look()
    assert await sweep(bench, 31) == ([], False), "without its rows it begins like a new one"


async def test_a_trigger_that_is_switched_off_is_still_there(bench):
    bench.peer.says = Polled(cursor={"whole": True}, items={"a": "1"})
    await bench.look()
    trigger = (await bench.health())["trigger_id"]
    await bench.http.post(f"/api/v1/triggers/{trigger}/mode", json={"mode": "disabled"})
    await bench.look()
    assert await sweep(bench, 400) == (["a"], True)
