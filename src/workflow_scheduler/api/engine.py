"""`/v2`: the engine protocol, served by the embedded engine for other schedulers and programs.

An execution is a run. The caller's `Idempotency-Key` is the run's event key, so that starting twice with one key
gives the first run again, and an unknown outcome can be looked up with `?idempotency_key=`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors, documents
from workflow_scheduler.api.answers import Listing, Status, Text, answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.api.waits import read_answer
from workflow_scheduler.core.errors import Conflict, ValidationFailed

router = APIRouter(prefix="/v2", tags=["engine"])
Id = Annotated[str, Path(max_length=256)]


class Execute(BaseModel):
    """A start. Fields that this engine does not know are left alone."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"input": {"amount": 120}}})

    input: Any = Field(default=None, description="Input of the run.")
    trigger_data: Any = Field(default=None, description="Taken as the input where `input` is not given.")
    run_id: str | None = Field(default=None, max_length=255, description="Idempotency key, if there is no header.")


class Resume(BaseModel):
    """An answer for a paused execution."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"example": {"resume_data": {"approved": True, "comment": "looks good"}}}
    )

    resume_data: Any = None
    interaction_id: str | None = None


@router.post(
    "/workflows/{workflow_id}/execute",
    response_model=documents.Execution,
    status_code=202,
    summary="Start an execution",
)
async def execute_workflow(
    workflow_id: Id,
    context: Context,
    caller: Caller,
    body: Execute | None = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Response:
    """Start the live version of a workflow. The same key starts it once, however often it is sent."""
    given = body or Execute()
    value = given.input if "input" in given.model_fields_set else given.trigger_data
    try:
        # The caller has decided already, so a confirmation is not asked for again.
        receipt = await context.manual.start(
            caller, workflow_id, input=value, idempotency_key=idempotency_key or given.run_id, confirm=True
        )
    except Conflict as error:
        # In this protocol 409 means that the execution exists. What cannot be started is refused with 422.
        raise ValidationFailed(error.detail, fix=error.fix) from error
    if not receipt.run_ids:
        raise ValidationFailed("Nothing was started.", fix=f"See why: GET /api/v1/events/{receipt.event_id}/explain")
    return answer(await context.runs.execution(caller, receipt.run_ids[0]), 202)


class ExecutionQuery(Listing):
    """Which executions to list."""

    status: Status = None
    run_id: Text = None
    idempotency_key: str | None = Field(default=None, max_length=255, description="The key that started it.")


@router.get("/workflows/{workflow_id}/executions", response_model=documents.ExecutionList, summary="List executions")
async def list_executions(
    workflow_id: Id, context: Context, caller: Caller, query: Annotated[ExecutionQuery, Query()]
) -> Response:
    """List the executions of a workflow, the newest first, or the one that a key started."""
    key = query.idempotency_key or query.run_id
    page = await context.runs.executions(
        caller, workflow_id, status=query.status, key=key, limit=query.limit, cursor=query.place
    )
    following = cursors.encode(page.next) if page.next else None
    return answer({"workflows": list(page.items), "next": following})


@router.get("/executions/{execution_id}", response_model=documents.Execution, summary="Show an execution")
async def show_execution(execution_id: Id, context: Context, caller: Caller) -> Response:
    """Show one execution with its jobs."""
    return answer(await context.runs.execution(caller, execution_id))


@router.post(
    "/executions/{execution_id}/resume", response_model=documents.Execution, summary="Resume a paused execution"
)
async def resume_execution(execution_id: Id, context: Context, caller: Caller, body: Resume | None = None) -> Response:
    """Answer a paused execution. An execution that waits for nobody is refused with 409.

    `resume_data` is read as an answer of `POST /api/v1/waits/{wait_id}`: an object with `approved`, `answer` and
    `comment`, or true or false. Without `interaction_id` the execution must have exactly one open interaction.
    """
    run = await context.runs.find(caller, execution_id)
    given = body or Resume()
    await context.waits.answer_by_run(caller, run.id, given.interaction_id, read_answer(given.resume_data))
    return answer(await context.runs.execution(caller, execution_id))


@router.post("/executions/{execution_id}/cancel", response_model=documents.Execution, summary="Cancel an execution")
async def cancel_execution(execution_id: Id, context: Context, caller: Caller) -> Response:
    """Ask for the end of an execution; 409 when it has ended."""
    await context.runs.cancel(caller, execution_id)
    return answer(await context.runs.execution(caller, execution_id))
