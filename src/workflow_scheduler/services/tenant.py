"""Settings of one tenant, changed by its owners within what the installation allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Forbidden
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import Clock

CODE_REFUSED = "jobs that run code are not allowed for this tenant"
CODE_FIX = (
    "an owner allows them: `workflow-scheduler tenant set --allow-code`;"
    " the installation allows them with WFS_ALLOW_CODE=true and WFS_CODE_TENANTS"
)


class TenantSettings:
    """What a tenant allows itself; implements core.ports.resources.CodeRule.

    Code runs where the installation allows it (WFS_ALLOW_CODE, and WFS_CODE_TENANTS where that names some) and the
    tenant has not forbidden it.
    """

    def __init__(self, store: Store, clock: Clock, *, allow_code: bool, code_tenants: Collection[str] = ()) -> None:
        """Keep settings in `store`; `code_tenants` are those that may run code, all where it is empty."""
        self._store = store
        self._clock = clock
        self._allow_code = allow_code
        self._code_tenants = frozenset(code_tenants)

    async def code_allowed(self, tenant_id: str) -> bool:
        """Return whether jobs of this tenant may run code."""
        return self._installed(tenant_id) and (await self._read(tenant_id)).get("allow_code") is not False

    async def get(self, principal: Principal) -> dict[str, Any]:
        """Return the tenant's settings, and what follows from them."""
        return self._shape(principal.tenant_id, await self._read(principal.tenant_id))

    async def pools(self, tenant_id: str) -> dict[str, int]:
        """Return the capacities of the tenant's pools of resources by name."""
        return _pools(await self._read(tenant_id))

    async def put(
        self, principal: Principal, *, allow_code: bool | None, resources: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Change the tenant's settings.

        `allow_code` None leaves the decision to the installation; `resources` replace the tenant's pools, None leaves
        them as they are. Who waits for a pool that has become larger is let in within seconds; what is held of one that
        has become smaller is not taken away.

        Raises:
            Forbidden: the caller is no owner.

        """
        if principal.role != "owner":
            raise Forbidden("only an owner may change the settings of the tenant")
        wanted: dict[str, Any] = {"allow_code": allow_code}
        if resources is not None:
            wanted["resources"] = dict(resources)
        await self._store.transact(_put(principal.tenant_id, wanted, self._clock.now()))
        return await self.get(principal)

    def _installed(self, tenant_id: str) -> bool:
        return self._allow_code and (not self._code_tenants or tenant_id in self._code_tenants)

    def _shape(self, tenant_id: str, settings: dict[str, Any]) -> dict[str, Any]:
        own = settings.get("allow_code")
        installed = self._installed(tenant_id)
        return {"tenant_id": tenant_id, "allow_code": own, "code_allowed": installed and own is not False,
                "resources": _pools(settings)}  # fmt: skip

    async def _read(self, tenant_id: str) -> dict[str, Any]:
        rows = await self._store.read("SELECT settings FROM tenants WHERE id = :tenant", {"tenant": tenant_id})
        found = msgspec.json.decode(rows[0][0]) if rows else {}
        return found if isinstance(found, dict) else {}


def _pools(settings: dict[str, Any]) -> dict[str, int]:
    known = settings.get("resources")
    return known if isinstance(known, dict) else {}


def _put(tenant_id: str, wanted: dict[str, Any], now: int) -> Work[None]:
    rows = yield Sql("SELECT settings FROM tenants WHERE id = :tenant", {"tenant": tenant_id})
    known = msgspec.json.decode(rows[0][0]) if rows else {}
    settings = msgspec.json.encode({**known, **wanted}).decode()
    yield Sql(
        "INSERT INTO tenants (id, name, settings, created_at) VALUES (:tenant, :tenant, :settings, :now)"
        " ON CONFLICT (id) DO UPDATE SET settings = excluded.settings",
        {"tenant": tenant_id, "settings": settings, "now": now},
    )
