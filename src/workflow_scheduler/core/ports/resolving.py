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


class GitHubPlace(msgspec.Struct, frozen=True):
    """An account, or one repository (`owner/name`) of it; `connection` may show that the account is the tenant's."""

    account: str
    repository: str | None = None
    connection: str | None = None


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

    @property
    def public_url(self) -> str:
        """The address at which providers reach this service, without a slash at the end; empty where none is set."""
        ...

    async def secret(self, name: str) -> str | None:
        """Return a secret's value, or None."""
        ...

    async def connection(self, name: str) -> Connection | None:
        """Return a connection, or None when the tenant has none of that name."""
        ...

    @property
    def has_github_app(self) -> bool:
        """Whether this service has a GitHub App."""
        ...

    async def github_installation(self, place: GitHubPlace) -> str:
        """Return the id of the GitHub App's installation that covers a place; it is the tenant's from now on.

        Raises:
            ValidationFailed: there is none, or it is not the tenant's; the errors name fields of the trigger.
            SchedulerError: GitHub cannot be asked now.

        """
        ...
