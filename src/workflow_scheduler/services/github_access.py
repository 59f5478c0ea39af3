"""The GitHub App as one tenant may use it: whose an installation is, is looked up at every use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.github import LIFECYCLE, Delivery, installation_number
from workflow_scheduler.outbound.github_app import GitHubAppClient
from workflow_scheduler.stores.portable.github_installations import InstallationRepository

_ARRIVED: Final = 200
Note = Callable[[str, Any], Awaitable[None]]


class AppAccess:
    """Implements core.ports.github_app.GitHubAccess."""

    def __init__(self, client: GitHubAppClient, rows: InstallationRepository, note: Note, tenant_id: str) -> None:
        """Ask through `client` for installations that `rows` give to the tenant; `note` hears what was missed."""
        self._client = client
        self._rows = rows
        self._note = note
        self._tenant_id = tenant_id

    @property
    def base(self) -> str:
        """The address of GitHub's API."""
        return self._client.base

    async def sign(self, installation: str, repository: str, *, again: bool) -> Mapping[str, str]:
        """Return the headers of a request about `owner/name`."""
        number = await self._own(installation)
        token = await self._client.token(number, repository.rpartition("/")[2], again=again)
        if token.fresh:
            await self._rows.token_until(number, token.expires_at)
        return {"authorization": f"Bearer {token.value}"}

    async def deliveries(self, installation: str, after: int | None) -> list[Delivery]:
        """Return the deliveries of the App's hook newer than `after`."""
        number = await self._own(installation)
        return [
            one if one.installation_id == number else Delivery(one.id, "", one.delivered_at, _ARRIVED)
            for one in await self._client.deliveries(after)
        ]

    async def delivery(self, installation: str, delivery: int) -> Any:
        """Return one delivery of the installation."""
        number = await self._own(installation)
        told = await self._client.delivery(delivery)
        if not isinstance(told, dict) or told.get("installation_id") != number:
            return None
        request = told.get("request")
        if told.get("event") in LIFECYCLE and isinstance(request, dict):
            await self._note(str(told["event"]), request.get("payload"))
        return told

    async def _own(self, installation: str) -> int:
        """Return the number of an installation of the tenant.

        Raises:
            Rejected: it is not the tenant's.

        """
        number = installation_number(installation)
        if number is None or await self._rows.owner(number) != self._tenant_id:
            raise Rejected(
                f"the installation {installation[:40]} of the GitHub App is not there any more, or not yours",
                fix="Install the App again, and deploy the workflow.",
            )
        return number
