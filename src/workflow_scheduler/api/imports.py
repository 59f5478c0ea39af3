"""`/api/v1/imports`: workflows of other systems as definitions. Nothing is stored."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import definition_documents as documents
from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.imports.wfformat import PARALLEL
from workflow_scheduler.services.imports import Options, graphs

router = APIRouter(prefix="/api/v1/imports", tags=["workflows"])
System = Literal["wfformat", "argo", "github-actions"]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file of the other system as it is.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


class ImportQuery(BaseModel):
    """How to read the file."""

    model_config = ConfigDict(extra="forbid")

    time_scale: float = Field(
        default=0.0, ge=0, le=1_000, description="wfformat: jobs sleep for the runtime of their task times this."
    )
    max_parallel: int = Field(default=PARALLEL, ge=1, le=10_000, description="wfformat: jobs of a run at once.")
    timezone: str = Field(default="UTC", max_length=64, description="argo: the zone of schedules that name none.")
    repository: str | None = Field(
        default=None, pattern=r"^[^/\s]+/[^/\s]+$", description="github-actions: whose events start the workflow."
    )


@router.post(
    "/{system}", response_model=documents.Imports, summary="Read a workflow of another system", openapi_extra=_BODY
)
async def read_import(
    system: System, request: Request, context: Context, _caller: Caller, query: Annotated[ImportQuery, Query()]
) -> Response:
    """Return the workflows in a file as definitions, with a line for each thing that could not be expressed."""
    content = await request.body()
    if not content.strip():
        raise BadRequest("the body is empty; the file of the other system is expected")
    options = Options(**query.model_dump())
    return answer(await asyncio.to_thread(partial(graphs, system, content, options, context.clock.now())))
