"""Listings against what was seen: each version of each object counts once, over pages, restarts and removals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound import listing
from workflow_scheduler.core.inbound.listing import Look, Object, Page

EVERY = ("created", "modified", "deleted")
NAMES = st.sampled_from(["a", "a/b", "a/c", "b", "ä", "\U0001f600"])
STORES = st.lists(st.dictionaries(NAMES, st.integers(0, 2)), min_size=1, max_size=5)


def pages(store, size):
    names = sorted(store, key=str.encode)
    parts = [names[start : start + size] for start in range(0, len(names), size)] or [[]]
    for place, part in enumerate(parts):
        token = str(place + 1) if place + 1 < len(parts) else None
        yield Page([Object(name, str(store[name]), modified_at=1) for name in part], token)


def look_through(store, cursor, size=2, events=EVERY, *, earliest=True):
    look = Look(cursor, events, earliest=earliest)
    found = [(one.kind, one.object.name) for page in pages(store, size) for one in look.take(page)]
    assert look.over
    return found, look.cursor


def differences(before, after):
    found = [("created", name) for name in after.keys() - before.keys()]
    found += [("deleted", name) for name in before.keys() - after.keys()]
    return found + [("modified", name) for name in before.keys() & after.keys() if before[name] != after[name]]


@given(STORES, st.integers(1, 4))
def test_every_difference_between_two_looks_counts_once(stores, size):
    cursor, before = None, {}
    for store in stores:
        found, cursor = look_through(store, cursor, size)
        assert sorted(found) == sorted(differences(before, store))
        before = store


@given(STORES, st.integers(1, 4), st.integers(1, 3))
def test_a_look_that_was_given_up_is_made_up_for(stores, size, given_up):
    cursor, heard, store = None, set(), {}
    for store in stores:
        look = Look(cursor, EVERY, earliest=True)
        for _, page in zip(range(given_up), pages(store, size), strict=False):
            heard |= {(one.object.name, one.object.version) for one in look.take(page)}
            cursor = look.cursor
    look = Look(cursor, EVERY, earliest=True)
    heard |= {(one.object.name, one.object.version) for page in pages(store, size) for one in look.take(page)}
    assert heard >= {(name, str(version)) for name, version in store.items()}
    assert look_through(store, look.cursor, size)[0] == []


@pytest.mark.parametrize("events", [("created",), EVERY])
def test_what_is_there_at_first_counts_only_when_it_is_asked_for(events):
    store = {"a": 1, "b": 1, "c": 1}
    found, cursor = look_through(store, None, events=events, earliest=False)
    assert found == []
    assert look_through({**store, "d": 1}, cursor, events=events, earliest=False)[0] == [("created", "d")]


def test_nothing_is_stored_of_a_first_look_before_it_is_over():
    look = Look(None, ("created",), earliest=False)
    first, second = pages({"a": 1, "b": 1}, 1)
    look.take(first)
    assert look.cursor is None
    look.take(second)
    assert look.cursor["begun"]


def test_a_look_goes_on_only_from_what_was_stored():
    kept = {}
    look = Look(None, ("created",), earliest=True)
    look.take(next(pages({"a": 1, "b": 1}, 1)))
    cursor = look.keep(kept)
    assert Look.under_way(kept, cursor) is look
    look.keep(kept)
    assert Look.under_way(kept, None) is None
    assert Look.under_way(kept, cursor) is None


@pytest.mark.parametrize("events", [("created",), ("deleted",)])
def test_more_than_can_be_remembered_is_refused_with_what_to_do(events, monkeypatch):
    monkeypatch.setattr(listing, "SEEN_MAX", 3)
    monkeypatch.setattr(listing, "NAMED_MAX", 3)
    with pytest.raises(Rejected, match="more than 3 objects"):
        look_through(dict.fromkeys("abcd", 1), None, 4, events)


def test_a_change_is_known_by_its_kind_name_and_version():
    look = Look(None, EVERY, earliest=True)
    (change,) = look.take(Page([Object("in/a.csv", "v1")]))
    assert change.key == "created:in/a.csv@v1"
