"""Deliveries that GitHub could not hand over are found afterwards, once, and are marked as healed."""

import msgspec
import pytest
from servers.github import GitHub

from workflow_scheduler.core.errors import Rejected, RetryAfter
from workflow_scheduler.core.inbound.github_api import GitHubApi
from workflow_scheduler.core.inbound.github_missed import listed
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.testing.sources import LoneIO, SourceBench
from workflow_scheduler.triggers import github

REPOSITORY = {"repository": "acme/billing", "secret": "gh", "connection": "hub"}


@pytest.fixture
async def peer():
    made = GitHub()
    await made.start()
    yield made
    await made.stop()


def lent(peer):
    return LoneIO(connections={"hub": ("http", Http.model_validate(peer.connections["hub"]["fields"]))})


async def looks(config, io, cursor=None):
    found = []
    while True:
        page = await github.poll(config, cursor, io)
        found += page.heard
        cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
        if not page.more:
            return found, cursor


async def test_what_was_missed_while_the_service_was_away_runs_once(peer, tmp_path, monkeypatch):
    monkeypatch.setattr(github, "MISSED_SECONDS", 1.0)
    async with SourceBench(tmp_path, peer) as bench:
        await bench.until(lambda: any("deliveries" in path for path in peer.asked), "the first look")
        for number in range(5):
            await peer.send(bench.http, number)
        await bench.heard(5)
        await bench.crash()
        for number in range(5, 130):
            await peer.send(None, number)
        await bench.start()
        for number in range(130, 135):
            await peer.send(bench.http, number)
        found = await bench.heard(135)
        assert set(found.values()) == {1}
        rows = await bench.app.store.read("SELECT attributes FROM events WHERE provider = 'github'")
        healed = [bool(msgspec.json.decode(row[0]).get("healed")) for row in rows]
        assert (healed.count(True), healed.count(False)) == (125, 10)


async def test_a_delivery_that_was_made_again_by_hand_is_not_asked_for(peer):
    config = github.Config.model_validate(REPOSITORY)
    async with lent(peer) as io:
        await peer.send(None, 1)
        heard, cursor = await looks(config, io)
        assert heard == [], "what was before the first look is not its business"
        guid = await peer.send(None, 2)
        peer.kept.append({**peer.kept[-1], "id": peer.kept[-1]["id"] + 500, "status_code": 202})
        heard, cursor = await looks(config, io, cursor)
        assert heard == []
        assert guid
        peer._ids = iter(range(5_000, 6_000))
        last = await peer.send(None, 3)
        await peer.send(None, 4, age_seconds=5)
        heard, cursor = await looks(config, io, cursor)
        assert [one.event_key for one in heard] == [last], "one that has just failed may be under way once more"
        assert heard[0].source == "/github/acme/billing"
        assert (await looks(config, io, cursor))[0] == []


async def test_the_hooks_of_an_organization_are_looked_through_for_all_its_repositories(peer):
    config = github.Config.model_validate({**REPOSITORY, "repository": "acme/*"})
    async with lent(peer) as io:
        _, cursor = await looks(config, io)
        await peer.send(None, 1)
        heard, _ = await looks(config, io, cursor)
        assert [one.index_keys for one in heard] == [("acme/billing", "acme/*")]
        assert peer.asked[0].startswith("/orgs/acme/hooks")


async def test_a_list_is_read_back_to_what_was_decided_however_long_it_is(peer):
    async with lent(peer) as io:
        peer.kept = [
            {
                "id": number,
                "guid": str(number),
                "delivered_at": "2026-11-27T09:00:00Z",
                "status_code": 0,
                "event": "push",
            }
            for number in range(1, 6_001)
        ]
        api = await GitHubApi.of("hub", io)
        found = await listed(api, "/repos/acme/billing/hooks/42/deliveries", 10)
        assert {one.id for one in found} == set(range(11, 6_001))


async def test_a_limit_is_waited_for_and_a_refusal_is_said_so(peer):
    config = github.Config.model_validate(REPOSITORY)
    async with lent(peer) as io:
        peer.refusals = [(403, {"Retry-After": "7"}), (429, {})]
        with pytest.raises(RetryAfter) as waits:
            await github.poll(config, None, io)
        assert waits.value.retry_after_seconds == 7
        with pytest.raises(RetryAfter):
            await github.poll(config, None, io)
        peer.hook_url = "https://elsewhere.example.test/hook"
        with pytest.raises(Rejected, match="no webhook of acme/billing comes to"):
            await github.poll(config, None, io)


def test_without_a_connection_nothing_is_asked_for():
    assert github.source_key(github.Config.model_validate({"repository": "acme/billing"})) is None
