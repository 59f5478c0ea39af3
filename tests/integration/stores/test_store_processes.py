"""Stores and processes: kill -9, a second process, several instances, a server that goes away."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import asyncpg
import pytest

from workflow_scheduler.core.errors import BadRequest, Conflict, StoreUnavailable
from workflow_scheduler.core.ports.store import Batch, Sql
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.conformance.store_material import count, move_epoch, set_name, started
from workflow_scheduler.testing.factories import make_event

POURING = Path(__file__).with_name("pouring.py")


async def killed_after(where, lines):
    """Let a process pour until it has acknowledged `lines` events, kill it, and return what it acknowledged."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(POURING), where, stdout=subprocess.PIPE)
    ids = {(await process.stdout.readline()).decode().strip() for _ in range(lines)}
    process.send_signal(signal.SIGKILL)
    rest = (await process.stdout.read()).decode()
    await process.wait()
    return ids | set(rest[: rest.rfind("\n") + 1].split())


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_what_was_acknowledged_survives_kill_9(new_store, request, tmp_path):
    store = new_store()
    where = str(tmp_path / "wfs.db")
    if store.dialect == "postgres":
        where = request.getfixturevalue("postgres_url")
    acknowledged = set()
    for lines in (1, 40, 333):
        acknowledged |= await killed_after(where, lines)
        await store.open()
        rows = await store.read(
            "SELECT e.id, r.status, j.status, d.run_id = r.id FROM events e "
            "LEFT JOIN decisions d ON d.tenant_id = e.tenant_id AND d.event_id = e.id "
            "LEFT JOIN runs r ON r.tenant_id = e.tenant_id AND r.event_id = e.id "
            "LEFT JOIN jobs j ON j.tenant_id = r.tenant_id AND j.run_id = r.id"
        )
        await store.close()
        finished = {row[0] for row in rows if row[1:] == ("SUCCEEDED", "SUCCEEDED", True)}
        assert acknowledged <= finished
        assert all(row[3] for row in rows), "an event is never stored without its decision and its run"
        store = new_store()


async def test_a_second_process_is_told_that_the_file_is_in_use(tmp_path):
    first, second = (SqliteStore(tmp_path / "wfs.db", FakeClock()) for _ in range(2))
    await first.open()
    with pytest.raises(StoreUnavailable, match=f"in use by another process .pid {os.getpid()}"):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_a_database_of_a_newer_program_is_refused(new_store):
    store = new_store()
    await store.open()
    await store.close()
    later = (99, "later", "0", 0)
    if store.dialect == "sqlite":
        connection = apsw.Connection(str(store.path))
        connection.execute("INSERT INTO schema_migrations VALUES (?, ?, ?, ?)", later)
        connection.close()
    else:
        connection = await asyncpg.connect(store._url)
        await connection.execute("INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)", *later)
        await connection.close()
    with pytest.raises(Conflict, match="does not know"):
        await new_store().open()


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_a_closed_store_says_so(new_store):
    store = new_store()
    await store.open()
    pending = asyncio.ensure_future(store.commit(Batch(accepted=[started()])))
    await asyncio.gather(pending)
    await store.close()
    for attempt in (store.commit(Batch()), store.transact(set_name("a")), store.read("SELECT 1")):
        with pytest.raises(StoreUnavailable):
            await attempt
    await store.close()


async def test_two_instances_accept_one_event_once(postgres_url):
    stores = [PostgresStore(postgres_url, SystemClock()) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))
    keys = [str(number) for number in range(40)]
    results = await asyncio.gather(
        *(
            store.commit(Batch(accepted=[started(make_event(event_key=key)) for key in order]))
            for store in stores
            for order in (keys, keys[::-1])
        )
    )
    assert sum(len(result.duplicates) for result in results) == len(keys) * 5
    assert [await count(stores[0], table) for table in ("events", "runs", "decisions")] == [len(keys)] * 3
    await asyncio.gather(*(store.close() for store in stores))


async def test_an_instance_hears_of_the_epoch_that_another_moved(postgres_url):
    one, two = (PostgresStore(postgres_url, SystemClock()) for _ in range(2))
    await one.open()
    await two.open()
    heard = asyncio.Queue()
    two.on_epoch(heard.put_nowait)
    after = await one.transact(move_epoch())
    assert await asyncio.wait_for(heard.get(), 10) == after
    assert await two.epoch() == after
    assert (await two.commit(Batch(epoch=after - 1, accepted=[started()]))).stale
    await one.close()
    await two.close()


async def test_lost_connections_are_made_anew(postgres_url):
    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    await store.commit(Batch(accepted=[started()]))
    await store.read("SELECT 1")
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(20):
        with contextlib.suppress(StoreUnavailable):
            await store.read("SELECT 1")
            await store.commit(Batch(accepted=[started()]))
            await store.transact(set_name("a"))
            break
    assert await store.read("SELECT count(*) FROM tenants") == [(1,)]
    assert await store.epoch() == 1, "it is read while nothing can be heard"
    await admin.close()
    await store.close()


async def test_a_server_that_is_not_there(tmp_path):
    store = PostgresStore("postgresql://nobody@127.0.0.1:1/none", FakeClock())
    with pytest.raises(StoreUnavailable):
        await store.open()
    await store.close()


async def test_a_key_longer_than_an_index_takes_is_refused_clearly(postgres_url):
    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    noise = "".join(chr(0x4E00 + number % 20_000) for number in range(0, 7_919 * 9_000, 7_919))
    with pytest.raises(BadRequest):
        await store.commit(Batch(accepted=[started(make_event(event_key=noise))]))
    with pytest.raises(BadRequest):
        await store.commit(Batch(accepted=[started(make_event(subject="NUL \x00"))]))
    await store.close()


async def test_a_session_that_ends_in_the_middle_of_a_transaction_is_an_unavailable_store(postgres_url):
    def waits():
        yield Sql("SELECT 1")
        yield Sql("SELECT pg_sleep(20)")

    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    admin = await asyncpg.connect(postgres_url)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'"
    for _ in range(3):
        work = asyncio.create_task(store.transact(waits()))
        while not await admin.fetch(ended):
            await asyncio.wait([work], timeout=0.01)
        with pytest.raises(StoreUnavailable):
            await work
    assert await count(store, "events") == 0
    await admin.close()
    await store.close()
