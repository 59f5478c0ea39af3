"""The rows of sources: who holds which, how far it has read, and how it does.

A source is taken by setting `owner` and raising `fence`; every later write names the fence. While it is held, `next_at`
is NULL; it is free again when it is let go, or when the lease of the instance that holds it has run out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.model.system_event import SOURCE_TRIGGERS, SystemEvent
from workflow_scheduler.core.ports.store import CursorMove, Row, SourceId, Sql, Store, Work
from workflow_scheduler.stores.portable import outbox, source_items

NEW, CONNECTED, WAITING = "new", "connected", "waiting"
BACKING_OFF, OPEN, REFUSED = "backing_off", "open", "refused"
ENDED, IDLE = "ended", "idle"
TOLD_TRIGGERS_MAX = 100
_TEXT_MAX = 500
_NAMES = (
    "tenant_id", "type", "key", "shape", "revision", "next_at", "owner", "fence", "cursor", "status", "connected_at",
    "alive_at", "event_at", "lag", "expires_at", "error_code", "error", "remedy", "error_at", "failures", "down_since",
    "told_down",
)  # fmt: skip
COLUMNS = ", ".join(_NAMES)
_THIS = "tenant_id = :tenant AND type = :type AND key = :key"
_HELD = f"{_THIS} AND fence = :fence AND owner IS NOT NULL"
_WAKE = """UPDATE sources SET revision = revision + 1, updated_at = :now,
  next_at = CASE WHEN owner IS NULL THEN :now END WHERE tenant_id = :tenant AND (type, key) IN
  (SELECT trigger_subtype, source_key FROM trigger_index WHERE tenant_id = :tenant AND source_key IS NOT NULL AND """


class SourceRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A source as it is stored. Times in microseconds UTC; `cursor` is JSON.

    `connected_at` is since when it works, `alive_at` when the peer last proved to be there, `event_at` when the newest
    event came, `down_since` since when it does not work, `expires_at` when its credentials end. `revision` grows
    whenever the triggers that need it change.
    """

    tenant_id: str
    type: str
    key: str
    shape: str
    revision: int = 1
    next_at: int | None = None
    owner: str | None = None
    fence: int = 0
    cursor: bytes | None = None
    status: str = NEW
    connected_at: int | None = None
    alive_at: int | None = None
    event_at: int | None = None
    lag: int | None = None
    expires_at: int | None = None
    error_code: str | None = None
    error: str | None = None
    remedy: str | None = None
    error_at: int | None = None
    failures: int = 0
    down_since: int | None = None
    told_down: bool = False

    @property
    def id(self) -> SourceId:
        """Which source it is."""
        return (self.tenant_id, self.type, self.key)


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How an attempt went, and when there is to be another one (None: not before a deployment asks for it).

    `failed`: it counts as a failure. `well`: the peer did what it should. `revision` is the one that was acted on.
    `expires_at` is when something ends that it logs in with, `credentials_end` what the peer itself said of that.
    """

    status: str
    next_at: int | None
    at: int
    revision: int
    well: bool = False
    failed: bool = False
    code: str | None = None
    error: str | None = None
    remedy: str | None = None
    alive_at: int | None = None
    lag: int | None = None
    expires_at: int | None = None
    credentials_end: int | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about a source that is being read just now; `stable`: it has worked for a while."""

    connected_at: int
    alive_at: int
    stable: bool
    lag: int | None = None
    expires_at: int | None = None
    credentials_end: int | None = None


def _read(row: Row) -> SourceRow:
    values = dict(zip(_NAMES, row, strict=True))
    values["told_down"] = bool(values["told_down"])
    values["cursor"] = None if values["cursor"] is None else bytes(values["cursor"])
    return SourceRow(**values)


def _where(source: SourceId, **more: Any) -> dict[str, Any]:
    return {"tenant": source[0], "type": source[1], "key": source[2], **more}


async def due(store: Store, shape: str, now: int, limit: int) -> list[SourceRow]:
    """Return up to `limit` free sources of a shape whose time has come, the oldest first."""
    rows = await store.read(
        f"SELECT {COLUMNS} FROM sources WHERE shape = :shape AND next_at <= :now ORDER BY next_at LIMIT :limit",
        {"shape": shape, "now": now, "limit": limit},
    )
    return [_read(row) for row in rows]


async def next_due(store: Store, shape: str) -> int | None:
    """Return when the next source of a shape is due, microseconds."""
    rows = await store.read(
        "SELECT MIN(next_at) FROM sources WHERE shape = :shape AND next_at IS NOT NULL", {"shape": shape}
    )
    return rows[0][0] if rows else None


async def one(store: Store, source: SourceId) -> SourceRow | None:
    """Return a source."""
    rows = await store.read(f"SELECT {COLUMNS} FROM sources WHERE {_THIS}", _where(source))
    return _read(rows[0]) if rows else None


async def held(store: Store, me: str) -> dict[SourceId, tuple[int, int]]:
    """Return fence and revision of every source that an instance holds."""
    rows = await store.read("SELECT tenant_id, type, key, fence, revision FROM sources WHERE owner = :me", {"me": me})
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


async def abandoned(store: Store, now: int) -> list[str]:
    """Return the instances that hold sources although their lease has run out."""
    rows = await store.read(
        "SELECT DISTINCT owner FROM sources WHERE owner IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM instances i WHERE i.id = sources.owner AND i.lease_until >= :now)",
        {"now": now},
    )
    return [row[0] for row in rows]


def poke(source: SourceId, now: int) -> Work[None]:
    """Let a source be polled at once, or once more if it is being polled now."""
    yield Sql(
        "UPDATE sources SET revision = revision + 1, updated_at = :now, "
        f"next_at = CASE WHEN owner IS NULL THEN :now END WHERE {_THIS} AND status <> 'ended'",
        _where(source, now=now),
    )


def free(owner: str, now: int) -> Work[None]:
    """Let go of all that an instance holds; anybody may take it at once."""
    yield Sql(
        "UPDATE sources SET owner = NULL, next_at = :now, updated_at = :now WHERE owner = :owner",
        {"owner": owner, "now": now},
    )


def claim(row: SourceRow, me: str, now: int) -> Work[SourceRow | None]:
    """Take a free source; None when another instance was quicker, or its triggers have changed meanwhile."""
    rows = yield Sql(
        "UPDATE sources SET owner = :me, fence = fence + 1, next_at = NULL, updated_at = :now "
        f"WHERE {_THIS} AND fence = :fence AND revision = :revision AND owner IS NULL RETURNING {COLUMNS}",
        _where(row.id, me=me, now=now, fence=row.fence, revision=row.revision),
    )
    return _read(rows[0]) if rows else None


def move(step: CursorMove) -> Work[bool]:
    """Move a cursor inside another transaction; return whether the source is still held under the fence."""
    rows = yield Sql(
        "UPDATE sources SET cursor = COALESCE(:cursor, cursor), event_at = COALESCE(:event_at, event_at),"
        f" updated_at = :at WHERE {_HELD} RETURNING key",
        _where(step.id, fence=step.fence, cursor=step.cursor, event_at=step.event_at, at=step.at),
    )
    if rows:
        yield from source_items.write(step)
    return bool(rows)


def note(facts: Sequence[tuple[SourceRow, Facts]], now: int) -> Work[None]:
    """Write what is known about sources that are being read; the first time, that they work again."""
    for row, fact in sorted(facts, key=lambda pair: pair[0].id):
        rows = yield Sql(
            "UPDATE sources SET status = 'connected', connected_at = :connected_at, alive_at = :alive_at, lag = :lag,"
            " expires_at = :expires_at, credentials_end = :credentials_end,"
            " failures = CASE WHEN :stable = 1 THEN 0 ELSE failures END, down_since = NULL,"
            " error_code = NULL, error = NULL, remedy = NULL, error_at = NULL, updated_at = :now"
            f" WHERE {_HELD} RETURNING told_down",
            _where(row.id, fence=row.fence, now=now, **msgspec.structs.asdict(fact)) | {"stable": int(fact.stable)},
        )
        if rows and rows[0][0]:
            yield from _tell_up(row, now)


def settle(row: SourceRow, report: Report, down_us: int) -> Work[bool]:
    """Let go of a source with the outcome of an attempt; False when it is held by others now.

    When it has been down for `down_us` microseconds, `source_down` is told, and `source_up` when it works again.
    """
    values = {
        name: getattr(report, name)
        for name in ("status", "next_at", "at", "revision", "code", "lag", "expires_at", "credentials_end", "alive_at")
    }
    error = None if report.error is None else report.error[:_TEXT_MAX]
    remedy = None if report.remedy is None else report.remedy[:_TEXT_MAX]
    rows = yield Sql(
        f"""UPDATE sources SET owner = NULL, status = :status, updated_at = :at,
              next_at = CASE WHEN revision = :revision THEN :next_at ELSE :at END,
              alive_at = COALESCE(:alive_at, alive_at), lag = COALESCE(:lag, lag),
              expires_at = CASE WHEN :well = 1 THEN :expires_at ELSE COALESCE(:expires_at, expires_at) END,
              credentials_end = CASE WHEN :well = 1 THEN :credentials_end ELSE credentials_end END,
              connected_at = CASE WHEN :well = 0 THEN connected_at WHEN down_since IS NULL AND connected_at IS NOT NULL
                THEN connected_at ELSE :at END,
              failures = CASE WHEN :well = 1 THEN 0 ELSE failures + :failed END,
              down_since = CASE WHEN :well = 1 THEN NULL WHEN :failed = 1 THEN COALESCE(down_since, :at)
                ELSE down_since END,
              error_code = :code, error = :error, remedy = :remedy,
              error_at = CASE WHEN :code IS NULL THEN NULL ELSE :at END
            WHERE {_HELD} RETURNING told_down, down_since""",
        _where(row.id, fence=row.fence, error=error, remedy=remedy, well=int(report.well), failed=int(report.failed))
        | values,
    )
    if not rows:
        return False
    told, since = bool(rows[0][0]), rows[0][1]
    if report.well and told:
        yield from _tell_up(row, report.at)
    elif report.failed and not told and since is not None and report.at - since >= down_us:
        yield from _tell_down(row, report, since)
    elif report.status == ENDED and not told:
        yield from _tell_down(row, report, report.at if since is None else since)
    return True


def park(row: SourceRow, now: int) -> Work[None]:
    """Let go of a source that nobody needs, unless somebody has come to need it meanwhile."""
    yield Sql(
        f"""UPDATE sources SET owner = NULL, updated_at = :now,
              next_at = CASE WHEN revision = :revision THEN NULL ELSE :now END,
              status = CASE WHEN revision = :revision THEN 'idle' ELSE status END WHERE {_HELD}""",
        _where(row.id, fence=row.fence, revision=row.revision, now=now),
    )


def need(source: SourceId, shape: str, now: int) -> Sql:
    """Return the statement by which a publication asks for a source; its cursor stays where it was."""
    return Sql(
        """INSERT INTO sources (tenant_id, type, key, shape, next_at, created_at, updated_at)
           VALUES (:tenant, :type, :key, :shape, :now, :now, :now)
           ON CONFLICT (tenant_id, type, key) DO UPDATE SET revision = sources.revision + 1, shape = excluded.shape,
             updated_at = excluded.updated_at, next_at = CASE WHEN sources.owner IS NULL THEN excluded.next_at END""",
        _where(source, shape=shape, now=now),
    )


def wake_workflow(tenant_id: str, workflow_id: str, now: int) -> Sql:
    """Return the statement that has the sources of a workflow's triggers looked at again."""
    return Sql(_WAKE + "workflow_id = :workflow)", {"tenant": tenant_id, "workflow": workflow_id, "now": now})


def wake_trigger(tenant_id: str, trigger_id: str, now: int) -> Sql:
    """Return the statement that has the source of a trigger looked at again."""
    return Sql(_WAKE + "id = :trigger)", {"tenant": tenant_id, "trigger": trigger_id, "now": now})


async def of_trigger(store: Store, tenant_id: str, trigger_id: str) -> tuple[SourceRow, int] | None:
    """Return the source of a trigger, and how many live triggers share it; None when it has none."""
    rows = await store.read(
        "SELECT trigger_subtype, source_key FROM trigger_index WHERE tenant_id = :tenant AND id = :trigger",
        {"tenant": tenant_id, "trigger": trigger_id},
    )
    if not rows or rows[0][1] is None:
        return None
    source = await one(store, (tenant_id, rows[0][0], rows[0][1]))
    if source is None:
        return None
    sharing = await store.read(
        "SELECT COUNT(*) FROM trigger_index WHERE tenant_id = :tenant AND trigger_subtype = :type"
        " AND source_key = :key AND deployment_status = 'active'",
        _where(source.id),
    )
    return source, int(sharing[0][0])


def _tell_up(row: SourceRow, now: int) -> Work[None]:
    rows = yield Sql(f"UPDATE sources SET told_down = 0 WHERE {_THIS} AND told_down = 1 RETURNING key", _where(row.id))
    if rows:
        yield from tell("source_up", row.id, {"since": now}, now)


def _tell_down(row: SourceRow, report: Report, since: int) -> Work[None]:
    yield Sql(f"UPDATE sources SET told_down = 1 WHERE {_THIS}", _where(row.id))
    more = {"since": since, "code": report.code, "error": report.error, "remedy": report.remedy}
    yield from tell("source_down", row.id, {**more, "failures": row.failures + 1}, report.at)


def tell(kind: str, source: SourceId, more: dict[str, Any], now: int) -> Work[None]:
    """Put a system event about a source into the outbox, with the live triggers that it concerns."""
    rows = yield Sql(
        f"""SELECT t.id, t.name, t.workflow_id, w.name FROM trigger_index t
            JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
            WHERE t.tenant_id = :tenant AND t.trigger_subtype = :type AND t.source_key = :key
              AND t.deployment_status = 'active' ORDER BY t.id LIMIT {TOLD_TRIGGERS_MAX}""",
        _where(source),
    )
    names = ("trigger_id", "trigger_name", "workflow_id", "workflow_name")
    concerned = {one: list(dict.fromkeys(part[place] for part in rows)) for place, one in enumerate(names)}
    tenant_id, name, key = source
    data = {"source": f"/{name}/{key}", "type": name, **concerned, **more}
    yield outbox.put(SystemEvent(tenant_id=tenant_id, type=kind, source=SOURCE_TRIGGERS, subject=key, data=data), now)


async def figures(store: Store) -> list[tuple[str, str, int, int | None, int | None]]:
    """Return for each type and status: how many sources, the greatest lag, and since when the first does not work."""
    rows = await store.read(
        "SELECT type, status, COUNT(*), MAX(lag), MIN(down_since) FROM sources WHERE status <> 'idle' "
        "GROUP BY type, status ORDER BY type, status"
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
