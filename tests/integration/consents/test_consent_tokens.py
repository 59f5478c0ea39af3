"""Tokens of consents on both databases: renewed in time by one instance, replaced by a new consent, ended by hand."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import parse_qsl, urlsplit

import pytest
from consenting import visit

from consent_peer import CLIENT, SECRET
from workflow_scheduler.app.providers import providers
from workflow_scheduler.core.errors import BadRequest, Conflict, NotConnected, PreconditionFailed, Rejected
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.services.connections import ConnectionStore, Draft
from workflow_scheduler.services.consent_tokens import ConsentTokens
from workflow_scheduler.services.consents import LIFE_US, Asked, Consents
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable.connections import ConnectionRepository
from workflow_scheduler.stores.portable.consents import ConsentRepository
from workflow_scheduler.stores.vault import FileVault, Key
from workflow_scheduler.testing.clock import FakeClock

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
ANN = Principal(tenant_id="acme", user_id="ann")
HOURS = 8 * 3_600
US = 1_000_000


class Bench:
    """The services over one store, registered at the peer."""

    def __init__(self, store, peer):
        self.peer, self.clock = peer, FakeClock(from_iso("2026-11-27T09:00:00Z"))
        self.outbound = HttpClient(EgressGuard(("127.0.0.1",)))
        known = providers(Settings(_env_file=None, **peer.environment))
        rows, vault = ConnectionRepository(store), FileVault([Key(b"8 bytes.", os.urandom(32))])
        tokens = ConsentTokens(rows, vault, self.clock, known, self.outbound)
        self.connections = ConnectionStore(rows, vault, self.clock, self._probe, tokens)
        self.consents = Consents(ConsentRepository(store), self.connections, known, vault, self.clock, self.outbound)
        self.rows, self.vault, self.known, self.tried = rows, vault, known, []

    async def _probe(self, principal, connection):
        self.tried.append((principal.tenant_id, connection.fields))
        return "works"

    async def begin(self, provider="github", name="code"):
        """Begin, consent, and return what is pending with the code."""
        begun = await self.consents.begin(ANN, provider, Asked(name), "http://localhost")
        query = dict(parse_qsl(urlsplit(await asyncio.to_thread(visit, begun["address"])).query))
        return await self.consents.find(provider, query["state"]), query["code"], query["state"]

    async def connect(self, provider="github", name="code"):
        pending, code, _ = await self.begin(provider, name)
        return await self.consents.finish(ANN, pending, code)

    async def value(self, name="code"):
        """Return the token that a job gets."""
        fields = (await self.connections.open("acme", name)).fields
        return getattr(fields, "secret", None) or fields.token

    @property
    def renewals(self):
        return [one for one in self.peer.forms if one["grant_type"] == "refresh_token"]


@pytest.fixture
async def bench(store, peer):
    made = Bench(store, peer)
    yield made
    await made.outbound.close()


@pytest.mark.parametrize("provider", ["github", "slack"])
async def test_a_token_is_renewed_shortly_before_it_ends(bench, provider):
    bench.peer.seconds = HOURS
    shown = await bench.connect(provider)
    assert shown["consent"]["renews_at"] == "2026-11-27T17:00:00Z"
    assert shown["expires_at"] == {"github": "2027-05-30T09:00:00Z", "slack": None}[provider]
    first = await bench.value()
    bench.clock.jump(HOURS - 601)
    assert await bench.value() == first
    bench.clock.jump(2)
    second = await bench.value()
    assert second != first
    assert second in bench.peer.tokens
    assert len(bench.renewals) == 1
    bench.clock.jump(HOURS - 60)
    assert await bench.value() not in {first, second}
    renewed = await bench.connections.get(ANN, "code")
    assert (renewed["expired"], renewed["revision"]) == (False, 1)


async def test_many_that_need_it_at_once_renew_it_once(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    bench.clock.jump(HOURS - 60)
    values = await asyncio.gather(*(bench.value() for _ in range(8)))
    assert len(bench.renewals) == 1
    assert await bench.value() in values


async def test_a_token_that_has_ended_is_waited_for_while_another_instance_renews_it(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    bench.clock.jump(HOURS + 60)
    token = (await bench.rows.get("acme", "code")).token
    now = bench.clock.now()
    assert await bench.rows.claim_renewal(token, now, now + US) is True
    assert await bench.rows.claim_renewal(token, now, now + US) is False
    waiting = asyncio.create_task(bench.value())
    while not bench.renewals:
        await bench.clock.advance(0.5)
    assert await waiting in bench.peer.tokens


async def test_a_provider_that_is_away_ends_nothing_before_its_time(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    first = await bench.value()
    bench.clock.jump(HOURS - 60)
    bench.peer.broken = 503
    assert await bench.value() == first
    bench.clock.jump(120)
    with pytest.raises(NotConnected):
        await bench.value()
    bench.peer.broken = None
    assert await bench.value() in bench.peer.tokens


async def test_a_consent_that_was_taken_back_says_how_to_connect_again(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    bench.peer.refresh.clear()
    bench.clock.jump(HOURS + 1)
    with pytest.raises(Rejected, match=r"consent of the connection `code` has ended.*bad_refresh_token") as caught:
        await bench.value()
    assert "connection authorize code --provider github" in caught.value.fix
    assert (await bench.connections.test(ANN, "code"))["ok"] is False
    again = await bench.connect()
    assert again["revision"] == 2
    assert await bench.value() in bench.peer.tokens


async def test_an_installation_that_is_registered_no_more_says_so_when_the_token_has_ended(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    tokens = ConsentTokens(bench.rows, bench.vault, bench.clock)
    later = ConnectionStore(bench.rows, bench.vault, bench.clock, bench._probe, tokens)
    bench.clock.jump(HOURS - 1)
    assert (await later.open("acme", "code")).fields.secret in bench.peer.tokens
    bench.clock.jump(2)
    with pytest.raises(Rejected, match="registered at github no more") as caught:
        await later.open("acme", "code")
    assert "GITHUB_CLIENT_ID" in caught.value.fix


async def test_a_token_without_a_renewal_says_when_it_ends(bench, monkeypatch):
    bench.peer.seconds = HOURS
    given = bench.peer._given
    monkeypatch.setattr(bench.peer, "_given", lambda *of: {k: v for k, v in given(*of).items() if "refresh" not in k})
    shown = await bench.connect()
    assert (shown["expires_at"], shown["consent"]["renews_at"]) == ("2026-11-27T17:00:00Z", None)
    bench.clock.jump(HOURS + 1)
    assert (await bench.connections.get(ANN, "code"))["expired"] is True


async def test_a_consent_that_takes_too_long_is_not_waited_for(bench, store):
    pending, code, state = await bench.begin()
    bench.clock.jump(LIFE_US / US)
    with pytest.raises(BadRequest, match="ten minutes"):
        await bench.consents.find("github", state)
    await bench.begin()
    assert len(await store.read("SELECT digest FROM consents")) == 1
    with pytest.raises(BadRequest, match="used already"):
        await bench.consents.finish(ANN, pending, code)
    rows = await store.read("SELECT digest, sealed FROM consents")
    assert state not in rows[0][0]


async def test_a_new_consent_keeps_what_the_connection_has_of_its_own(bench):
    await bench.connect("slack", "chat")
    await bench.connections.rotate(ANN, "chat", {"app_token": "xapp-by-hand"}, test=False, expires_at=None)
    first = await bench.value("chat")
    assert (await bench.connections.get(ANN, "chat"))["consent"]["account"] == "Acme T1"
    await bench.connect("slack", "chat")
    opened = (await bench.connections.open("acme", "chat")).fields
    assert (opened.app_token, opened.token != first) == ("xapp-by-hand", True)


async def test_a_secret_by_hand_ends_the_consent(bench, store):
    await bench.connect()
    shown = await bench.connections.rotate(ANN, "code", {"secret": "by-hand"}, test=True, expires_at=None)
    assert (shown["consent"], bench.tried[0][1].secret) == (None, "by-hand")
    assert await bench.value() == "by-hand"
    assert await store.read("SELECT id FROM oauth_tokens") == []
    with pytest.raises(Conflict, match="not made by a consent at GitHub"):
        await bench.connect()


async def test_a_change_that_gives_no_secret_keeps_the_consent_and_its_place(bench):
    await bench.connect()
    value = await bench.value()
    fields = (await bench.connections.get(ANN, "code"))["fields"]
    later = bench.clock.now() + 90 * DAY_US
    changed = await bench.connections.replace(ANN, "code", Draft("http", fields, later), 1)
    assert (changed["consent"]["provider"], changed["revision"]) == ("github", 2)
    assert await bench.value() == value
    moved = Draft("http", {**fields, "url": "http://127.0.0.1:9"})
    with pytest.raises(Exception, match="give it again, because `url` changes"):
        await bench.connections.replace(ANN, "code", moved, None)
    ended = await bench.connections.replace(ANN, "code", Draft("http", {**moved.fields, "secret": "own"}), None)
    assert ended["consent"] is None


async def test_a_connection_that_is_deleted_takes_its_token_along(bench, store):
    await bench.connect()
    await bench.connections.delete(ANN, "code")
    assert await store.read("SELECT id FROM oauth_tokens") == []
    assert (await bench.connect())["revision"] == 1


async def test_a_renewal_does_not_overwrite_what_came_meanwhile(bench):
    bench.peer.seconds = HOURS
    await bench.connect()
    old = (await bench.rows.get("acme", "code")).token
    await bench.connect()
    value = await bench.value()
    assert await bench.rows.renewed(old, bench.clock.now() + HOUR_US) is False
    assert await bench.value() == value
    row = await bench.rows.get("acme", "code")
    assert await bench.rows.grant(row, 1) is False
    with pytest.raises(PreconditionFailed):
        await bench.connections.replace(ANN, "code", Draft("http", {"auth": "bearer", "secret": "x"}), 1)


async def test_another_client_of_the_installation_is_said_so(bench):
    await bench.connect("google", "mail")
    assert (await bench.connections.open("acme", "mail")).fields.client_secret == SECRET
    changed = providers(Settings(_env_file=None, **{**bench.peer.environment, "GOOGLE_CLIENT_ID": "another"}))
    tokens = ConsentTokens(bench.rows, bench.vault, bench.clock, changed, bench.outbound)
    later = ConnectionStore(bench.rows, bench.vault, bench.clock, bench._probe, tokens)
    with pytest.raises(Rejected, match="another OAuth client"):
        await later.open("acme", "mail")
    assert (await later.get(ANN, "mail"))["fields"] == {"client_id": CLIENT}
