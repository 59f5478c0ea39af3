"""`/api/v1/keys`: API keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.time.clock import from_datetime

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "ci", "role": "editor"}})

    name: str = Field(description="What the key is for.", max_length=128)
    role: str | None = Field(default=None, description="owner, editor or viewer; the caller's own role by default.")
    expires_at: AwareDatetime | None = Field(default=None, description="When it stops working; never by default.")


class ShownKey(BaseModel):
    """A key without the key."""

    id: str
    name: str
    prefix: str = Field(description="The first characters, to recognise it by.")
    user_id: str
    role: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class MadeKey(ShownKey):
    """A new key."""

    key: str | None = Field(description="The key itself, this one time; null when the same request is sent again.")


class KeyPage(BaseModel):
    """A page of keys."""

    items: list[ShownKey]
    next: str | None


@router.post("", status_code=201, response_model=MadeKey, summary="Make an API key")
async def create_key(new: NewKey, context: Context, caller: Caller) -> dict[str, Any]:
    """Make a key for the caller's tenant. On an open local service, the first key ends the service without one."""
    expires_at = from_datetime(new.expires_at) if new.expires_at else None
    return await context.keys.create(caller, new.name, role=new.role, expires_at=expires_at)


@router.get("", response_model=KeyPage, summary="List API keys")
async def list_keys(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> dict[str, Any]:
    """List the tenant's keys, the oldest first; revoked ones as well."""
    place = cursors.decode(cursor, str)
    page = await context.keys.page(caller, limit=limit, after=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)


@router.delete("/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(key_id: Annotated[str, Path(max_length=64)], context: Context, caller: Caller) -> Response:
    """Revoke a key at once."""
    await context.keys.revoke(caller, key_id)
    return Response(status_code=204)


@router.post("/{key_id}/revoke", status_code=204, summary="Revoke an API key", include_in_schema=False)
async def revoke_key_by_post(key_id: Annotated[str, Path(max_length=64)], context: Context, caller: Caller) -> Response:
    """Revoke a key at once, for clients that cannot send DELETE."""
    return await revoke_key(key_id, context, caller)
