"""The two schemas are one: the same tables, columns and indexes; and the structs fit them."""

import asyncpg
import pytest

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.stores.migrations.runner import migrations
from workflow_scheduler.stores.portable import columns
from workflow_scheduler.stores.portable.quarantine import Quarantined, QuarantineRepository
from workflow_scheduler.stores.postgres.connection import migrate
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.conformance.store_material import started
from workflow_scheduler.testing.factories import Rows, make_event

TYPES = {"INTEGER": {"bigint", "smallint"}, "TEXT": {"text"}, "BLOB": {"bytea"}, "BIGINT": {"bigint"}}
STRUCTS = {
    "events": columns.EVENT, "decisions": columns.DECISION, "runs": columns.RUN, "jobs": columns.JOB,
    "job_logs": columns.LOG, "occurrences": columns.OCCURRENCE, "dead_letters": columns.DEAD_LETTER,
}  # fmt: skip


@pytest.fixture
async def sqlite(tmp_path):
    store = SqliteStore(tmp_path / "wfs.db", FakeClock())
    await store.open()
    yield store
    await store.close()


async def tables(store, other="table"):
    rows = await store.read(
        'SELECT m.name, c.name, c.type, c."notnull" FROM sqlite_schema m, pragma_table_info(m.name) c '
        "WHERE m.type IN ('table', :other) AND m.name NOT LIKE 'sqlite_%'",
        {"other": other},
    )
    found = {}
    for table, column, kind, required in rows:
        found.setdefault(table, {})[column] = (kind, bool(required))
    return found


async def test_tables_and_columns_are_the_same(sqlite, bare_postgres_url):
    await migrate(bare_postgres_url, 0)
    connection = await asyncpg.connect(bare_postgres_url)
    rows = await connection.fetch(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = 'public'"
    )
    await connection.close()
    found = {}
    for table, column, kind, nullable in rows:
        found.setdefault(table, {})[column] = (kind, nullable == "NO")
    expected = await tables(sqlite, "view")
    assert {table: set(names) for table, names in found.items()} == {
        table: set(names) for table, names in expected.items()
    }
    for table, names in (await tables(sqlite)).items():
        for column, (kind, required) in names.items():
            other, other_required = found[table][column]
            assert other in TYPES[kind], (table, column)
            assert required == other_required or (column in {"id", "number"} and other_required), (table, column)


async def test_indexes_are_the_same(sqlite, bare_postgres_url):
    await migrate(bare_postgres_url, 0)
    connection = await asyncpg.connect(bare_postgres_url)
    rows = await connection.fetch("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    await connection.close()
    ours = await sqlite.read("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
    assert {row[0] for row in rows if not row[0].endswith("_pkey")} == {row[0] for row in ours}


async def test_structs_fit_their_tables(sqlite):
    found = await tables(sqlite)
    assert [(table, set(names) - set(found[table])) for table, names in STRUCTS.items()] == [
        (table, set()) for table in STRUCTS
    ]
    assert len(columns.event_row(make_event())) == len(columns.EVENT)


async def test_every_table_says_whose_rows_it_holds(sqlite):
    shared = {"index_epoch", "tenants", "instances", "schema_migrations"}
    found = await tables(sqlite)
    assert {table for table, names in found.items() if "tenant_id" not in names} == shared


async def test_a_wrong_type_is_refused_as_on_postgres(sqlite):
    with pytest.raises(Conflict):
        await Rows(sqlite).raw("secrets", tenant_id="a", name="n", sealed="text", created_at=0, updated_at=0)


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_the_quarantine_is_listed_by_pages(store):
    rows, quarantine = Rows(store), QuarantineRepository(store)
    for number in range(5):
        await rows.raw("quarantine", tenant_id="a", kind="run", id=f"r{number}", detail="bad", found_at=number)
    await rows.raw("quarantine", tenant_id="b", kind="run", id="r0", detail="bad", found_at=0)
    first = await quarantine.list("a", limit=3)
    second = await quarantine.list("a", after=first.next, limit=3)
    assert [item.id for item in (*first.items, *second.items)] == [f"r{number}" for number in range(5)]
    assert second.next is None
    assert first.items[0] == Quarantined("run", "r0", "bad", 0)
    assert await quarantine.count() == 6
    assert await quarantine.release("a", "run", "r0")
    assert not await quarantine.release("a", "run", "r0")


async def test_a_store_can_be_opened_again_and_migrates_once(tmp_path):
    all_of_them = [(one.number,) for one in migrations("sqlite")]
    for _ in range(2):
        store = SqliteStore(tmp_path / "wfs.db", FakeClock())
        await store.open()
        await store.commit(Batch(accepted=[started()]))
        assert await store.read("SELECT number FROM schema_migrations ORDER BY number") == all_of_them
        await store.close()
