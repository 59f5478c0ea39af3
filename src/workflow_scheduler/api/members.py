"""`/api/v1/members` and `/api/v1/me`: the people of a tenant, and the caller."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.principal import role_of

router = APIRouter(prefix="/api/v1", tags=["members"])
UserId = Annotated[str, Path(max_length=200, description="The id that the issuer of tokens gives the user.")]


class MemberChange(BaseModel):
    """What to set; fields that are left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"role": "viewer"}})

    role: str | None = Field(default=None, description="owner, editor or viewer.")
    name: str | None = Field(default=None, max_length=200)
    email: str | None = Field(default=None, max_length=200)
    groups: list[str] | None = Field(
        default=None, description="Groups that waits may ask, `group:NAME` there.", max_length=100
    )


class NewMember(BaseModel):
    """A member to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"user_id": "ada", "role": "editor", "name": "Ada Lovelace", "email": "ada@example.org"}
        },
    )

    user_id: str = Field(min_length=1, max_length=200, description="The id that the issuer of tokens gives the user.")
    role: str = Field(default="editor", description="owner, editor or viewer.")
    name: str | None = Field(default=None, max_length=200)
    email: str | None = Field(default=None, max_length=200)
    groups: list[str] = Field(default=[], description="Groups that waits may ask, `group:NAME` there.", max_length=100)


class ShownMember(BaseModel):
    """A member."""

    user_id: str
    role: str
    name: str | None
    email: str | None
    groups: list[str]
    created_at: str
    created_by: str
    updated_at: str


class MemberPage(BaseModel):
    """A page of members."""

    items: list[ShownMember]
    next: str | None


class Me(BaseModel):
    """The caller, as the credentials say."""

    tenant_id: str
    user_id: str
    role: str = Field(description="owner, editor or viewer.")
    authentication: str = Field(description="api_key, jwt, or local without credentials.")


@router.get("/me", response_model=Me, summary="Show who is calling")
async def show_me(caller: Caller) -> dict[str, Any]:
    """Return the tenant, user and role that the credentials stand for."""
    return {
        "tenant_id": caller.tenant_id,
        "user_id": caller.user_id,
        "role": role_of(caller.role).value,
        "authentication": caller.method,
    }


@router.post("/members", status_code=201, response_model=ShownMember, summary="Add a member")
async def add_member(new: NewMember, context: Context, caller: Caller) -> dict[str, Any]:
    """Add a member. The role replaces what the tokens of that user claim; `user_created` tells workflows of it."""
    return await context.members.add(caller, new.user_id, new.role, name=new.name, email=new.email, groups=new.groups)


@router.get("/members", response_model=MemberPage, summary="List members")
async def list_members(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> dict[str, Any]:
    """List the tenant's members by their ids."""
    place = cursors.decode(cursor, str)
    page = await context.members.page(caller, limit=limit, after=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)


@router.get("/members/{user_id}", response_model=ShownMember, summary="Show a member")
async def show_member(user_id: UserId, context: Context, caller: Caller) -> dict[str, Any]:
    """Return one member."""
    return await context.members.get(caller, user_id)


@router.put("/members/{user_id}", response_model=ShownMember, summary="Change a member")
async def change_member(user_id: UserId, change: MemberChange, context: Context, caller: Caller) -> dict[str, Any]:
    """Set role, name, email or groups. The last owner stays one: 409."""
    return await context.members.change(caller, user_id, change.model_dump(exclude_none=True))


@router.delete("/members/{user_id}", status_code=204, summary="Remove a member")
async def remove_member(user_id: UserId, context: Context, caller: Caller) -> Response:
    """Remove a member: their tokens are refused from now on, the keys they made are revoked."""
    await context.members.remove(caller, user_id)
    return Response(status_code=204)
