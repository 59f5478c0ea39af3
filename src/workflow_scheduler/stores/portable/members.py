"""The members of a tenant in the database."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.model.principal import Role
from workflow_scheduler.core.model.system_event import SOURCE_ACCESS, SystemEvent
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable import outbox

_COLUMNS = "tenant_id, user_id, role, name, email, created_at, created_by, updated_at, removed_at, member_of"
_LAST_OWNER = "the last owner of the tenant stays one"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a tenant. Times are microseconds UTC; one who was removed keeps the row and has `removed_at`."""

    tenant_id: str
    user_id: str
    role: str
    name: str | None
    email: str | None
    created_at: int
    created_by: str
    updated_at: int
    removed_at: int | None = None
    groups: tuple[str, ...] = ()


class MemberRepository:
    """Reads and changes members."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def get(self, tenant_id: str, user_id: str) -> Member | None:
        """Return a member, also one who was removed; None where there never was one."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM members WHERE tenant_id = :tenant AND user_id = :user",
            {"tenant": tenant_id, "user": user_id},
        )
        return _member(rows[0]) if rows else None

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[Member]:
        """Return up to `limit` members in the order of their ids, later than `after`, without those removed."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM members WHERE tenant_id = :tenant AND user_id > :after AND removed_at IS NULL "
            "ORDER BY user_id LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [_member(row) for row in rows]

    async def add(self, member: Member) -> Member:
        """Store a member, also one who was removed before, and tell of it.

        Raises:
            Conflict: the tenant has that member already.

        """
        return await self._store.transact(_add(member))

    async def change(self, tenant_id: str, user_id: str, values: dict[str, Any], now: int) -> Member:
        """Set role, name, email or groups, whichever `values` holds.

        Raises:
            NotFound: the tenant has no such member.
            Conflict: nobody would own the tenant any more.

        """
        return await self._store.transact(_change(tenant_id, user_id, values, now))

    async def remove(self, tenant_id: str, user_id: str, now: int) -> None:
        """Remove a member and revoke the keys that they made.

        Raises:
            NotFound: the tenant has no such member.
            Conflict: nobody would own the tenant any more.

        """
        await self._store.transact(_remove(tenant_id, user_id, now))


def _member(row: Row) -> Member:
    *values, groups = row
    return Member(**dict(zip(Member.__struct_fields__[:-1], values, strict=True)), groups=_groups(groups))


def _groups(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _add(member: Member) -> Work[Member]:
    rows = yield Sql(
        f"""INSERT INTO members ({_COLUMNS})
            VALUES (:tenant, :user, :role, :name, :email, :now, :by, :now, NULL, :groups)
            ON CONFLICT (tenant_id, user_id) DO UPDATE SET role = excluded.role, name = excluded.name,
              email = excluded.email, created_at = excluded.created_at, created_by = excluded.created_by,
              updated_at = excluded.updated_at, removed_at = NULL, member_of = excluded.member_of
            WHERE members.removed_at IS NOT NULL RETURNING {_COLUMNS}""",
        {
            "tenant": member.tenant_id, "user": member.user_id, "role": member.role, "name": member.name,
            "email": member.email, "now": member.created_at, "by": member.created_by,
            "groups": msgspec.json.encode(member.groups).decode(),
        },
    )  # fmt: skip
    if not rows:
        raise Conflict(f"`{member.user_id}` is a member already", fix="change the role with PUT")
    fact = SystemEvent(
        tenant_id=member.tenant_id,
        type="user_created",
        source=SOURCE_ACCESS,
        subject=member.user_id,
        data={
            "user_id": member.user_id,
            "name": member.name,
            "email": member.email,
            "role": member.role,
            "actor": member.created_by,
        },
    )
    yield outbox.put(fact, member.created_at)
    return _member(rows[0])


def _present(tenant_id: str, user_id: str) -> Work[Member]:
    """Return a member. The owners' rows are locked first: two who demote each other at once must not both succeed."""
    yield Sql(
        "UPDATE members SET updated_at = updated_at WHERE tenant_id = :tenant AND role = 'owner'",
        {"tenant": tenant_id},
    )
    rows = yield Sql(
        f"SELECT {_COLUMNS} FROM members WHERE tenant_id = :tenant AND user_id = :user AND removed_at IS NULL",
        {"tenant": tenant_id, "user": user_id},
    )
    if not rows:
        raise NotFound(f"there is no member `{user_id}`", fix="list the members: GET /api/v1/members")
    return _member(rows[0])


def _keep_owner(member: Member) -> Work[None]:
    if member.role != Role.OWNER:
        return
    others = yield Sql(
        "SELECT 1 FROM members WHERE tenant_id = :tenant AND user_id <> :user AND role = 'owner' "
        "AND removed_at IS NULL LIMIT 1",
        {"tenant": member.tenant_id, "user": member.user_id},
    )
    if not others:
        raise Conflict(_LAST_OWNER, fix="make somebody else an owner first")


def _change(tenant_id: str, user_id: str, values: dict[str, Any], now: int) -> Work[Member]:
    member = yield from _present(tenant_id, user_id)
    if values.get("role", member.role) != member.role:
        yield from _keep_owner(member)
    changed = msgspec.structs.replace(member, updated_at=now, **values)
    yield Sql(
        """UPDATE members SET role = :role, name = :name, email = :email, member_of = :groups,
             updated_at = :now
           WHERE tenant_id = :tenant AND user_id = :user""",
        {
            "tenant": tenant_id, "user": user_id, "role": changed.role, "name": changed.name, "email": changed.email,
            "now": now, "groups": msgspec.json.encode(changed.groups).decode(),
        },
    )  # fmt: skip
    return changed


def _remove(tenant_id: str, user_id: str, now: int) -> Work[None]:
    member = yield from _present(tenant_id, user_id)
    yield from _keep_owner(member)
    who = {"tenant": tenant_id, "user": user_id, "now": now}
    yield Sql(
        "UPDATE members SET removed_at = :now, updated_at = :now WHERE tenant_id = :tenant AND user_id = :user", who
    )
    yield Sql(
        "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, :now) WHERE tenant_id = :tenant AND user_id = :user", who
    )
