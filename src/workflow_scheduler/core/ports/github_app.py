"""What trigger types may do in the name of the GitHub App: for installations of their own tenant only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from workflow_scheduler.core.model.github import Delivery


class GitHubAccess(Protocol):
    """The App, for one tenant. Every call is refused for an installation that is not the tenant's."""

    @property
    def base(self) -> str:
        """The address of GitHub's API."""
        ...

    async def sign(self, installation: str, repository: str, *, again: bool) -> Mapping[str, str]:
        """Return the headers of a request about `owner/name`; `again` where the token before was refused.

        Raises:
            Rejected: the installation is not the tenant's, or does not cover the repository.
            RetryAfter, NotConnected: as GitHub answers.

        """
        ...

    async def deliveries(self, installation: str, after: int | None) -> list[Delivery]:
        """Return the deliveries of the App's hook newer than `after`, without it those of the first page.

        Those of other installations are there without a name, as if they had arrived.

        Raises:
            Rejected, RetryAfter, NotConnected: as `sign`.

        """
        ...

    async def delivery(self, installation: str, delivery: int) -> Any:
        """Return one delivery of the installation with its request; None where it is not one.

        Raises:
            Rejected, RetryAfter, NotConnected: as `sign`.

        """
        ...
