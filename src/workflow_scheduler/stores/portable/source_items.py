"""The rows of what sources that can only list have seen: written with the cursor, read by parts of the names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from workflow_scheduler.core.ports.store import CursorMove, SourceId, Sql, Store, Work

PORTION = 200
_UNNEEDED = """owner IS NULL AND next_at IS NULL AND status = 'idle' AND updated_at < :before AND NOT EXISTS
  (SELECT 1 FROM trigger_index t WHERE t.tenant_id = s.tenant_id AND t.trigger_subtype = s.type
   AND t.source_key = s.key AND t.deployment_status = 'active')"""
_THIS = "tenant_id = :tenant AND type = :type AND key = :key"


async def between(store: Store, source: SourceId, after: str, upto: str | None, limit: int) -> list[tuple[str, str]]:
    """Return up to `limit` names and versions of a source, by name: those behind `after`, none behind `upto`."""
    end = "" if upto is None else " AND name <= :upto"
    rows = await store.read(
        f"SELECT name, version FROM source_items WHERE {_THIS} AND name > :after{end} ORDER BY name LIMIT :limit",
        {**_named(source), "after": after, "limit": limit} | ({} if upto is None else {"upto": upto}),
    )
    return [(row[0], row[1]) for row in rows]


def write(move: CursorMove) -> Iterator[Sql]:
    """Yield the statements that keep and forget what `move` says."""
    kept = ((name, version) for name, version in move.items.items() if version is not None)
    while portion := list(islice(kept, PORTION)):
        slots = ", ".join(f"(:tenant, :type, :key, :n{place}, :v{place})" for place in range(len(portion)))
        values = {f"n{place}": name for place, (name, _) in enumerate(portion)}
        values |= {f"v{place}": version for place, (_, version) in enumerate(portion)}
        yield Sql(
            f"INSERT INTO source_items (tenant_id, type, key, name, version) VALUES {slots}"
            " ON CONFLICT (tenant_id, type, key, name) DO UPDATE SET version = excluded.version",
            {**_named(move.id), **values},
        )
    gone = (name for name, version in move.items.items() if version is None)
    while names := list(islice(gone, PORTION)):
        slots = ", ".join(f":n{place}" for place in range(len(names)))
        values = {f"n{place}": name for place, name in enumerate(names)}
        yield Sql(f"DELETE FROM source_items WHERE {_THIS} AND name IN ({slots})", {**_named(move.id), **values})


def forget(tenant_id: str, before: int, limit: int) -> Work[tuple[int, str | None]]:
    """Delete up to `limit` rows of a source that no live trigger has needed since `before` (microseconds).

    With the rows goes its cursor: if somebody needs it again, it begins like a new one. Returns how many rows went, and
    "" where there may be more.
    """
    found = yield Sql(
        f"""SELECT type, key FROM sources s WHERE tenant_id = :tenant AND {_UNNEEDED} AND EXISTS
              (SELECT 1 FROM source_items i WHERE i.tenant_id = s.tenant_id AND i.type = s.type AND i.key = s.key)
            LIMIT 1""",
        {"tenant": tenant_id, "before": before},
    )
    if not found:
        return 0, None
    named = _named((tenant_id, found[0][0], found[0][1]))
    # A publication that needs it now has written the row before, or waits for it.
    still = yield Sql(
        f"UPDATE sources AS s SET cursor = NULL WHERE {_THIS} AND {_UNNEEDED} RETURNING key",
        {**named, "before": before},
    )
    if not still:
        return 0, None
    gone = yield Sql(
        f"""DELETE FROM source_items WHERE {_THIS} AND name IN
              (SELECT name FROM source_items WHERE {_THIS} ORDER BY name LIMIT :limit) RETURNING 1""",
        {**named, "limit": limit},
    )
    return len(gone), ""


def _named(source: SourceId) -> dict[str, str]:
    return {"tenant": source[0], "type": source[1], "key": source[2]}
