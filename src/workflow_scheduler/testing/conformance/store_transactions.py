"""What every store must do with reads and works."""

from __future__ import annotations

import asyncio

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.ports.store import Accepted, Batch, Sql, Store, Work
from workflow_scheduler.testing.conformance.store_material import (
    count,
    move_epoch,
    set_name,
)
from workflow_scheduler.testing.factories import (
    NOON,
    make_event,
)


class StoreTransactions:
    """Reads and works."""

    async def test_a_work_gets_rows_and_returns_a_value(self, store: Store) -> None:
        """The value of the generator is the value of the transaction, and its rows are there afterwards."""
        assert await store.transact(set_name("a")) == "a"
        assert await store.read("SELECT name FROM tenants WHERE id = :tenant", {"tenant": "tenant-a"}) == [("a",)]

    async def test_a_work_without_statements_returns_its_value(self, store: Store) -> None:
        """A generator may end before its first statement."""

        def nothing() -> Work[int]:
            if store is None:
                yield Sql("SELECT 1")
            return 7

        assert await store.transact(nothing()) == 7  # noqa: PLR2004 (the value above)

    async def test_an_error_in_a_work_undoes_all_of_it(self, store: Store) -> None:
        """The error reaches the caller as it was raised."""
        with pytest.raises(NotFound):
            await store.transact(set_name("a", fail=True))
        assert await count(store, "tenants") == 0

    async def test_a_failed_work_does_not_touch_its_neighbours(self, store: Store) -> None:
        """Works that share a commit are isolated from each other."""
        works = [store.transact(set_name(str(number), fail=number % 3 == 0)) for number in range(12)]
        results = await asyncio.gather(*works, return_exceptions=True)
        assert [isinstance(result, NotFound) for result in results] == [number % 3 == 0 for number in range(12)]
        assert await count(store, "tenants") == 8  # noqa: PLR2004 (two of three)

    async def test_a_violated_constraint_is_a_conflict(self, store: Store) -> None:
        """A row that exists already, and a value outside its list."""
        await store.transact(set_name("a"))
        with pytest.raises(Conflict):
            await store.transact(set_name("a"))
        assert await count(store, "tenants") == 1

    async def test_a_work_sees_its_own_writes_and_others_do_not_before_the_end(self, store: Store) -> None:
        """A later statement of a work reads what an earlier one wrote."""

        def twice() -> Work[int]:
            yield from set_name("a")
            rows = yield Sql("SELECT count(*) FROM tenants")
            return int(rows[0][0])

        assert await store.transact(twice()) == 1

    async def test_values_come_back_as_they_went_in(self, store: Store) -> None:
        """Bytes stay bytes, text stays text, numbers keep 64 bits, and None stays None."""
        event = make_event(data=b'\x00\xff{"a":1}', subject="snow ☃ \U0001f600", depth=3, traceparent=None)
        await store.commit(Batch(accepted=[Accepted(event, [], [])]))
        rows = await store.read(
            "SELECT data, subject, depth, traceparent, received_at, sub_keys FROM events WHERE tenant_id = :tenant",
            {"tenant": event.tenant_id},
        )
        assert rows == [(event.data, event.subject, 3, None, event.received_at, '[""]')]

    async def test_parameters_may_be_used_twice_be_none_or_be_calculated_with(self, store: Store) -> None:
        """The shapes that lists with optional filters and cursors use."""
        for name in ("a", "b", "c"):
            await store.transact(set_name(name))
        text = (
            "SELECT name FROM tenants WHERE (:after IS NULL OR id > :after) AND created_at >= :now - 5000000000 "
            "AND 'a:b' = 'a:b' ORDER BY id DESC LIMIT :limit"
        )
        assert await store.read(text, {"after": None, "now": NOON, "limit": 2}) == [("c",), ("b",)]
        assert await store.read(text, {"after": "tenant-b", "now": NOON, "limit": 2}) == [("c",)]

    async def test_json_is_read_from_text_and_from_bytes(self, store: Store) -> None:
        """The `{json:…}` macro makes both usable with the operators."""
        event = make_event(data=b'{"branch":"main"}', index_keys=("orders",))
        await store.commit(Batch(accepted=[Accepted(event, [], [])]))
        text = (
            "SELECT {json:data} ->> 'branch', {json:index_keys} ->> 0 FROM events WHERE {json:data} ->> 'branch' = :b"
        )
        assert await store.read(text, {"b": "main"}) == [("main", "orders")]

    async def test_text_is_ordered_by_bytes(self, store: Store) -> None:
        """Cursors compare ids as both databases do."""
        for name in ("b", "B", "a", "Z", "é"):
            await store.transact(set_name(name))
        rows = await store.read("SELECT name FROM tenants ORDER BY name")
        assert [row[0] for row in rows] == ["B", "Z", "a", "b", "é"]

    async def test_a_large_result_arrives_whole(self, store: Store) -> None:
        """A read without a limit is not cut off."""
        items = [Accepted(make_event(), [], []) for _ in range(3_000)]
        await store.commit(Batch(accepted=items))
        rows = await store.read("SELECT a.id FROM events a JOIN events b ON b.tenant_id = a.tenant_id AND b.id = a.id")
        assert {row[0] for row in rows} == {item.event.id for item in items}

    async def test_a_new_epoch_is_told(self, store: Store) -> None:
        """Whoever keeps a cache of the index hears of a change."""
        told: asyncio.Queue[int] = asyncio.Queue()
        store.on_epoch(told.put_nowait)
        before = await store.epoch()
        after = await store.transact(move_epoch())
        assert after == before + 1
        assert await asyncio.wait_for(told.get(), 10) == after
        assert await store.epoch() == after
