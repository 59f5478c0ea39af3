"""`/schemas/…`: the JSON Schemas of the definition file and of the clock payload, for editors, linters and engines."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from workflow_scheduler.api.context import Context
from workflow_scheduler.core.definition.schema import schema
from workflow_scheduler.core.time.payload import CLOCK_SCHEMA

router = APIRouter(tags=["schemas"])


@router.get(
    "/schemas/workflow/v1.json",
    summary="JSON Schema of the definition file",
    responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}},
)
async def workflow_schema(context: Context) -> Response:
    """Return the schema with the configuration of every trigger and job type that is installed."""
    found: dict[str, Any] = schema(context.trigger_types, context.job_types)
    return _published(found)


@router.get(
    "/schemas/trigger.clock.v1.json",
    summary="JSON Schema of the clock payload",
    responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}},
)
async def clock_schema() -> Response:
    """Return the schema of `trigger.clock.v1`, the data of the event that a time of a schedule becomes."""
    return _published(CLOCK_SCHEMA)


def _published(found: dict[str, Any]) -> Response:
    headers = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
    return Response(msgspec.json.encode(found), media_type="application/schema+json", headers=headers)
