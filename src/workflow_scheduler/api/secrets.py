"""`/api/v1/secrets`: write-only secrets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.workflow import Duration

router = APIRouter(prefix="/api/v1/secrets", tags=["secrets"])
Name = Annotated[str, Path(max_length=128)]


class NewSecret(BaseModel):
    """A secret to set."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "orders_hmac", "value": "…"}},
        hide_input_in_errors=True,
    )

    name: str = Field(description="The name that definitions use.")
    value: str = Field(description="The value. It is sealed and never shown again.")
    keep_previous: Duration | None = Field(
        default=None, description="How long the value before is taken as well, for a rotation: 24h. At most 30d."
    )


class ShownSecret(BaseModel):
    """A secret without its value."""

    name: str
    created_at: str
    updated_at: str
    updated_by: str | None
    previous_until: str | None


class SecretPage(BaseModel):
    """A page of secrets."""

    items: list[ShownSecret]
    next: str | None


@router.post("", status_code=201, response_model=ShownSecret, summary="Set a secret")
async def set_secret(new: NewSecret, context: Context, caller: Caller) -> dict[str, Any]:
    """Set a secret, or replace its value."""
    return await context.secrets.put(caller, new.name, new.value, new.keep_previous)


@router.get("", response_model=SecretPage, summary="List secrets")
async def list_secrets(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> dict[str, Any]:
    """List the tenant's secrets by name, without values."""
    place = cursors.decode(cursor, str)
    page = await context.secrets.page(caller, limit=limit, after=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)


@router.delete("/{name}", status_code=204, summary="Delete a secret")
async def delete_secret(name: Name, context: Context, caller: Caller) -> Response:
    """Delete a secret. Triggers and jobs that name it fail from now on."""
    await context.secrets.delete(caller, name)
    return Response(status_code=204)
