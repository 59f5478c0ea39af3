"""Keyset pages over UUIDv7 ids, newest first, whose cost has a ceiling whatever the filter and however large the table.

A filter without an index of its own is evaluated over at most `SCAN_ROWS` rows per page. Where those hold fewer
matches than asked for, the page is short and its cursor stands at the last row that was looked at, so that following
`next` always reaches the end. That keeps rarely used indexes off the path of every event and run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.ports.store import Row, Store

SCAN_ROWS = 2_000
_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_LOWEST = ""


class Range(msgspec.Struct, frozen=True, gc=False):
    """Ids that are looked at: below `before`, and not below `since`."""

    before: str = _HIGHEST
    since: str = _LOWEST


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A page to read: table and columns (the id first), the fixed part that an index answers, and the filter.

    `fixed` and `filters` are SQL conditions made from constants; values come through `params`. `ids_first` is for an
    index that is not in the order of the ids: then only ids are sorted, and whole rows are read for the page alone.
    """

    table: str
    columns: Sequence[str]
    fixed: Sequence[str]
    filters: Sequence[str]
    params: Mapping[str, Any]
    ids: Range = Range()
    hint: str = ""
    ids_first: bool = False


def id_floor(instant_us: int) -> str:
    """Return the lowest UUIDv7 that can have been minted at `instant_us` or later."""
    digits = f"{max(0, instant_us) // 1000 & 0xFFFFFFFFFFFF:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def between(cursor: str | None, since: int | None, until: int | None) -> Range:
    """Return the ids below `cursor` that were minted from `since` (inclusive) to `until` (exclusive), microseconds."""
    before = cursor or _HIGHEST
    if until is not None:
        before = min(before, id_floor(until))
    return Range(before=before, since=_LOWEST if since is None else id_floor(since))


def _select(scan: Scan, what: str, extra: Sequence[str], tail: str) -> str:
    where = " AND ".join([*scan.fixed, "id < :before", "id >= :since", *extra])
    return f"SELECT {what} FROM {scan.table} {scan.hint} WHERE {where} ORDER BY id DESC {tail}"


async def page(store: Store, scan: Scan, limit: int, scan_rows: int = SCAN_ROWS) -> tuple[list[Row], str | None]:
    """Return at most `limit` rows and the id that the next page is below, or None at the end."""
    params = {**scan.params, "before": scan.ids.before, "since": scan.ids.since}
    edge: str | None = None
    if scan.filters:
        edges = await store.read(_select(scan, "id", (), "LIMIT 1 OFFSET :last"), {**params, "last": scan_rows - 1})
        if edges:
            edge = str(edges[0][0])
            params["since"] = edge
    columns = ", ".join(scan.columns)
    if scan.ids_first:
        found = _select(scan, "id", scan.filters, "LIMIT :limit")
        text = f"SELECT {columns} FROM {scan.table} WHERE tenant_id = :tenant AND id IN ({found}) ORDER BY id DESC"
    else:
        text = _select(scan, columns, scan.filters, "LIMIT :limit")
    rows = await store.read(text, {**params, "limit": limit + 1})
    if len(rows) > limit:
        return rows[:limit], str(rows[limit - 1][0])
    return rows, edge
