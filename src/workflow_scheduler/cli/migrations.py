"""`migrate-db`: bring the schema of DATABASE_URL up to date."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from workflow_scheduler.cli import output
from workflow_scheduler.cli.session import session_of
from workflow_scheduler.cli.times import short
from workflow_scheduler.core.time.clock import SystemClock, to_iso

_APPLIED = "SELECT number, name, applied_at FROM schema_migrations ORDER BY number"


def migrate_db(context: typer.Context) -> None:
    """Apply the migrations that the database (DATABASE_URL, or the file in WFS_DATA) lacks, and list all."""
    items = asyncio.run(_migrate())
    columns = {"NUMBER": "number", "NAME": "name", "APPLIED": lambda one: short(one["applied_at"])}
    output.show(
        session_of(context), {"items": items, "next": None}, lambda value: output.table(value["items"], columns)
    )


async def _migrate() -> list[dict[str, Any]]:
    from workflow_scheduler.app import open_store
    from workflow_scheduler.settings import load

    store = open_store(load(), SystemClock())
    await store.open()
    try:
        rows = await store.read(_APPLIED)
    finally:
        await store.close()
    return [{"number": row[0], "name": row[1], "applied_at": to_iso(row[2])} for row in rows]
