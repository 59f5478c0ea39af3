"""What every store must do with what the sources of listings have seen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from workflow_scheduler.core.ports.store import Accepted, Batch, CursorMove, Store, Work
from workflow_scheduler.stores.portable import source_items, sources
from workflow_scheduler.testing.conformance.store_material import count, started
from workflow_scheduler.testing.factories import NOON, insert

FENCE = 3
MANY = 2 * source_items.PORTION + 1


def _source(tenant: str = "local", key: str = "bucket") -> Work[None]:
    return insert(
        "sources",
        {
            "tenant_id": tenant, "type": "s3", "key": key, "shape": "poll", "owner": "me", "fence": FENCE,
            "created_at": NOON, "updated_at": NOON,
        },
    )  # fmt: skip


def _move(**given: Any) -> CursorMove:
    values = {"tenant_id": "local", "type": "s3", "key": "bucket", "fence": FENCE, "cursor": b"1", "event_at": None}
    return CursorMove(**{**values, "at": NOON, **given})


async def _write(store: Store, move: CursorMove, way: str, accepted: list[Accepted] | None = None) -> None:
    if way == "work":
        await store.transact(sources.move(move))
        return
    events = tuple(one.event.id for one in accepted or ())
    await store.commit(Batch(accepted=accepted or [], moves=[move], heard={move.id: events}))


ways = pytest.mark.parametrize("way", ["batch", "work"])


class StoreListings:
    """Names and versions, written with the cursor of their source."""

    @ways
    async def test_names_are_kept_changed_forgotten_and_read_by_parts(self, store: Store, way: str) -> None:
        """Names come in the order of their bytes, as the services list them."""
        await store.transact(_source())
        await _write(store, _move(items={"b": "1", "a/b": "1", "\U0001f600": "1", "\uffee": "1", "gone": "1"}), way)
        await _write(store, _move(items={"b": "2", "gone": None, "never": None}), way)
        whole = await source_items.between(store, _move().id, "", None, 10)
        assert whole == [("a/b", "1"), ("b", "2"), ("\uffee", "1"), ("\U0001f600", "1")]
        assert await source_items.between(store, _move().id, "a/b", "\uffee", 10) == whole[1:3]
        assert await source_items.between(store, _move().id, "a/b", None, 1) == whole[1:2]

    @ways
    async def test_a_page_may_be_long(self, store: Store, way: str) -> None:
        """Each of many names is written and forgotten, and those of other sources stay."""
        await store.transact(_source())
        await store.transact(_source(key="other"))
        names = [f"{number:05}" for number in range(MANY)]
        for key in ("bucket", "other"):
            await _write(store, _move(key=key, items=dict.fromkeys(names, "1")), way)
        assert await count(store, "source_items") == 2 * MANY
        await _write(store, _move(items=dict.fromkeys(names)), way)
        assert await source_items.between(store, _move().id, "", None, MANY) == []
        assert len(await source_items.between(store, _move(key="other").id, "", None, MANY)) == MANY

    @ways
    async def test_nothing_is_kept_for_a_source_that_others_hold(self, store: Store, way: str) -> None:
        """What is seen goes with the events and the cursor, or not at all."""
        await store.transact(_source())
        item = started()
        stale = msgspec.structs.replace(_move(items={"a": "1"}), fence=FENCE - 1)
        await _write(store, stale, way, [item])
        assert [await count(store, table) for table in ("source_items", "events")] == [0, 0]
