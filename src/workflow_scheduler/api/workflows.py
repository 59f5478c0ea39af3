"""`/api/v1/workflows`: definitions and their versions, validation, pauses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api import definition_documents as documents
from workflow_scheduler.api.answers import Listing, answer, listing, moment
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.definition_bodies import (
    DEFINITION_BODY,
    FlushBody,
    GivenDefinition,
    IfMatch,
    Reference,
    revision,
)
from workflow_scheduler.api.security import Caller
from workflow_scheduler.stores.portable.workflows import WorkflowFilter

router = APIRouter(tags=["workflows"])
_BASE = "/api/v1/workflows"
_VERSION_MAX = 2**31 - 1
DefinitionForm = Annotated[
    Literal["document", "nodes"], Query(description="How the definition is given: as a document, or as nodes.")
]
VersionNumber = Annotated[int, Path(ge=1, le=_VERSION_MAX)]


class WorkflowQuery(Listing):
    """Which workflows to list."""

    name: str | None = Field(default=None, max_length=128, description="A part of the name.")
    trigger_type: str | None = Field(default=None, max_length=64, description="With a trigger of this type.")
    status: str | None = Field(default=None, max_length=32, description="Deployment status.")


class PauseBody(BaseModel):
    """Why and how long."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"reason": "stocktaking", "until": "2027-03-15T06:00:00Z"}}
    )

    reason: str | None = Field(default=None, max_length=500)
    until: str | None = Field(default=None, max_length=64, description="ISO 8601; it goes on by itself then.")


class ResumeBody(BaseModel):
    """What becomes of the times that passed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"missed": "none"}})

    missed: Literal["none", "latest", "all"] | None = Field(
        default=None, description="By default, what the `on_resume` of each schedule says."
    )


def _shown(workflow: dict[str, Any], status: int = 200) -> Response:
    response = answer(workflow, status)
    response.headers["etag"] = f'"{workflow["revision"]}"'
    return response


@router.post(
    _BASE,
    status_code=201,
    response_model=documents.Workflow,
    summary="Create a workflow",
    openapi_extra=DEFINITION_BODY,
)
async def create_workflow(given: GivenDefinition, context: Context, caller: Caller) -> Response:
    """Store a workflow with its first version. It runs once it is deployed."""
    workflow = await context.workflows.create(caller, given)
    response = _shown(workflow, 201)
    response.headers["location"] = f"{_BASE}/{workflow['id']}"
    return response


@router.get(_BASE, response_model=documents.WorkflowPage, summary="List workflows")
async def list_workflows(context: Context, caller: Caller, query: Annotated[WorkflowQuery, Query()]) -> Response:
    """List workflows by name."""
    wanted = WorkflowFilter(query.name, query.trigger_type, query.status)
    return listing(await context.workflows.page(caller, limit=query.limit, after=query.place, wanted=wanted))


@router.post(
    f"{_BASE}/validate",
    response_model=documents.Validation,
    summary="Validate a definition",
    openapi_extra=DEFINITION_BODY,
)
async def validate_workflow(given: GivenDefinition, context: Context, caller: Caller) -> Response:
    """Say whether a definition is right, with the line and column of every mistake. Nothing is stored."""
    return answer(await context.workflows.validate(caller, given))


@router.post(
    "/api/v1/validate/dependencies",
    response_model=documents.Validation,
    summary="Validate dependencies",
    openapi_extra=DEFINITION_BODY,
)
async def validate_dependencies(given: GivenDefinition, context: Context, caller: Caller) -> Response:
    """Say in which order the jobs run, or which jobs or workflows wait for each other in a circle."""
    return answer(await context.workflows.validate_dependencies(caller, given))


@router.post(f"{_BASE}/pause", summary="Pause all workflows")
async def pause_workflows(context: Context, caller: Caller, body: PauseBody | None = None) -> Response:
    """Pause every workflow of the tenant."""
    given = body or PauseBody()
    until = moment(given.until, "until")
    return answer(await context.workflows.pause_all(caller, reason=given.reason, until=until))


@router.post(f"{_BASE}/resume", summary="Resume all workflows")
async def resume_workflows(context: Context, caller: Caller, body: ResumeBody | None = None) -> Response:
    """Resume every paused workflow of the tenant."""
    return answer(await context.workflows.resume_all(caller, missed=(body or ResumeBody()).missed))


@router.get(f"{_BASE}/{{workflow_id}}", response_model=documents.Workflow, summary="Show a workflow")
async def show_workflow(
    workflow_id: Reference, context: Context, caller: Caller, form: DefinitionForm = "document"
) -> Response:
    """Show a workflow with its latest definition and its triggers. Its `ETag` is the revision for `If-Match`."""
    return _shown(await context.workflows.get(caller, workflow_id, form))


@router.put(
    f"{_BASE}/{{workflow_id}}",
    response_model=documents.Workflow,
    summary="Change a workflow",
    openapi_extra=DEFINITION_BODY,
)
async def change_workflow(
    workflow_id: Reference, given: GivenDefinition, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Store a new version if the definition differs from the latest one. What is live stays live until a deploy."""
    return _shown(await context.workflows.update(caller, workflow_id, given, revision=revision(if_match)))


@router.delete(f"{_BASE}/{{workflow_id}}", status_code=204, summary="Delete a workflow")
async def delete_workflow(
    workflow_id: Reference,
    context: Context,
    caller: Caller,
    force: Annotated[bool, Query(description="Also when it is deployed.")] = False,
) -> Response:
    """Remove a workflow with its versions and triggers. Runs and events stay."""
    await context.workflows.delete(caller, workflow_id, force=force)
    return Response(status_code=204)


@router.get(f"{_BASE}/{{workflow_id}}/versions", response_model=documents.VersionPage, summary="List versions")
async def list_versions(
    workflow_id: Reference,
    context: Context,
    caller: Caller,
    limit: cursors.Limit = cursors.LIMIT_DEFAULT,
    cursor: cursors.Cursor = None,
) -> Response:
    """List the versions of a workflow, the newest first."""
    place = cursors.decode(cursor, str)
    before = int(place[0]) if place and place[0].isdigit() else None
    return listing(await context.workflows.versions(caller, workflow_id, limit=limit, before=before))


@router.get(f"{_BASE}/{{workflow_id}}/versions/{{version}}", response_model=documents.Version, summary="Show a version")
async def show_version(
    workflow_id: Reference,
    version: VersionNumber,
    context: Context,
    caller: Caller,
    form: DefinitionForm = "document",
) -> Response:
    """Show one version with its definition and the text it was made from."""
    return answer(await context.workflows.version(caller, workflow_id, version, form))


@router.get(f"{_BASE}/{{workflow_id}}/diff", response_model=documents.Diff, summary="Compare versions")
async def compare_versions(
    workflow_id: Reference,
    context: Context,
    caller: Caller,
    one: Annotated[int, Query(alias="from", ge=1, le=_VERSION_MAX)],
    other: Annotated[int, Query(alias="to", ge=1, le=_VERSION_MAX)],
) -> Response:
    """Tell what version `to` changed against version `from`."""
    return answer(await context.workflows.diff(caller, workflow_id, one, other))


@router.post(f"{_BASE}/{{workflow_id}}/pause", response_model=documents.Workflow, summary="Pause a workflow")
async def pause_workflow(
    workflow_id: Reference, context: Context, caller: Caller, body: PauseBody | None = None
) -> Response:
    """Pause a workflow: its triggers start nothing and its schedules rest."""
    given = body or PauseBody()
    until = moment(given.until, "until")
    return _shown(await context.workflows.pause(caller, workflow_id, reason=given.reason, until=until))


@router.post(f"{_BASE}/{{workflow_id}}/resume", response_model=documents.Workflow, summary="Resume a workflow")
async def resume_workflow(
    workflow_id: Reference, context: Context, caller: Caller, body: ResumeBody | None = None
) -> Response:
    """Resume a workflow. By default nothing of what passed runs, and the next slot is not skipped."""
    return _shown(await context.workflows.resume(caller, workflow_id, missed=(body or ResumeBody()).missed))


@router.post(f"{_BASE}/{{workflow_id}}/flush", response_model=documents.Flushed, summary="Flush a workflow's queues")
async def flush_workflow(
    workflow_id: Reference, context: Context, caller: Caller, body: FlushBody | None = None
) -> Response:
    """Give up the runs that wait for their turn, but keep the latest of each key. What is under way goes on."""
    return answer(await context.queues.flush_workflow(caller, workflow_id, (body or FlushBody()).keep))
