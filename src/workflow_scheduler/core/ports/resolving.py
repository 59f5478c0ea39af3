"""What a trigger type may ask while it is deployed: to turn names into ids, and to see that credentials work."""

from __future__ import annotations

from typing import Protocol

import msgspec

from workflow_scheduler.core.model.connection import Connection
from workflow_scheduler.core.ports.resources import Outbound


class Resolved(msgspec.Struct, frozen=True):
    """Fields to lay over a trigger's configuration, and sentences about what was not possible and does no harm."""

    fields: dict[str, object] = {}
    warnings: tuple[str, ...] = ()


class Resolving(Protocol):
    """The tenant's credentials and the way out, for one deployment."""

    @property
    def tenant_id(self) -> str:
        """The tenant that deploys."""
        ...

    @property
    def outbound(self) -> Outbound:
        """Sends HTTP requests through the egress guard."""
        ...

    @property
    def now(self) -> int:
        """The time in microseconds UTC."""
        ...

    async def secret(self, name: str) -> str | None:
        """Return a secret's value, or None."""
        ...

    async def connection(self, name: str) -> Connection | None:
        """Return a connection, or None when the tenant has none of that name."""
        ...

    async def github_installation(self, account: str, repository: str | None) -> str | None:
        """Return the id of the GitHub App's installation that covers an account or `owner/name`, or None."""
        ...
