"""Who is calling: tenant, user and role, resolved from credentials and from nothing else."""

from __future__ import annotations

import msgspec

LOCAL_TENANT = "local"


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


LOCAL = Principal(tenant_id=LOCAL_TENANT, user_id="local")
