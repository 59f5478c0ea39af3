"""`/schemas/workflow/v1.json`: the JSON Schema of the definition file, for editors and linters."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from workflow_scheduler.api.context import Context
from workflow_scheduler.core.definition.schema import schema

router = APIRouter(tags=["schemas"])


@router.get(
    "/schemas/workflow/v1.json",
    summary="JSON Schema of the definition file",
    responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}},
)
async def workflow_schema(context: Context) -> Response:
    """Return the schema with the configuration of every trigger and job type that is installed."""
    found: dict[str, Any] = schema(context.trigger_types, context.job_types)
    headers = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
    return Response(msgspec.json.encode(found), media_type="application/schema+json", headers=headers)
