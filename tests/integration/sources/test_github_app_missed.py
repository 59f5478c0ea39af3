"""Deliveries of the App's hook that were missed: each installation's are found by its tenant, once."""

import msgspec
import pytest
from servers.github_app import GitHubWithApp

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.sources import SourceBench
from workflow_scheduler.triggers import github


@pytest.fixture
async def peer():
    made = GitHubWithApp()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bench(peer, tmp_path):
    async with SourceBench(tmp_path, peer, roles="api,ingest,dispatch,engine", **peer.settings) as made:
        yield made


class Looks:
    """The look of a trigger for what it missed, time after time, without a loop around it."""

    def __init__(self, bench, tenant="local", installation="77"):
        self.io = bench.app.push.lend(tenant)
        self.config = github.Config.model_validate(
            {"repository": "acme/*", "via": "app", "github_app_installation_id": installation}
        )
        self.cursor = None
        self.client = bench.app.github_app._client

    async def __call__(self):
        self.client._listing._at = 0  # as if it were later
        found = []
        while True:
            page = await github.poll(self.config, self.cursor, self.io)
            found += page.heard
            self.cursor = msgspec.json.decode(msgspec.json.encode(page.cursor))
            if not page.more:
                return [one.event_key for one in found]


async def test_what_was_missed_while_the_service_was_away_runs_once(peer, tmp_path, monkeypatch):
    monkeypatch.setattr(github, "MISSED_SECONDS", 1.0)
    monkeypatch.setattr("workflow_scheduler.outbound.github_app.LISTED_US", 0)
    async with SourceBench(tmp_path, peer, **peer.settings) as bench:
        await bench.until(lambda: any("hook/deliveries" in path for path in peer.asked), "the first look")
        for number in range(3):
            await peer.app_issue(bench.http, number)
        await bench.heard(3)
        await bench.crash()
        for number in range(3, 70):
            await peer.app_issue(None, number)
            await peer.app_issue(None, number + 1_000, 88, "ada/a")
        again = peer.kept[-2]
        await bench.start()
        await peer.app_issue(bench.http, 69, guid=again["guid"])
        peer.kept[-1]["redelivery"] = True
        found = await bench.heard(70)
        assert set(found.values()) == {1}
        assert set(found) == set(range(70)), "none of another installation"
        rows = await bench.app.store.read("SELECT attributes FROM events WHERE provider = 'github'")
        healed = [bool(msgspec.json.decode(row[0]).get("healed")) for row in rows]
        assert (healed.count(True), healed.count(False)) == (66, 4)


async def test_the_first_look_takes_note_of_all_and_hears_nothing(bench, peer):
    looks = Looks(bench)
    await peer.app_issue(None, 1, 88)
    assert await looks() == []
    mine, _ = await peer.app_issue(None, 2), await peer.app_issue(None, 3, 88)
    assert await looks() == [mine]
    assert await looks() == []


async def test_what_was_redelivered_is_not_asked_for(bench, peer):
    looks = Looks(bench)
    await looks()
    guid = await peer.app_issue(None, 1)
    await peer.app_issue(bench.http, 1, guid=guid)
    assert await looks() == []


async def test_one_listing_serves_all_installations(bench, peer):
    await bench.deploy(repository="ada/*")
    mine, other = Looks(bench), Looks(bench, installation="88")
    await mine()
    await other()
    await peer.app_issue(None, 1)
    await peer.app_issue(None, 2, 88)
    first = await mine()
    asked = [path for path in peer.asked if "deliveries?" in path]
    mine.client._listing._at = bench.app.clock.now()
    page = await github.poll(other.config, other.cursor, other.io)
    assert (len(first), len(page.heard)) == (1, 1)
    assert [path for path in peer.asked if "deliveries?" in path] == asked


async def test_what_is_of_another_tenant_is_neither_listed_nor_given_nor_signed_for(bench, peer):
    guid = await peer.app_issue(None, 1)
    access = bench.app.github_app.access("other")
    for call in (
        access.deliveries("77", None),
        access.delivery("77", peer.kept[-1]["id"]),
        access.sign("77", "acme/billing", again=False),
    ):
        with pytest.raises(Rejected, match="not yours"):
            await call
    await bench.deploy(repository="ada/*")
    mine = bench.app.github_app.access("local")
    assert guid not in {one.guid for one in await mine.deliveries("88", 0)}
    assert await mine.delivery("88", peer.kept[-1]["id"]) is None
    assert peer.minted == []


async def test_an_end_that_was_missed_is_taken_note_of(bench, peer):
    looks = Looks(bench)
    await looks()
    await peer.lifecycle(None, "deleted")
    assert len(await looks()) == 1
    assert await bench.app.store.read("SELECT 1 FROM github_installations") == []
    with pytest.raises(Rejected, match="not there any more"):
        await looks()


async def test_a_restart_reads_the_list_back_to_what_was_decided(bench, peer):
    looks = Looks(bench)
    await looks()
    sent = [await peer.app_issue(None, number) for number in range(95)]
    looks.client._listing.__init__()
    assert await looks() == sent


async def test_a_token_is_signed_for_at_most_ten_minutes(peer, tmp_path):
    clock = FakeClock()
    settings = {**peer.settings, "roles": "api,ingest,dispatch,engine"}
    bench = SourceBench(tmp_path, peer, clock=clock, **settings)
    await bench.start()
    try:
        headers = await bench.app.github_app._client._sign("", again=False)
        claims = msgspec.json.decode(_claims(headers["authorization"]))
        assert (claims["iat"], claims["exp"]) == (clock.now() // 10**6 - 60, clock.now() // 10**6 + 540)
        assert claims["iss"] == peer.settings["github_app_id"]
    finally:
        await bench.stop()


def _claims(authorization):
    import base64

    part = authorization.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
