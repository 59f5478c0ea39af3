"""PostgreSQL's row security, table by table as its own catalogue lists them."""

from __future__ import annotations

import asyncpg
import pytest

TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
  AND c.relnamespace = current_schema()::regnamespace ORDER BY 1
"""
pytestmark = pytest.mark.parametrize("database", ["postgres"], indirect=True)


async def counts(connection, tables):
    return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}  # noqa: S608


async def test_no_row_is_seen_without_the_right_tenant(tenancy, database):
    connection = await asyncpg.connect(database)
    try:
        tables = [row[0] for row in await connection.fetch(TABLES)]
        there = await counts(connection, tables)
        filled = {table for table, count in there.items() if count}
        assert {
            "events",
            "runs",
            "jobs",
            "decisions",
            "secrets",
            "connections",
            "api_keys",
            "workflows",
            "workflow_templates",
            "trigger_index",
            "attachments",
            "attachment_parts",
        } <= filled
        await connection.execute("SET ROLE wfs_service")
        nothing = dict.fromkeys(tables, 0)
        assert await counts(connection, tables) == nothing, "a session that names no tenant"
        for tenant in ("", "other", "acm", "ACME", "acme ", "%", "acme,other", "local"):
            await connection.execute("SELECT set_config('wfs.tenant', $1, false)", tenant)
            assert await counts(connection, tables) == nothing, tenant
        await connection.execute("SET wfs.tenant = 'acme'")
        mine = await counts(connection, tables)
        assert {table for table, count in mine.items() if count} == filled
    finally:
        await connection.close()


async def test_no_row_of_another_tenant_can_be_written_or_removed(tenancy, database):
    connection = await asyncpg.connect(database)
    try:
        tables = [row[0] for row in await connection.fetch(TABLES)]
        before = await counts(connection, tables)
        await connection.execute("SET ROLE wfs_service; SET wfs.tenant = 'other'")
        for table in tables:
            assert await connection.execute(f"UPDATE {table} SET tenant_id = 'other'") == "UPDATE 0"  # noqa: S608
            assert await connection.execute(f"DELETE FROM {table}") == "DELETE 0"  # noqa: S608
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                "INSERT INTO secrets (tenant_id, name, sealed, created_at, updated_at) VALUES ('acme', 'x', 'x', 0, 0)"
            )
        await connection.execute("RESET ROLE")
        assert await counts(connection, tables) == before
    finally:
        await connection.close()


async def test_the_service_never_runs_as_a_role_that_row_security_does_not_bind(tenancy):
    rows = await tenancy.application.store.read(
        "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    assert [(user, bool(free)) for user, free in rows] == [("wfs_service", False)]
