"""Who is calling: tenant, user and role, resolved from credentials and from nothing else.

Roles, each of which may do what the ones before it may:

- `viewer` looks at everything except keys, members and the audit log, and answers what it is asked for.
- `editor` changes workflows, triggers, schedules, connections and secrets, and starts and stops runs.
- `owner` also makes keys, decides who is a member, sets the tenant's limits, and reads the audit log.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

LOCAL_TENANT = "local"


class Role(StrEnum):
    """What a member of a tenant may do; see the module."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    @property
    def rank(self) -> int:
        """The place of the role among all: a higher one may do more."""
        return _RANKS[self]


_RANKS = {Role.VIEWER: 0, Role.EDITOR: 1, Role.OWNER: 2}
# Names that issuers of tokens use for the same thing.
_ALIASES = {
    "member": Role.EDITOR,
    "authenticated": Role.EDITOR,
    "admin": Role.OWNER,
    "service_role": Role.OWNER,
}


def role_of(text: str) -> Role:
    """Return the role that a text names; an unknown one may only look."""
    known = text.strip().lower()
    try:
        return Role(known)
    except ValueError:
        return _ALIASES.get(known, Role.VIEWER)


class Principal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The caller. `method` is `local`, `api_key` or `jwt`; `bearer` is the token to hand on, if one was sent."""

    tenant_id: str
    user_id: str
    role: str = "owner"
    method: str = "local"
    bearer: str | None = None

    def __repr__(self) -> str:
        """Name the caller, but never the token: this text may reach a log."""
        return f"Principal({self.tenant_id}/{self.user_id}, {self.role}, by {self.method})"

    def may_act_as(self, role: Role) -> bool:
        """Return whether the caller's role includes what `role` may do."""
        return role_of(self.role).rank >= role.rank


LOCAL = Principal(tenant_id=LOCAL_TENANT, user_id="local")
