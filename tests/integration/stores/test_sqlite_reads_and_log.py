"""Long reads leave the loop alone, and the write-ahead log does not grow for ever."""

import asyncio

from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.stores.sqlite.checkpoints import Checkpoints
from workflow_scheduler.stores.sqlite.connection import reader_connection, writer_connection
from workflow_scheduler.stores.sqlite.reader import LONG_FOR_READS, Reader
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.conformance.store_material import started

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) SELECT count(*) FROM n"


async def test_a_long_read_goes_to_a_thread_and_back_when_it_is_short_again(tmp_path):
    writer_connection(tmp_path / "x.db", None).close()
    reader = Reader(lambda: reader_connection(tmp_path / "x.db", None))
    assert await reader.read(LONG, {"n": 10}) == [(10,)]
    assert LONG not in reader._long
    turns = 0

    async def count_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)  # noqa: TID251

    counting = asyncio.ensure_future(count_turns())
    assert await reader.read(LONG, {"n": 1_000_000}) == [(1_000_000,)]
    counting.cancel()
    assert turns > 10, "the loop went on meanwhile"
    for _ in range(LONG_FOR_READS):
        assert await reader.read(LONG, {"n": 10}) == [(10,)]
    assert LONG not in reader._long
    reader.close()


async def test_many_short_reads_are_never_taken_for_a_long_one(tmp_path):
    writer_connection(tmp_path / "x.db", None).close()
    reader = Reader(lambda: reader_connection(tmp_path / "x.db", None))
    for _ in range(2_000):
        await reader.read(LONG, {"n": 100})
    assert reader._long == {}
    reader.close()


async def test_a_read_sees_what_was_acknowledged(tmp_path):
    store = SqliteStore(tmp_path / "x.db", FakeClock())
    await store.open()
    for number in range(1, 50):
        await store.commit(Batch(accepted=[started()]))
        assert await store.read("SELECT count(*) FROM events") == [(number,)]
    await store.close()


async def test_the_log_starts_over(tmp_path):
    store = SqliteStore(tmp_path / "x.db", FakeClock())
    await store.open()
    store._checkpoints._pages_max = 200
    for _ in range(300):
        await store.commit(Batch(accepted=[started() for _ in range(20)]))
    size = (tmp_path / "x.db-wal").stat().st_size
    done = store._checkpoints.done
    await store.close()
    assert done > 3
    assert size < 8_000_000, "about 20 MB were written in all"


def test_checkpoints_end_with_their_thread(tmp_path):
    checkpoints = Checkpoints(lambda: writer_connection(tmp_path / "x.db", None))
    checkpoints.start()
    checkpoints.close()
    assert not checkpoints._thread.is_alive()
