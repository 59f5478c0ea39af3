"""Calendars in the database: their versions, who follows them, and the transactions that change them.

An edit moves the index epoch first, as a deployment does: whatever was decided under the version before is decided
again. Due rows that depend on where times are shifted to are moved in the same transaction, the soonest first; where
there are more than fit, `calendar_moves` says how far the rest has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from workflow_scheduler.core.errors import Conflict, FieldError, NotFound, PreconditionFailed
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.calendars.use import calendar_key
from workflow_scheduler.stores.portable.calendar_checks import TIMERS, check_versions
from workflow_scheduler.stores.portable.publishing import BUMP_EPOCH
from workflow_scheduler.stores.portable.rows import numbered

CALENDARS_MAX = 1_000
_COLUMNS = "name, version, description, members, created_at, updated_at, updated_by"


class CalendarRow(NamedTuple):
    """A calendar as it stands; `members` is JSON, names by `union` and `except`; times are microseconds."""

    name: str
    version: int
    description: str
    members: str
    created_at: int
    updated_at: int
    updated_by: str | None


class VersionRow(NamedTuple):
    """One version of a calendar; `spec` is JSON."""

    version: int
    spec: str
    created_at: int
    created_by: str | None


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A new version of a calendar. `was` is the version it replaces, 0 for a new calendar; times are microseconds."""

    tenant_id: str
    name: str
    was: int
    description: str
    members: str
    spec: str
    actor: str | None
    now: int


class DueMove(NamedTuple):
    """Where a due row goes on, if it is still the one that was read: revision and due time guard it."""

    trigger_id: str
    revision: int
    was_fire_at: int | None
    next_fire_at: int | None
    next_nominal: int | None


class Follower(NamedTuple):
    """The due row of a live time trigger that follows a calendar; `config` is JSON."""

    trigger_id: str
    type: str
    config: str
    anchor: int
    revision: int
    next_fire_at: int | None
    next_nominal: int | None
    last_nominal: int | None
    paused_until: int | None


class Pending(NamedTuple):
    """An edit whose due rows are not all moved: triggers up to the id `place` are done."""

    tenant_id: str
    name: str
    version: int
    place: str


class Portion(NamedTuple):
    """Due rows to move at `now`; `place` is the last trigger they come to, None where no more follow."""

    moves: Sequence[DueMove]
    place: str | None
    now: int


class CalendarRepository:
    """Reads and writes calendars of a tenant."""

    def __init__(self, store: Store) -> None:
        """Work on `store`."""
        self._store = store

    async def index(self, tenant_id: str) -> list[CalendarRow]:
        """Return every calendar of a tenant, by name."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM calendars WHERE tenant_id = :tenant ORDER BY name", {"tenant": tenant_id}
        )
        return [CalendarRow(*row) for row in rows]

    async def get(self, tenant_id: str, name: str) -> CalendarRow:
        """Return one calendar.

        Raises:
            NotFound: the tenant has none of that name.

        """
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM calendars WHERE tenant_id = :tenant AND name = :name",
            {"tenant": tenant_id, "name": name},
        )
        if not rows:
            raise no_calendar(name)
        return CalendarRow(*rows[0])

    async def page(self, tenant_id: str, limit: int, after: str | None) -> list[CalendarRow]:
        """Return up to `limit` calendars by name, later than the name `after`."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM calendars WHERE tenant_id = :tenant AND name > :after ORDER BY name LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [CalendarRow(*row) for row in rows]

    async def specs(self, tenant_id: str, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return the JSON of specifications by name and version; those that do not exist are left out."""
        if not wanted:
            return {}
        names, params = numbered("name", [name for name, _ in wanted])
        rows = await self._store.read(
            f"""SELECT v.name, v.version, v.spec FROM calendar_versions v
                WHERE v.tenant_id = :tenant AND v.name IN ({names}) AND v.version IN
                  ({", ".join(str(int(version)) for _, version in wanted)})""",
            {"tenant": tenant_id, **params},
        )
        asked = set(wanted)
        return {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in asked}

    async def versions(self, tenant_id: str, name: str, limit: int, before: int | None) -> list[VersionRow]:
        """Return up to `limit` versions, the newest first, earlier than the version `before`."""
        rows = await self._store.read(
            """SELECT version, spec, created_at, created_by FROM calendar_versions
               WHERE tenant_id = :tenant AND name = :name AND version < :before ORDER BY version DESC LIMIT :limit""",
            {"tenant": tenant_id, "name": name, "before": before if before is not None else 1 << 62, "limit": limit},
        )
        return [VersionRow(*row) for row in rows]

    async def users(self, tenant_id: str, names: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """Return (workflow, trigger) of live triggers that name one of the calendars."""
        keys, params = numbered("key", [calendar_key(name) for name in names])
        rows = await self._store.read(_users(keys), {"tenant": tenant_id, "limit": limit, **params})
        return [(row[0], row[1]) for row in rows]

    async def followers(
        self, tenant_id: str, names: Sequence[str], limit: int, after: str | None = None
    ) -> list[Follower]:
        """Return up to `limit` due rows of triggers that name one of the calendars and are not completed.

        With `after` they are in the order of their ids from there on, otherwise those that are due soonest.
        """
        keys, params = numbered("key", [calendar_key(name) for name in names])
        place = "" if after is None else "AND s.trigger_id > :after"
        rows = await self._store.read(
            f"""SELECT DISTINCT s.trigger_id, t.trigger_subtype, t.trigger_config, s.anchor, s.revision, s.next_fire_at,
                  s.next_nominal, s.last_nominal, s.paused_until
                FROM trigger_keys k
                JOIN schedules s ON s.tenant_id = k.tenant_id AND s.trigger_id = k.trigger_id
                JOIN trigger_index t ON t.tenant_id = k.tenant_id AND t.id = k.trigger_id
                WHERE k.tenant_id = :tenant AND k.trigger_subtype IN {TIMERS} AND k.index_key IN ({keys})
                  AND t.deployment_status = 'active' AND s.completed = 0 AND s.next_nominal IS NOT NULL {place}
                ORDER BY {"s.next_fire_at, s.trigger_id" if after is None else "s.trigger_id"} LIMIT :limit""",
            {"tenant": tenant_id, "limit": limit, **params, **({} if after is None else {"after": after})},
        )
        return [Follower(*row) for row in rows]

    async def edit(self, edit: Edit, seen: dict[str, int], moves: Sequence[DueMove], *, more: bool) -> int:
        """Store a new version with the due rows it moves, in one transaction; return the version's number.

        `seen` has the versions of the calendars that the moves were computed with; `more` says that further rows are
        to be moved later.

        Raises:
            PreconditionFailed: the calendar is at another version than `was` by now, or one of `seen` is.
            Conflict: the name is taken, or the tenant has 1,000 calendars.

        """
        return await self._store.transact(_edit(edit, seen, moves, more=more))

    async def move(self, pending: Pending, seen: dict[str, int], portion: Portion) -> bool:
        """Move some more due rows of an edit. False: somebody else did.

        Raises:
            PreconditionFailed: one of the calendars that the moves were computed with has changed.

        """
        return await self._store.transact(_move_more(pending, seen, portion))

    async def pending(self, limit: int) -> list[Pending]:
        """Return edits of all tenants whose due rows are not all moved."""
        rows = await self._store.read(
            "SELECT tenant_id, name, version, place FROM calendar_moves ORDER BY started_at LIMIT :limit",
            {"limit": limit},
        )
        return [Pending(*row) for row in rows]

    async def delete(self, tenant_id: str, name: str) -> None:
        """Remove a calendar; its versions stay, for they have decided.

        Raises:
            NotFound: the tenant has none of that name.
            Conflict: triggers or other calendars use it.

        """
        await self._store.transact(_delete(tenant_id, name))


async def followed_by_tenant(store: Store, tenant_id: str) -> list[str]:
    """Return the calendars of a tenant that live triggers name."""
    rows = await store.read(
        f"""SELECT c.name FROM calendars c WHERE c.tenant_id = :tenant AND EXISTS (
              SELECT 1 FROM trigger_keys k WHERE k.tenant_id = :tenant AND k.trigger_subtype IN {TIMERS}
                AND k.index_key = '{calendar_key("")}' || c.name)""",
        {"tenant": tenant_id},
    )
    return [str(row[0]) for row in rows]


def no_calendar(name: str) -> NotFound:
    """Return the error for a calendar that does not exist."""
    return NotFound(f"there is no calendar `{name[:80]}`", fix="list the calendars: GET /api/v1/calendars")


def _names(members: str) -> list[str]:
    return [name for names in msgspec.json.decode(members).values() for name in names]


def _users(keys: str) -> str:
    return f"""SELECT DISTINCT w.name, t.name FROM trigger_keys k
        JOIN trigger_index t ON t.tenant_id = k.tenant_id AND t.id = k.trigger_id
        JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
        WHERE k.tenant_id = :tenant AND k.trigger_subtype IN {TIMERS} AND k.index_key IN ({keys})
        ORDER BY w.name, t.name LIMIT :limit"""


def _edit(edit: Edit, seen: dict[str, int], moves: Sequence[DueMove], *, more: bool) -> Work[int]:
    yield BUMP_EPOCH
    who = {"tenant": edit.tenant_id, "name": edit.name}
    yield from check_versions(edit.tenant_id, seen)
    newest = yield Sql("SELECT MAX(version) FROM calendar_versions WHERE tenant_id = :tenant AND name = :name", who)
    version = int(newest[0][0] or 0) + 1
    values = {
        **who, "version": version, "description": edit.description, "members": edit.members, "now": edit.now,
        "actor": edit.actor,
    }  # fmt: skip
    if edit.was:
        rows = yield Sql(
            """UPDATE calendars SET version = :version, description = :description, members = :members,
                 updated_at = :now, updated_by = :actor
               WHERE tenant_id = :tenant AND name = :name AND version = :was RETURNING name""",
            {**values, "was": edit.was},
        )
        if not rows:
            raise PreconditionFailed(f"the calendar `{edit.name}` was changed in the meantime", fix="read it again")
    else:
        count = yield Sql("SELECT COUNT(*) FROM calendars WHERE tenant_id = :tenant", {"tenant": edit.tenant_id})
        if count[0][0] >= CALENDARS_MAX:
            raise Conflict(f"the tenant has {CALENDARS_MAX} calendars already", fix="delete those that nobody uses")
        rows = yield Sql(
            """INSERT INTO calendars (tenant_id, name, version, description, members, created_at, updated_at,
                 updated_by)
               VALUES (:tenant, :name, :version, :description, :members, :now, :now, :actor)
               ON CONFLICT DO NOTHING RETURNING name""",
            values,
        )
        if not rows:
            message = f"there is a calendar `{edit.name}` already"
            raise Conflict(
                message, fix="change it with PUT, or choose another name", errors=[FieldError("name", message)]
            )
    yield Sql(
        """INSERT INTO calendar_versions (tenant_id, name, version, spec, created_at, created_by)
           VALUES (:tenant, :name, :version, :spec, :now, :actor)""",
        {**who, "version": version, "spec": edit.spec, "now": edit.now, "actor": edit.actor},
    )
    lost = yield from _moved(edit.tenant_id, moves, edit.now)
    if more or lost:
        yield Sql(
            """INSERT INTO calendar_moves (tenant_id, name, version, place, started_at)
               VALUES (:tenant, :name, :version, '', :now)
               ON CONFLICT (tenant_id, name) DO UPDATE SET version = excluded.version, place = '',
                 started_at = excluded.started_at""",
            {**who, "version": version, "now": edit.now},
        )
    return version


def _moved(tenant_id: str, moves: Sequence[DueMove], now: int) -> Work[bool]:
    """Move due rows; return whether one of them was another one by now."""
    lost = False
    for move in moves:
        rows = yield Sql(
            """UPDATE schedules SET next_fire_at = :fire, next_nominal = :nominal, completed = :completed,
                 revision = revision + 1, updated_at = CASE WHEN paused_until IS NULL THEN :now ELSE updated_at END
               WHERE tenant_id = :tenant AND trigger_id = :id AND revision = :revision AND next_fire_at = :was
               RETURNING trigger_id""",
            {
                "tenant": tenant_id,
                "id": move.trigger_id,
                "revision": move.revision,
                "was": move.was_fire_at,
                "fire": move.next_fire_at,
                "nominal": move.next_nominal,
                "completed": int(move.next_fire_at is None),
                "now": now,
            },
        )
        lost = lost or not rows
    return lost


def _move_more(pending: Pending, seen: dict[str, int], portion: Portion) -> Work[bool]:
    moves, place, now = portion
    if moves:
        yield BUMP_EPOCH  # what the timer has read and not yet written is read again
    own = {"tenant": pending.tenant_id, "name": pending.name, "version": pending.version, "was": pending.place}
    where = "WHERE tenant_id = :tenant AND name = :name AND version = :version AND place = :was"
    if place is None:
        rows = yield Sql(f"DELETE FROM calendar_moves {where} RETURNING name", own)
    else:
        rows = yield Sql(f"UPDATE calendar_moves SET place = :place {where} RETURNING name", {**own, "place": place})
    if not rows:
        return False
    yield from check_versions(pending.tenant_id, seen)
    yield from _moved(pending.tenant_id, moves, now)
    return True


def _delete(tenant_id: str, name: str) -> Work[None]:
    yield BUMP_EPOCH
    who = {"tenant": tenant_id, "name": name}
    rows = yield Sql("DELETE FROM calendars WHERE tenant_id = :tenant AND name = :name RETURNING name", who)
    if not rows:
        raise no_calendar(name)
    users = yield Sql(_users(":key"), {"tenant": tenant_id, "key": calendar_key(name), "limit": 11})
    others = yield Sql(
        "SELECT name, members FROM calendars WHERE tenant_id = :tenant ORDER BY name", {"tenant": tenant_id}
    )
    named = [f"trigger `{trigger}` of `{workflow}`" for workflow, trigger in users[:10]]
    named += [f"calendar `{other}`" for other, members in others if name in _names(members)][:10]
    if named:
        more = " and others" if len(users) > 10 else ""  # noqa: PLR2004 -- as many as are named
        raise Conflict(
            f"the calendar `{name}` is in use by {', '.join(named)}{more}",
            fix="take it out of their `calendars`, or of `union` and `except`, first",
        )
    yield Sql("DELETE FROM calendar_moves WHERE tenant_id = :tenant AND name = :name", who)
