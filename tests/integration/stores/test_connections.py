"""Connections on both databases: sealed, tenant by tenant, rotated in one step, and kept while somebody needs them."""

from __future__ import annotations

import os

import msgspec
import pytest

from workflow_scheduler.core.errors import Conflict, NotConnected, NotFound, PreconditionFailed, ValidationFailed
from workflow_scheduler.core.model.connection import KINDS, secret_names
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.services.connections import ConnectionStore, Draft
from workflow_scheduler.stores.portable.connections import ConnectionRepository, uses
from workflow_scheduler.stores.vault import FileVault, Key
from workflow_scheduler.testing.clock import FakeClock

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
ACME = Principal(tenant_id="acme", user_id="ann")
OTHER = Principal(tenant_id="other", user_id="eve")
FIELDS = {"host": "mail.example.test", "username": "ann", "password": "first-password"}
MAIL = Draft("smtp", FIELDS)


class Peer:
    """What `test` connects to: it accepts the passwords that it is told."""

    def __init__(self):
        self.accepted = {"first-password"}
        self.asked = []

    async def probe(self, principal, connection):
        self.asked.append((principal.tenant_id, connection.name, connection.fields.password))
        if connection.fields.password not in self.accepted:
            raise NotConnected("wrong password")
        return "it answers"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def peer():
    return Peer()


@pytest.fixture
def connections(store, clock, peer):
    vault = FileVault([Key(b"8 bytes.", os.urandom(32))])
    return ConnectionStore(ConnectionRepository(store), vault, clock, peer.probe)


async def test_a_connection_is_opened_for_jobs_and_shown_without_its_secrets(connections, store):
    shown = await connections.create(ACME, "mail", MAIL)
    assert shown["fields"] == {"host": "mail.example.test", "port": 587, "security": "starttls", "username": "ann"}
    assert shown["secrets"] == ["password"]
    opened = await connections.open("acme", "mail")
    assert (opened.kind, opened.fields.password) == ("smtp", "first-password")
    assert "first-password" not in repr(opened)
    assert "first-password" not in repr(opened.fields)
    rows = await store.read("SELECT fields, sealed FROM connections WHERE tenant_id = :tenant", {"tenant": "acme"})
    assert b"first-password" not in bytes(rows[0][1])
    assert "first-password" not in rows[0][0]
    for seen in (await connections.get(ACME, "mail"), (await connections.page(ACME)).items[0]):
        assert "first-password" not in msgspec.json.encode(seen).decode()


async def test_the_same_connection_once_more_is_no_conflict_and_another_one_is(connections):
    first = await connections.create(ACME, "mail", MAIL)
    assert await connections.create(ACME, "mail", MAIL) == first
    with pytest.raises(Conflict, match="`mail` already"):
        await connections.create(ACME, "mail", Draft("smtp", {**FIELDS, "password": "another"}))


async def test_a_tenant_sees_only_its_own(connections):
    await connections.create(ACME, "mail", MAIL)
    assert await connections.open("other", "mail") is None
    assert (await connections.page(OTHER)).items == []
    for ask in (
        connections.get(OTHER, "mail"),
        connections.test(OTHER, "mail"),
        connections.delete(OTHER, "mail"),
        connections.replace(OTHER, "mail", MAIL, None),
        connections.rotate(OTHER, "mail", {"password": "x"}, test=False, expires_at=None),
    ):
        with pytest.raises(NotFound):
            await ask
    await connections.create(OTHER, "mail", Draft("smtp", {"host": "elsewhere.example.test"}))
    assert (await connections.open("acme", "mail")).fields.host == "mail.example.test"


async def test_a_ciphertext_moved_to_another_name_does_not_open(connections, store):
    await connections.create(ACME, "mail", MAIL)

    def move():
        from workflow_scheduler.core.ports.store import Sql

        yield Sql("UPDATE connections SET name = 'other' WHERE tenant_id = :tenant", {"tenant": "acme"})

    await store.transact(move())
    assert (await connections.test(ACME, "other"))["ok"] is False


async def test_secrets_that_are_left_out_of_a_change_stay(connections):
    await connections.create(ACME, "mail", MAIL)
    draft = Draft("smtp", {"host": "mail.example.test", "username": "bob"})
    changed = await connections.replace(ACME, "mail", draft, 1)
    assert (changed["revision"], changed["fields"]["username"]) == (2, "bob")
    assert (await connections.open("acme", "mail")).fields.password == "first-password"
    with pytest.raises(PreconditionFailed):
        await connections.replace(ACME, "mail", draft, 1)


PLACES = {
    "smtp": (MAIL.fields, {"host": "thief.test"}),
    "imap": (FIELDS, {"host": "thief.test"}),
    "sql": ({"url": "postgresql://ann@db.test/shop", "password": "x"}, {"url": "postgresql://ann@thief.test/shop"}),
    "slack": ({"token": "xoxb-secret"}, {"api_url": "https://thief.test"}),
    "http": ({"auth": "bearer", "secret": "x", "url": "https://shop.test"}, {"url": "https://thief.test"}),
    "redis": ({"url": "rediss://cache.test/0", "password": "x"}, {"url": "rediss://thief.test/0"}),
    "kafka": (
        {"bootstrap_servers": "a.test:9093", "mechanism": "PLAIN", "username": "ann", "password": "x"},
        {"bootstrap_servers": "thief.test:9093"}, {"security": "plaintext"},
    ),
    "nats": ({"servers": "a.test:4222", "tls": True, "token": "x"}, {"servers": "thief.test:4222"}, {"tls": False}),
    "aws": (
        {"region": "eu-central-1", "access_key_id": "AKIA", "secret_access_key": "x"}, {"endpoint": "https://thief.test"},
    ),
    "google": (
        {"client_id": "us", "client_secret": "x", "refresh_token": "y"}, {"endpoint": "https://thief.test"},
    ),
    "mqtt": ({"host": "a.test", "username": "ann", "password": "x"}, {"host": "thief.test"}, {"tls": False}),
    "amqp": ({"host": "a.test", "password": "x"}, {"host": "thief.test"}, {"tls": False}),
}  # fmt: skip


def test_every_kind_is_tried_with_another_place(new_store):
    assert set(PLACES) == set(KINDS)


@pytest.mark.parametrize(("kind", "place"), [(kind, one) for kind, (_, *places) in PLACES.items() for one in places])
async def test_no_kind_leads_a_stored_secret_to_another_place(connections, kind, place):
    given = dict(PLACES[kind][0])
    await connections.create(ACME, "it", Draft(kind, given))
    kept = {name: value for name, value in given.items() if name not in secret_names(KINDS[kind])}
    with pytest.raises(ValidationFailed, match="give it again"):
        await connections.replace(ACME, "it", Draft(kind, {**kept, **place}), 1)
    changed = await connections.replace(ACME, "it", Draft(kind, {**given, **place}), 1)
    assert changed["revision"] == 2


@pytest.mark.parametrize("moved", [{"host": "thief.example.test"}, {"port": 25}, {"security": "tls"}])
async def test_a_stored_secret_is_never_led_to_another_place(connections, moved):
    await connections.create(ACME, "mail", MAIL)
    draft = Draft("smtp", {"host": "mail.example.test", "username": "ann", **moved})
    with pytest.raises(ValidationFailed, match="give it again"):
        await connections.replace(ACME, "mail", draft, None)


async def test_a_rotation_counts_for_the_next_job_and_leaves_the_rest(connections, peer, clock):
    await connections.create(ACME, "mail", MAIL)
    before = await connections.open("acme", "mail")
    peer.accepted = {"second-password"}
    expires_at = clock.now() + DAY_US
    shown = await connections.rotate(ACME, "mail", {"password": "second-password"}, test=True, expires_at=expires_at)
    assert shown["rotated_at"] is not None
    assert shown["expired"] is False
    after = await connections.open("acme", "mail")
    assert (before.fields.password, after.fields.password) == ("first-password", "second-password")
    assert after.expires_at == expires_at
    assert after.fields.username == "ann"


async def test_a_secret_that_does_not_work_does_not_replace_one_that_does(connections):
    await connections.create(ACME, "mail", MAIL)
    with pytest.raises(Conflict, match=r"the old ones stay: wrong password"):
        await connections.rotate(ACME, "mail", {"password": "mistyped"}, test=True, expires_at=None)
    assert (await connections.open("acme", "mail")).fields.password == "first-password"
    await connections.rotate(ACME, "mail", {"password": "on purpose"}, test=False, expires_at=None)
    assert (await connections.open("acme", "mail")).fields.password == "on purpose"


@pytest.mark.parametrize("secrets", [{}, {"host": "x"}, {"passwrd": "x"}])
async def test_only_secrets_can_be_rotated(connections, secrets):
    await connections.create(ACME, "mail", MAIL)
    with pytest.raises(ValidationFailed) as caught:
        await connections.rotate(ACME, "mail", secrets, test=False, expires_at=None)
    assert caught.value.errors[0].field.startswith("secrets")


async def test_a_test_really_asks_and_its_outcome_is_kept(connections, peer):
    await connections.create(ACME, "mail", MAIL)
    assert (await connections.test(ACME, "mail"))["ok"] is True
    peer.accepted.clear()
    failed = await connections.test(ACME, "mail")
    assert (failed["ok"], failed["detail"]) == (False, "wrong password")
    assert (await connections.get(ACME, "mail"))["last_test"]["ok"] is False
    assert peer.asked == [("acme", "mail", "first-password")] * 2


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("smpt", {}, "kind"),
        ("smtp", {"host": "h", "pasword": "SECRET-VALUE"}, "fields.pasword"),
        ("smtp", {"host": "h\r\nRCPT", "username": "a", "password": "b"}, "fields.host"),
        ("smtp", {"host": "h", "username": "a", "password": "b", "security": "none"}, "fields"),
        ("smtp", {"host": "h", "password": ["SECRET-VALUE"]}, "fields.password"),
        ("slack", {"token": "short"}, "fields.token"),
        ("http", {"auth": "basic", "secret": "s"}, "fields"),
        ("http", {"auth": "bearer", "secret": "s", "url": "ftp://x"}, "fields.url"),
        ("http", {"auth": "bearer", "secret": "s", "url": "http://a:b@x/"}, "fields.url"),
        ("sql", {"url": "shop.db"}, "fields"),
        ("sql", {"url": "postgresql://h/d?password=SECRET-VALUE"}, "fields"),
    ],
)
async def test_what_cannot_be_kept_is_refused_without_being_quoted(connections, kind, fields, field):
    with pytest.raises(ValidationFailed) as caught:
        await connections.create(ACME, "c", Draft(kind, fields))
    assert caught.value.errors[0].field == field
    assert "SECRET-VALUE" not in f"{caught.value.detail}{caught.value.errors}"


async def test_the_password_in_the_url_of_a_database_is_sealed(connections):
    shown = await connections.create(ACME, "db", Draft("sql", {"url": "postgresql://ann:p%40ss@db.example:1/shop?x=1"}))
    assert shown["fields"] == {"url": "postgresql://ann@db.example:1/shop?x=1"}
    assert (await connections.open("acme", "db")).fields.password == "p@ss"


async def test_names_and_expiries_that_cannot_be_are_refused(connections, clock):
    for name in ("", "a b", "x" * 129, "ä"):
        with pytest.raises(ValidationFailed):
            await connections.create(ACME, name, MAIL)
    with pytest.raises(ValidationFailed, match="expires_at must be in the future"):
        await connections.create(ACME, "mail", Draft("smtp", FIELDS, clock.now()))


async def test_connections_are_listed_by_name(connections):
    for name in ("b", "a", "c"):
        await connections.create(ACME, name, MAIL)
    first = await connections.page(ACME, limit=2)
    rest = await connections.page(ACME, limit=2, after=first.next)
    assert [one["name"] for one in [*first.items, *rest.items]] == ["a", "b", "c"]
    assert rest.next is None


def test_the_connections_of_a_definition(new_store):
    jobs = {"a": {"with": {"connection": "mail"}}, "b": {"with": {"connection": 3}}, "c": {}, "d": "?"}
    assert uses({"jobs": jobs}) == {"jobs.a.with.connection": "mail"}
    assert uses({"jobs": None}) == uses(None) == {}
