"""Reading definitions out of requests, and what they look like in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api.body import decode_json
from workflow_scheduler.core.errors import BadRequest, FieldError, PreconditionFailed, ValidationFailed
from workflow_scheduler.services.definitions import Given, Text

Reference = Annotated[str, Path(max_length=256, description="Id or name.")]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=64, description="The revision you have read.")]
EXAMPLE: dict[str, Any] = {
    "version": 1,
    "name": "nightly-report",
    "timezone": "America/New_York",
    "triggers": {"nightly": {"type": "cron", "cron": "0 2 * * *"}},
    "jobs": {
        "extract": {"uses": "http", "with": {"method": "GET", "url": "https://example.test/orders"}},
        "done": {"needs": ["extract"], "uses": "noop"},
    },
}
EXAMPLE_YAML = """version: 1
name: nightly-report
timezone: America/New_York
triggers:
  nightly: {type: cron, cron: "0 2 * * *"}
jobs:
  extract: {uses: http, with: {method: GET, url: "https://example.test/orders"}}
  done: {needs: [extract], uses: noop}
"""
_SCHEMA = {
    "type": "object",
    "description": "A document, or `nodes` with `connections`; see /schemas/workflow/v1.json.",
}
DEFINITION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SCHEMA, "example": EXAMPLE},
            "application/yaml": {"schema": {"type": "string"}, "example": EXAMPLE_YAML},
        },
    }
}


async def definition(request: Request) -> Given:
    """Dependency: the definition in the body, as YAML or JSON text so that mistakes get their line and column.

    Raises:
        BadRequest: the body is empty.

    """
    content = await request.body()
    if not content.strip():
        raise BadRequest("the body is empty; a workflow definition is expected, as JSON or as application/yaml")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if "yaml" in media:
        return Text(content, "yaml")
    if media.endswith("json"):
        wrapped = _wrapped(content)
        return wrapped if wrapped is not None else Text(content, "json")
    return Text(content)


def _wrapped(content: bytes) -> Given | None:
    """Return the definition inside `{"definition": …}`, the shape in which workflows are shown."""
    if b'"definition"' not in content:
        return None
    value = decode_json(content)
    inner = value.get("definition") if isinstance(value, dict) and "jobs" not in value else None
    return spec(inner, "definition") if inner is not None else None


def spec(value: object, field: str) -> Given:
    """Return a definition that was given inside a JSON body, as an object or as text.

    Raises:
        ValidationFailed: it is neither.

    """
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str):
        return Text(value)
    message = f"`{field}` must be a definition: an object, or YAML as a text"
    raise ValidationFailed(message, errors=[FieldError(field, message)])


class FlushBody(BaseModel):
    """What to keep of a queue."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"keep": "latest"}})

    keep: Literal["latest", "none"] = Field(
        default="latest", description="latest: the newest run of each key waits on."
    )


def revision(if_match: str | None) -> int | None:
    """Return the revision in an If-Match header; `*` and no header match everything.

    Raises:
        PreconditionFailed: it is no revision of this service.

    """
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 -- fits 64 bits
        raise PreconditionFailed("If-Match holds no revision", fix="send the ETag of the last GET")
    return int(text)


GivenDefinition = Annotated[Given, Depends(definition)]
