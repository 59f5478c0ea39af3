"""The disk fails at the Nth write or fsync: nothing is acknowledged, and everything works again afterwards."""

import asyncio
import itertools

import apsw
import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.conformance.store_material import ended, set_name, started
from workflow_scheduler.testing.factories import make_job

names = itertools.count()


class FailingFile(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self.disk = disk
        super().__init__(disk.base, name, flags)

    def xWrite(self, data, offset):  # noqa: N802 (apsw names it)
        self.disk.count("write")
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802 (apsw names it)
        self.disk.count("sync")
        super().xSync(flags)


class FailingDisk(apsw.VFS):
    """Passes everything on until `fail(kind, after)`: then the `after`th call of that kind fails, `times` times."""

    def __init__(self):
        self.vfs_name = f"failing-{next(names)}"
        self.base = "unix"
        self.kind, self.left, self.times, self.error = "", 0, 0, apsw.IOError
        super().__init__(self.vfs_name, self.base)

    def xOpen(self, name, flags):  # noqa: N802 (apsw names it)
        return FailingFile(self, name, flags)

    def fail(self, kind, after, times=1, error=apsw.IOError):
        self.kind, self.left, self.times, self.error = kind, after, times, error

    def heal(self):
        self.times = 0

    def count(self, kind):
        if not self.times or kind != self.kind:
            return
        self.left -= 1
        if self.left <= 0:
            self.times -= 1
            raise self.error("the test lets the disk fail")


@pytest.fixture
def disk():
    made = FailingDisk()
    yield made
    made.unregister()


async def stored(store):
    return {row[0] for row in await store.read("SELECT id FROM events")}


async def submit(store, items):
    """Commit each item alone, all at once; return the ids that were acknowledged and those that were refused."""
    results = await asyncio.gather(*(store.commit(Batch(accepted=[item])) for item in items), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results if isinstance(result, BaseException))
    good = {item.event.id for item, result in zip(items, results, strict=True) if not isinstance(result, BaseException)}
    return good, {item.event.id for item in items} - good


@pytest.mark.parametrize("kind", ["write", "sync"])
async def test_the_nth_call_fails(tmp_path, disk, kind):
    store = SqliteStore(tmp_path / "wfs.db", FakeClock(), vfs=disk.vfs_name)
    await store.open()
    store._checkpoints._pages_max = 1_000_000  # copying the log calls the disk too, and no commit feels its failure
    acknowledged, failures = set(), 0
    for after in range(1, 51):
        disk.fail(kind, after)
        while disk.times:
            good, refused = await submit(store, [started() for _ in range(3)])
            acknowledged |= good
            failures += bool(refused)
            assert acknowledged <= await stored(store)
            assert not refused & await stored(store)
        disk.heal()
        good, refused = await submit(store, [started()])
        assert not refused, "it works again without a restart"
        acknowledged |= good
    assert failures == 50
    await store.close()
    again = SqliteStore(tmp_path / "wfs.db", FakeClock())
    await again.open()
    assert acknowledged <= await stored(again)
    await again.close()


async def test_a_full_disk_says_so_and_works_again(tmp_path, disk):
    store = SqliteStore(tmp_path / "wfs.db", FakeClock(), vfs=disk.vfs_name)
    await store.open()
    item = started()
    await store.commit(Batch(accepted=[item]))
    disk.fail("write", 1, times=10_000, error=apsw.FullError)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await store.commit(Batch(jobs=[make_job(item.runs[0])], run_changes=[ended(item.runs[0])]))
    with pytest.raises(StoreUnavailable):
        await store.transact(set_name("a"))
    assert len(await stored(store)) == 1, "reads go on"
    disk.heal()
    result = await store.commit(Batch(jobs=[make_job(item.runs[0])], run_changes=[ended(item.runs[0])]))
    assert not result.fenced
    assert await store.transact(set_name("a")) == "a"
    await store.close()


async def test_works_that_shared_the_failed_commit_are_told(tmp_path, disk):
    store = SqliteStore(tmp_path / "wfs.db", FakeClock(), vfs=disk.vfs_name)
    await store.open()
    disk.fail("sync", 1)
    results = await asyncio.gather(
        store.transact(set_name("a")), store.commit(Batch(accepted=[started()])), return_exceptions=True
    )
    assert any(isinstance(result, StoreUnavailable) for result in results)
    assert len(await store.read("SELECT id FROM tenants")) == (results[0] == "a")
    await store.close()
