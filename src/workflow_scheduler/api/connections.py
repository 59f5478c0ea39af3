"""`/api/v1/connections`: named credentials; their secrets are write-only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from workflow_scheduler.api import cursors
from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.definition_bodies import IfMatch, revision
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.time.clock import from_datetime
from workflow_scheduler.services.connections import Draft

router = APIRouter(prefix="/api/v1/connections", tags=["connections"])
Name = Annotated[str, Path(max_length=128)]
_FIELDS: dict[str, JsonValue] = {"host": "smtp.example.test", "username": "reports", "password": "…"}
_EXPIRES = Field(default=None, description="When its secrets end; jobs that use it afterwards fail and say so.")


class ConnectionBody(BaseModel):
    """What a connection is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"kind": "smtp", "fields": _FIELDS}},
        hide_input_in_errors=True,
    )

    kind: str = Field(description="smtp, sql, slack or http.", max_length=32)
    fields: dict[str, Any] = Field(description="The fields of its kind. Secret ones are sealed and never shown again.")
    expires_at: AwareDatetime | None = _EXPIRES


class NewConnection(ConnectionBody):
    """A connection to make."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"name": "mail", "kind": "smtp", "fields": _FIELDS}},
    )

    name: str = Field(description="The name that jobs use.", max_length=256)


class Rotation(BaseModel):
    """New secrets."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"secrets": {"password": "…"}, "test": False}},
        hide_input_in_errors=True,
    )

    secrets: dict[str, Any] = Field(description="The new values of secret fields; others stay as they are.")
    test: bool = Field(default=True, description="Try the new secrets first, and keep the old ones if they fail.")
    expires_at: AwareDatetime | None = _EXPIRES


class LastTest(BaseModel):
    """The outcome of a test."""

    ok: bool
    detail: str
    at: str


class Tested(LastTest):
    """The outcome of this test."""

    name: str
    kind: str


class Consent(BaseModel):
    """What a person consented to at a provider."""

    provider: str = Field(description="github, slack or google.")
    account: str = Field(description="The account or workspace, as the provider names it.")
    scopes: str = Field(description="What may be done with it, separated by spaces.")
    user_id: str = Field(description="Who consented.")
    at: str
    renews_at: str | None = Field(description="When its present token ends; the next one is asked for before that.")


class ShownConnection(BaseModel):
    """A connection without its secrets."""

    name: str
    kind: str
    fields: dict[str, Any]
    secrets: list[str] = Field(description="The names of the secret fields that are set.")
    revision: int
    created_at: str
    updated_at: str
    updated_by: str | None
    rotated_at: str | None
    expires_at: str | None
    expired: bool
    last_test: LastTest | None
    consent: Consent | None = Field(description="Whose consent it lives on, where a person gave one at a provider.")


class ConnectionPage(BaseModel):
    """A page of connections."""

    items: list[ShownConnection]
    next: str | None


def _shown(connection: dict[str, Any], status: int = 200) -> Response:
    response = answer(connection, status)
    response.headers["etag"] = f'"{connection["revision"]}"'
    return response


def _draft(body: ConnectionBody) -> Draft:
    return Draft(body.kind, body.fields, from_datetime(body.expires_at) if body.expires_at else None)


@router.post("", status_code=201, response_model=ShownConnection, summary="Make a connection")
async def create_connection(new: NewConnection, context: Context, caller: Caller) -> Response:
    """Make a connection. The same one once more is no conflict."""
    return _shown(await context.connections.create(caller, new.name, _draft(new)), 201)


@router.get("", response_model=ConnectionPage, summary="List connections")
async def list_connections(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> dict[str, Any]:
    """List the tenant's connections by name, without secrets."""
    place = cursors.decode(cursor, str)
    page = await context.connections.page(caller, limit=limit, after=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)


@router.get("/{name}", response_model=ShownConnection, summary="Show a connection")
async def show_connection(name: Name, context: Context, caller: Caller) -> Response:
    """Show a connection without its secrets. Its `ETag` is the revision for `If-Match`."""
    return _shown(await context.connections.get(caller, name))


@router.put("/{name}", response_model=ShownConnection, summary="Change a connection")
async def change_connection(
    name: Name, body: ConnectionBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Change a connection. Secrets that are left out stay, unless the connection leads to another place now."""
    return _shown(await context.connections.replace(caller, name, _draft(body), revision(if_match)))


@router.delete("/{name}", status_code=204, summary="Delete a connection")
async def delete_connection(name: Name, context: Context, caller: Caller) -> Response:
    """Delete a connection that no live workflow uses."""
    await context.connections.delete(caller, name)
    return Response(status_code=204)


@router.post("/{name}/test", response_model=Tested, summary="Test a connection")
async def try_connection(name: Name, context: Context, caller: Caller) -> Response:
    """Connect and log in with it. The outcome is the answer, also where it failed, and is kept beside it."""
    return answer(await context.connections.test(caller, name))


@router.post("/{name}/rotate", response_model=ShownConnection, summary="Rotate the secrets of a connection")
async def rotate_connection(name: Name, body: Rotation, context: Context, caller: Caller) -> Response:
    """Replace secrets in one step: jobs that started keep the old ones, jobs that start get the new ones."""
    expires_at = from_datetime(body.expires_at) if body.expires_at else None
    return _shown(await context.connections.rotate(caller, name, body.secrets, test=body.test, expires_at=expires_at))
