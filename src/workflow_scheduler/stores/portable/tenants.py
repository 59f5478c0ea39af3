"""Which tenants have rows in a table: one probe of its primary key for each tenant, however many rows there are."""

from __future__ import annotations

from workflow_scheduler.core.ports.store import Store

TABLES = frozenset(
    {
        "events",
        "attachments",
        "source_items",
        "runs",
        "decisions",
        "job_logs",
        "join_rounds",
        "dead_letters",
        "backfills",
        "occurrences",
        "idempotency_keys",
        "audit",
    }
)


async def tenants_of(store: Store, table: str) -> list[str]:
    """Return the ids of the tenants that have rows in `table`, over all tenants.

    Raises:
        ValueError: the table is none of TABLES.

    """
    if table not in TABLES:
        message = f"{table} is not a table that is looked through by tenant"
        raise ValueError(message)
    rows = await store.read(
        f"""WITH RECURSIVE found(t) AS (
              SELECT MIN(tenant_id) FROM {table}
              UNION ALL
              SELECT (SELECT MIN(tenant_id) FROM {table} WHERE tenant_id > found.t) FROM found WHERE found.t IS NOT NULL
            ) SELECT t FROM found WHERE t IS NOT NULL"""
    )
    return [str(row[0]) for row in rows]
