"""Members: the people of a tenant and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflow_scheduler.core.errors import FieldError, Forbidden, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import Principal, Role
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.stores.portable.members import Member, MemberRepository

TEXT_CHARACTERS_MAX = 200
GROUP_CHARACTERS_MAX = 64


class Members:
    """The members of all tenants.

    Who is a member decides about tokens: a member's role replaces the one that a token claims, and the tokens of one
    who was removed are refused. Users that were never added keep the role of their token.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep members in `store`; `on_change` is called after somebody's role may have changed."""
        self._members = MemberRepository(store)
        self._clock = clock
        self.on_change: Callable[[], None] | None = None
        self.on_fact: Callable[[], None] | None = None

    async def role_of(self, tenant_id: str, user_id: str, claimed: str) -> str:
        """Return the role that counts for a user whose token claims `claimed`.

        Raises:
            Forbidden: the user was removed from the tenant.

        """
        member = await self._members.get(tenant_id, user_id)
        if member is None:
            return claimed
        if member.removed_at is not None:
            raise Forbidden("this user was removed from the tenant", fix="ask an owner of the tenant to be added again")
        return member.role

    async def add(self, principal: Principal, user_id: str, role: str, **about: Any) -> dict[str, Any]:
        """Add a member; the internal event `user_created` tells of it. `about` holds `name`, `email` and `groups`.

        Raises:
            ValidationFailed: the id, the role, the name or the address cannot be used.
            Conflict: the tenant has that member already.

        """
        values = {"user_id": user_id, "role": role, **about}
        _check(values)
        now = self._clock.now()
        member = Member(
            tenant_id=principal.tenant_id, user_id=user_id, role=role, name=about.get("name"), email=about.get("email"),
            created_at=now, created_by=principal.user_id, updated_at=now,
            groups=tuple(about.get("groups") or ()),
        )  # fmt: skip
        added = shape(await self._members.add(member))
        self._changed()
        if self.on_fact:
            self.on_fact()
        return added

    async def get(self, principal: Principal, user_id: str) -> dict[str, Any]:
        """Return a member.

        Raises:
            NotFound: the tenant has no such member.

        """
        member = await self._members.get(principal.tenant_id, user_id)
        if member is None or member.removed_at is not None:
            raise NotFound(f"there is no member `{user_id}`", fix="list the members: GET /api/v1/members")
        return shape(member)

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the members by id; `next` is the id to go on after."""
        found = await self._members.list(principal.tenant_id, after, limit + 1)
        following = found[limit - 1].user_id if len(found) > limit else None
        return Page([shape(member) for member in found[:limit]], following)

    async def change(self, principal: Principal, user_id: str, values: dict[str, Any]) -> dict[str, Any]:
        """Set what `values` holds of role, name, email and groups; it counts at once here, within seconds elsewhere.

        Raises:
            ValidationFailed: a value cannot be used.
            NotFound: the tenant has no such member.
            Conflict: nobody would own the tenant any more.

        """
        _check(values)
        changed = shape(await self._members.change(principal.tenant_id, user_id, values, self._clock.now()))
        self._changed()
        return changed

    async def remove(self, principal: Principal, user_id: str) -> None:
        """Remove a member and revoke the keys that they made.

        Raises:
            NotFound: the tenant has no such member.
            Conflict: nobody would own the tenant any more.

        """
        await self._members.remove(principal.tenant_id, user_id, self._clock.now())
        self._changed()

    def _changed(self) -> None:
        if self.on_change:
            self.on_change()


def shape(member: Member) -> dict[str, Any]:
    """Return a member as the API shows it."""
    return {
        "user_id": member.user_id,
        "role": member.role,
        "name": member.name,
        "email": member.email,
        "groups": list(member.groups),
        "created_at": to_iso(member.created_at),
        "created_by": member.created_by,
        "updated_at": to_iso(member.updated_at),
    }


def _is_group(name: str) -> bool:
    return 0 < len(name) <= GROUP_CHARACTERS_MAX and all(one.isalnum() or one in "._-" for one in name)


def _check(values: dict[str, Any]) -> None:
    errors = [
        FieldError(field, f"must be 1 to {TEXT_CHARACTERS_MAX} printable characters")
        for field in ("user_id", "name", "email")
        if values.get(field) is not None
        and not (0 < len(values[field]) <= TEXT_CHARACTERS_MAX and values[field].isprintable())
    ]
    errors += [
        FieldError(f"groups.{place}", "must be a name of 1 to 64 letters, digits, dots, dashes and underscores")
        for place, group in enumerate(values.get("groups") or ())
        if not _is_group(group)
    ]
    email = values.get("email")
    if email is not None and ("@" not in email or " " in email):
        errors.append(FieldError("email", "must be an address such as ada@example.org"))
    if "role" in values and values["role"] not in list(Role):
        errors.append(FieldError("role", f"must be one of {', '.join(Role)}"))
    if errors:
        raise ValidationFailed("; ".join(f"{line.field} {line.message}" for line in errors), errors=errors)
