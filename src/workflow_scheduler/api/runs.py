"""`/api/v1/runs`: list, show, follow, cancel and rerun runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors, documents
from workflow_scheduler.api.answers import Listing, Status, Text, Time, answer, listing, moment
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.services.reruns import RerunRequest
from workflow_scheduler.stores.portable.runs import RunFilter

router = APIRouter(prefix="/api/v1/runs", tags=["runs"])
Id = Annotated[str, Path(max_length=256)]


class RunQuery(Listing):
    """Which runs to list. `until` is exclusive."""

    workflow: str | None = Field(default=None, max_length=256, description="Id or name.")
    status: Status = None
    trigger_type: Text = None
    trigger: str | None = Field(default=None, max_length=256, description="Id of the trigger.")
    event: str | None = Field(default=None, max_length=256, description="Id of the event.")
    backfill: str | None = Field(default=None, max_length=256, description="Id of the backfill.")
    since: Time = None
    until: Time = None


@router.get("", response_model=documents.RunPage, summary="List runs")
async def list_runs(context: Context, caller: Caller, query: Annotated[RunQuery, Query()]) -> Response:
    """List runs, the newest first. A page may be short while `next` is set: follow it to the end."""
    wanted = RunFilter(
        status=query.status,
        trigger_type=query.trigger_type.lower() if query.trigger_type else None,
        trigger_id=query.trigger,
        event_id=query.event,
        backfill_id=query.backfill,
        since=moment(query.since, "since"),
        until=moment(query.until, "until"),
    )
    page = await context.runs.page(
        caller, workflow=query.workflow, wanted=wanted, limit=query.limit, cursor=query.place
    )
    return listing(page)


class LogQuery(BaseModel):
    """Which lines. The cursor is a plain sequence number, so that a log can be followed."""

    job: Text = None
    limit: int = Field(default=500, ge=1, le=5_000)
    cursor: str | None = Field(default=None, max_length=32, description="The `seq` to go on after.")


@router.get("/{run_id}", response_model=documents.Run, summary="Show a run")
async def show_run(run_id: Id, context: Context, caller: Caller) -> Response:
    """Show one run with its jobs, its cause and its provenance."""
    return answer(await context.runs.show(caller, run_id))


@router.get("/{run_id}/explain", response_model=documents.Why, summary="Explain a run")
async def explain_run(run_id: Id, context: Context, caller: Caller) -> Response:
    """Say why a run started: its event, trigger, decision, times and dispatch attempts."""
    return answer(await context.explain.run(caller, run_id))


@router.get("/{run_id}/logs", response_model=documents.LogPage, summary="Read a run's log")
async def read_logs(run_id: Id, context: Context, caller: Caller, query: Annotated[LogQuery, Query()]) -> Response:
    """Return what the jobs printed, in order. The cursor is a plain sequence number, so that a log can be followed."""
    page = await context.runs.logs(caller, run_id, after=query.cursor, limit=query.limit, job=query.job)
    return answer(cursors.page(list(page.items), page.next))


@router.get("/{run_id}/output", summary="Show a run's output", response_model=None)
async def show_output(run_id: Id, context: Context, caller: Caller) -> Any:
    """Return the output of a run that has ended; 409 while it has not."""
    return answer(await context.runs.output(caller, run_id))


@router.post("/{run_id}/cancel", response_model=documents.Run, status_code=202, summary="Cancel a run")
async def cancel_run(run_id: Id, context: Context, caller: Caller) -> Response:
    """Ask for the end of a run. The request is durable; jobs under way are stopped. 409 when the run has ended."""
    return answer(await context.runs.cancel(caller, run_id), 202)


class RerunBody(BaseModel):
    """How a run is to be run again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"from_failed": True, "input": {"region": "eu"}}}
    )

    from_failed: bool = Field(default=False, description="Keep what succeeded; run the rest and what comes after it.")
    input: Any = Field(default=None, description="Another input; that of the first run where it is left out.")
    version: Literal["same", "live"] = Field(default="same", description="The version to run.")


@router.post("/{run_id}/rerun", response_model=documents.Rerun, status_code=201, summary="Run an ended run again")
async def rerun(
    run_id: Id,
    context: Context,
    caller: Caller,
    body: RerunBody | None = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Response:
    """Start a new run that repeats this one, whole or from its failed jobs. The same `Idempotency-Key` starts it once.

    409 while the run is open; 422 for `from_failed` on an engine that does not tell what became of single jobs.
    """
    given = body or RerunBody()
    request = RerunRequest(
        from_failed=given.from_failed,
        input=msgspec.json.encode(given.input) if "input" in given.model_fields_set else None,
        version=given.version,
        key=idempotency_key,
    )
    started = await context.reruns.rerun(caller, run_id, request)
    return answer({**await context.runs.show(caller, started["run_id"]), **started}, 201)


@router.get("/{run_id}/wait", response_model=documents.Run, summary="Wait for a run")
async def wait_for_run(
    run_id: Id,
    context: Context,
    caller: Caller,
    seconds: Annotated[float, Query(alias="timeout", ge=0, le=300, description="Seconds to wait at most.")] = 30.0,
) -> Response:
    """Return the run when it has ended, or as it stands after `timeout`; `ended` says which."""
    return answer(await context.runs.wait(caller, run_id, seconds))
