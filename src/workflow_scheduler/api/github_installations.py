"""`/api/v1/github/installations`: where the GitHub App is installed for the tenant."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller

router = APIRouter(prefix="/api/v1/github/installations", tags=["triggers"])
InstallationId = Annotated[str, Path(max_length=40)]


class ShownInstallation(BaseModel):
    """An installation of the GitHub App."""

    installation_id: str
    account_login: str
    account_type: str
    repository_selection: str = Field(description="`all` or `selected`.")
    repositories: list[str] = Field(description="Those that GitHub has told of; with `all` there may be more.")
    permissions: dict[str, str]
    suspended_at: str | None
    access_token_expires_at: str | None
    user_id: str | None = Field(description="Who deployed for it first.")
    created_at: str
    updated_at: str


class InstallationPage(BaseModel):
    """A page of installations."""

    items: list[ShownInstallation]
    next: str | None


@router.get("", response_model=InstallationPage, summary="List installations of the GitHub App")
async def list_installations(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> dict[str, Any]:
    """List the installations that are the tenant's. They become so by the first deployment of a trigger for them."""
    place = cursors.decode(cursor, str)
    page = await context.github_installations.page(caller, limit=limit, after=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)


@router.delete("/{installation_id}", status_code=204, summary="Give an installation up")
async def release_installation(installation_id: InstallationId, context: Context, caller: Caller) -> Response:
    """Give an installation up: its deliveries are not heard any more, and another tenant may deploy for it."""
    await context.github_installations.release(caller, installation_id)
    return Response(status_code=204)
