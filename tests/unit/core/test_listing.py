"""Listings against what was seen: each version of each object counts once, over pages, restarts and removals."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound import listing
from workflow_scheduler.core.inbound.listing import Look, Object, Page
from workflow_scheduler.testing.sources import KeptItems

EVERY = ("created", "modified", "deleted")
NAMES = st.sampled_from(["a", "a/b", "a/c", "b", "ä", "\U0001f600"])
STORES = st.lists(st.dictionaries(NAMES, st.integers(0, 2)), min_size=1, max_size=5)


class Reader:
    """Reads a store page by page, as the service would: what is remembered goes with the cursor."""

    def __init__(self, events=EVERY, *, earliest=True):
        self.events, self.earliest = events, earliest
        self.items, self.cursor = KeptItems(), None

    def page(self, store, after, size):
        behind = sorted((name for name in store if name > after), key=str.encode)
        objects = [Object(name, str(store[name]), modified_at=1) for name in behind[:size]]
        return Page(objects, behind[size - 1] if len(behind) > size else None)

    async def step(self, store, size):
        look = Look(self.cursor, self.events, self.items, earliest=self.earliest)
        changes = await look.take(self.page(store, look.after, size))
        self.items.take(look.items)
        self.cursor = msgspec.json.decode(msgspec.json.encode(look.cursor))
        return changes, look.more

    async def look_through(self, store, size=2):
        found, more = [], True
        while more:
            changes, more = await self.step(store, size)
            found += [(one.kind, one.object.name) for one in changes]
        return found


def differences(before, after):
    found = [("created", name) for name in after.keys() - before.keys()]
    found += [("deleted", name) for name in before.keys() - after.keys()]
    return found + [("modified", name) for name in before.keys() & after.keys() if before[name] != after[name]]


@given(STORES, st.integers(1, 4), st.integers(1, 4))
def test_every_difference_between_two_looks_counts_once(stores, size, part):
    async def look():
        reader, before = Reader(), {}
        for store in stores:
            found = await reader.look_through(store, size)
            assert sorted(found) == sorted(differences(before, store))
            assert reader.cursor == {"whole": True, "after": "", "count": len(store)}
            before = store

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "PART", part)
        asyncio.run(look())


@given(STORES, st.integers(1, 4), st.integers(1, 3))
def test_what_changes_while_pages_are_read_counts_at_the_latest_with_the_next_look(stores, size, steps):
    async def look():
        reader = Reader()
        for store in stores:
            for _ in range(steps):
                await reader.step(store, size)
        await reader.look_through(stores[-1], size)
        await reader.look_through(stores[-1], size)
        assert reader.items.versions == {name: str(version) for name, version in stores[-1].items()}
        assert await reader.look_through(stores[-1], size) == []

    asyncio.run(look())


@pytest.mark.parametrize("events", [("created",), EVERY])
async def test_what_is_there_at_first_counts_only_when_it_is_asked_for(events):
    store = {"a": 1, "b": 1, "c": 1}
    reader = Reader(events, earliest=False)
    assert await reader.look_through(store) == []
    assert await reader.look_through({**store, "d": 1}) == [("created", "d")]


async def test_a_listing_goes_on_behind_the_last_name_that_was_stored():
    reader = Reader()
    assert [one.object.name for one in (await reader.step({"a": 1, "b": 1, "c": 1}, 2))[0]] == ["a", "b"]
    assert reader.cursor == {"whole": False, "after": "b", "count": 2}
    assert [one.object.name for one in (await reader.step({"a": 1, "b": 1, "c": 1}, 2))[0]] == ["c"]


async def test_what_does_not_count_is_remembered_so_that_the_next_change_is_told_from_it():
    reader = Reader(("modified",))
    assert await reader.look_through({"a": 1}) == []
    assert await reader.look_through({"a": 2}) == [("modified", "a")]


async def test_what_was_removed_and_is_put_again_is_created_again():
    reader = Reader(("created",))
    assert await reader.look_through({"a": 1}) == [("created", "a")]
    assert await reader.look_through({}) == []
    assert await reader.look_through({"a": 2}) == [("created", "a")]


async def test_more_than_can_be_remembered_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(listing, "SEEN_MAX", 3)
    with pytest.raises(Rejected, match="more than 3 objects"):
        await Reader().look_through(dict.fromkeys("abcd", 1), 2)


async def test_a_store_that_does_not_list_by_name_is_refused():
    look = Look({"whole": False, "after": "m", "count": 0}, EVERY, KeptItems(), earliest=True)
    with pytest.raises(Rejected, match="not list objects in the order of their names"):
        await look.take(Page([Object("a", "1")], "a"))


async def test_a_change_is_known_by_its_kind_name_and_version():
    look = Look(None, EVERY, KeptItems(), earliest=True)
    (change,) = await look.take(Page([Object("in/a.csv", "v1")]))
    assert change.key == "created:in/a.csv@v1"
