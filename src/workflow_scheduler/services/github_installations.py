"""Which installations of the GitHub App are a tenant's, and giving them up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.github import installation_number
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable.github_installations import InstallationRepository, Shown


class GitHubInstallations:
    """What people ask about installations; they come about by deployments (services.github_app)."""

    def __init__(self, rows: InstallationRepository) -> None:
        """Show `rows`. `on_release`, set by the composition root, hears of what was given up."""
        self._rows = rows
        self.on_release: Callable[[int], None] | None = None

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the tenant's installations by id; `next` is the id to go on after."""
        number = 0 if after is None else installation_number(after) or 0
        rows = await self._rows.list(principal.tenant_id, number, limit + 1)
        following = str(rows[limit - 1].installation_id) if len(rows) > limit else None
        return Page([shape(row) for row in rows[:limit]], following)

    async def release(self, principal: Principal, installation: str) -> None:
        """Give an installation up: its deliveries are not heard any more, and others may take it.

        Raises:
            NotFound: the tenant has no such installation.

        """
        number = installation_number(installation)
        if number is None or not await self._rows.release(principal.tenant_id, number):
            raise NotFound(
                f"there is no installation `{installation}`", fix="list them: GET /api/v1/github/installations"
            )
        if self.on_release is not None:
            self.on_release(number)


def shape(row: Shown) -> dict[str, Any]:
    """Return an installation as the API shows it."""
    shown = msgspec.structs.asdict(row)
    for name in ("suspended_at", "access_token_expires_at", "created_at", "updated_at"):
        shown[name] = None if shown[name] is None else to_iso(shown[name])
    return {**shown, "installation_id": str(row.installation_id)}
