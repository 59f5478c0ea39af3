"""API keys, secrets, idempotency keys and counts, on both databases."""

from __future__ import annotations

import pytest

from workflow_scheduler.core.errors import NotFound, Rejected, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.services.keys import Keys, digest
from workflow_scheduler.services.secrets import CACHE_SECONDS, SecretStore
from workflow_scheduler.stores.portable.census import Census
from workflow_scheduler.stores.portable.idempotency import IdempotencyRepository, Place
from workflow_scheduler.stores.portable.keys import KeyRepository
from workflow_scheduler.stores.portable.secrets import SecretRepository
from workflow_scheduler.testing.clock import FakeClock

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
ACME = Principal(tenant_id="acme", user_id="ann", role="editor")
OTHER = Principal(tenant_id="other", user_id="eve")


class ReversingVault:
    """Seals by reversing, and remembers the context."""

    def seal(self, plain, context):
        return plain[::-1] + b"|" + context.encode()

    def open(self, sealed, context):
        content, _, bound = sealed.rpartition(b"|")
        if bound.decode() != context:
            raise Rejected
        return content[::-1]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def keys(store, clock):
    return Keys(KeyRepository(store), clock)


@pytest.fixture
def secrets(store, clock):
    return SecretStore(SecretRepository(store), ReversingVault(), clock)


async def test_a_key_is_found_by_its_digest_over_all_tenants(keys):
    assert not await keys.any_active()
    made = await keys.create(ACME, "ci")
    owner = await keys.owner(digest(made["key"]))
    assert (owner.tenant_id, owner.user_id, owner.role) == ("acme", "ann", "editor")
    assert await keys.owner(digest("wfs_other")) is None
    assert await keys.any_active()


async def test_a_revoked_key_is_not_found_and_stays_listed(keys):
    made = await keys.create(ACME, "ci")
    await keys.revoke(ACME, made["id"])
    await keys.revoke(ACME, made["id"])
    assert await keys.owner(digest(made["key"])) is None
    assert not await keys.any_active()
    page = await keys.page(ACME)
    assert page.items[0]["revoked_at"] is not None


async def test_keys_of_another_tenant_are_neither_listed_nor_revoked(keys):
    made = await keys.create(ACME, "ci")
    assert (await keys.page(OTHER)).items == []
    with pytest.raises(NotFound):
        await keys.revoke(OTHER, made["id"])
    assert await keys.owner(digest(made["key"])) is not None


async def test_keys_are_paged_in_the_order_they_were_made(keys):
    made = [(await keys.create(ACME, f"k{number}"))["id"] for number in range(5)]
    first = await keys.page(ACME, limit=3)
    second = await keys.page(ACME, limit=3, after=first.next)
    assert [item["id"] for item in (*first.items, *second.items)] == made
    assert second.next is None


async def test_a_secret_is_read_in_its_tenant_only_and_a_new_value_counts_at_once(secrets, store):
    await secrets.put(ACME, "hook", "first")
    assert await secrets.get("acme", "hook") == "first"
    assert await secrets.get("other", "hook") is None
    shown = await secrets.put(ACME, "hook", "second")
    assert "second" not in str(shown)
    assert await secrets.get("acme", "hook") == "second"
    rows = await store.read("SELECT sealed FROM secrets WHERE tenant_id = :tenant", {"tenant": "acme"})
    assert b"second" not in bytes(rows[0][0])


async def test_a_value_set_elsewhere_is_seen_within_seconds(secrets, store, clock):
    elsewhere = SecretStore(SecretRepository(store), ReversingVault(), clock)
    await secrets.put(ACME, "hook", "first")
    assert await elsewhere.get("acme", "hook") == "first"
    await secrets.put(ACME, "hook", "second")
    await clock.advance(CACHE_SECONDS + 1)
    assert await elsewhere.get("acme", "hook") == "second"


async def test_a_ciphertext_moved_to_another_place_does_not_open(secrets, store):
    await secrets.put(ACME, "hook", "value")
    sealed = await SecretRepository(store).sealed("acme", "hook")
    await SecretRepository(store).put("other", "hook", sealed.value, now=1, actor="eve")
    assert await secrets.get("other", "hook") is None


async def test_deleting_a_secret(secrets):
    await secrets.put(ACME, "hook", "value")
    with pytest.raises(NotFound):
        await secrets.delete(OTHER, "hook")
    await secrets.delete(ACME, "hook")
    assert await secrets.get("acme", "hook") is None
    assert await secrets.missing("acme", ["hook"]) == ["hook"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "v"), ("a b", "v"), ("ä", "v"), ("x" * 129, "v"), ("a", ""), ("a", "x" * 70_000), ("a", "a\x00b")],
)
async def test_names_and_values_that_cannot_be_kept_are_refused(secrets, name, value):
    with pytest.raises(ValidationFailed):
        await secrets.put(ACME, name, value)


async def test_an_idempotency_key_is_reserved_completed_and_forgotten_after_a_day(store):
    keys = IdempotencyRepository(store)
    place = Place("acme", "POST /x", "k", "f1")
    assert await keys.reserve(place, 1) is None
    assert not (await keys.reserve(place, 2)).finished
    await keys.complete(place, 201, b"answer")
    stored = await keys.reserve(place, 3)
    assert (stored.status, stored.body) == (201, b"answer")
    with pytest.raises(ValidationFailed):
        await keys.reserve(Place("acme", "POST /x", "k", "f2"), 4)
    assert await keys.reserve(Place("other", "POST /x", "k", "f2"), 4) is None
    assert await keys.reserve(Place("acme", "POST /y", "k", "f2"), 4) is None
    await keys.release(place)
    assert (await keys.reserve(place, 5)).finished
    assert await keys.reserve(place, 2 + DAY_US) is None


async def test_a_released_key_may_be_used_again(store):
    keys = IdempotencyRepository(store)
    place = Place("acme", "POST /x", "k", "f1")
    await keys.reserve(place, 1)
    await keys.release(place)
    assert await keys.reserve(Place("acme", "POST /x", "k", "f2"), 2) is None


async def test_an_empty_database_is_counted(store):
    assert await Census(store).totals() == {"total_workflows": 0, "total_triggers": 0, "trigger_types": {}}
    assert await Census(store).instances(1) == []
