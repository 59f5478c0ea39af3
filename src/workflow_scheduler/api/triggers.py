"""`/api/v1/triggers` (also `/api/triggers`): triggers outside a file, dry runs, manual starts, the catalogue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import definition_documents as documents
from workflow_scheduler.api import outcome
from workflow_scheduler.api.answers import Listing, answer, listing
from workflow_scheduler.api.body import json_object
from workflow_scheduler.api.context import ApiContext, Context
from workflow_scheduler.api.definition_bodies import FlushBody, IfMatch, Reference, revision
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.priority import Priority
from workflow_scheduler.pipeline.entries import Receipt

router = APIRouter(prefix="/api/v1/triggers", tags=["triggers"])
_types = APIRouter(tags=["triggers"])
Id = Annotated[str, Path(max_length=256)]
RoundKey = Annotated[str | None, Query(max_length=256, description="Only the rounds with this `key`; none: all.")]
JsonObject = Annotated[dict[str, Any], Depends(json_object)]
_EXAMPLE = {
    "workflow": "nightly-report",
    "name": "orders",
    "type": "webhook",
    "config": {"path": "orders", "signature": {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "orders"}},
    "condition": "event.data.amount > 100",
}
_TRIGGER_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    }
}
_CHANGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {key: value for key, value in _EXAMPLE.items() if key not in {"workflow", "name"}},
            }
        },
    }
}
_TEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "a stored event": {"value": {"event_id": "0197f0c2-7d3a-7000-8000-000000000001"}},
                    "a made-up event": {"value": {"event": {"type": "order.created", "data": {"amount": 150}}}},
                    "a sample of the trigger's type": {"value": {"sample": True}},
                    "a request": {"value": {"request": {"method": "POST", "headers": {}, "body": '{"amount": 150}'}}},
                },
            }
        },
    }
}
_SIMULATE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"condition": "event.data.amount > 500", "since": "2027-03-01T00:00:00Z", "limit": 200},
            }
        },
    }
}


class TriggerQuery(Listing):
    """Which triggers to list."""

    workflow: str | None = Field(default=None, max_length=256, description="Id or name of the workflow.")
    type: str | None = Field(default=None, max_length=64, description="Trigger type.")
    mode: str | None = Field(default=None, max_length=32, description="enabled, disabled or suspended.")
    health: bool = Field(
        default=False, description="Whether each trigger comes with its `health`: status, summary, source."
    )


class ModeBody(BaseModel):
    """The mode to set."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"mode": "suspended", "reason": "the shop is closed"}}
    )

    mode: str = Field(max_length=32, description="enabled, disabled, or suspended (events are kept, not run).")
    reason: str | None = Field(default=None, max_length=500)


class StartBody(BaseModel):
    """A manual start."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"input": {"region": "eu"}, "confirm": True}}
    )

    input: Any = Field(default=None, description="Input of the run.")
    data: Any = Field(default=None, description="The same, under its older name.")
    confirm: bool = Field(default=False, description="For triggers that ask for a confirmation.")
    trigger: str | None = Field(default=None, max_length=256, description="Name of the manual trigger, if several.")
    priority: Priority | None = Field(default=None, description="Of this run; the trigger's where it is left out.")


class Patience(BaseModel):
    """How long the caller of a manual start waits."""

    wait: Literal["decision", "run"] | None = Field(default=None, description="run: answer when the run has ended.")
    timeout: float = Field(
        default=outcome.WAIT_SECONDS, ge=0, le=outcome.WAIT_SECONDS_MAX, description="Seconds to wait at most."
    )


def _shown(trigger: dict[str, Any], status: int = 200) -> Response:
    response = answer(trigger, status)
    response.headers["etag"] = f'"{trigger["revision"]}"'
    return response


@router.post(
    "",
    status_code=201,
    response_model=documents.Trigger,
    summary="Add a trigger",
    openapi_extra=_TRIGGER_BODY,
)
async def create_trigger(body: JsonObject, context: Context, caller: Caller) -> Response:
    """Add a trigger to a workflow, as a new version of its definition. It is live at once if the workflow is."""
    return _shown(await context.triggers.create(caller, body), 201)


@router.get("", response_model=documents.TriggerPage, summary="List triggers")
async def list_triggers(context: Context, caller: Caller, query: Annotated[TriggerQuery, Query()]) -> Response:
    """List triggers."""
    page = await context.triggers.page(
        caller, limit=query.limit, after=query.place, workflow=query.workflow, type=query.type, mode=query.mode
    )
    return listing(await context.triggers.with_health(caller, page) if query.health else page)


@router.get("/{trigger_id}", response_model=documents.Trigger, summary="Show a trigger")
async def show_trigger(trigger_id: Id, context: Context, caller: Caller) -> Response:
    """Show one trigger. Its `ETag` is the revision for `If-Match`."""
    return _shown(await context.triggers.get(caller, trigger_id))


@router.put("/{trigger_id}", response_model=documents.Trigger, summary="Change a trigger", openapi_extra=_CHANGE_BODY)
async def change_trigger(
    trigger_id: Id, body: JsonObject, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace a trigger's configuration; id, name and history stay."""
    return _shown(await context.triggers.update(caller, trigger_id, body, revision(if_match)))


@router.delete("/{trigger_id}", status_code=204, summary="Delete a trigger")
async def delete_trigger(trigger_id: Id, context: Context, caller: Caller) -> Response:
    """Remove a trigger from its workflow. What it started and decided stays."""
    await context.triggers.delete(caller, trigger_id)
    return Response(status_code=204)


@router.post("/{trigger_id}/mode", response_model=documents.Trigger, summary="Switch a trigger")
async def set_trigger_mode(trigger_id: Id, body: ModeBody, context: Context, caller: Caller) -> Response:
    """Enable, disable or suspend a trigger. The mode stays through redeployments."""
    return _shown(await context.triggers.set_mode(caller, trigger_id, body.mode, body.reason))


@router.post("/{trigger_id}/test", response_model=documents.Trial, summary="Try a trigger", openapi_extra=_TEST_BODY)
async def try_trigger(trigger_id: Id, body: JsonObject, context: Context, caller: Caller) -> Response:
    """Tell what would become of an event for a trigger, predicate by predicate. Nothing is stored or started."""
    return answer(await context.triggers.test(caller, trigger_id, body))


@router.post("/{trigger_id}/flush", response_model=documents.Flushed, summary="Flush a trigger's queue")
async def flush_trigger(trigger_id: Id, context: Context, caller: Caller, body: FlushBody | None = None) -> Response:
    """Give up the runs that wait for their turn, but keep the latest of each key. What is under way goes on."""
    return answer(await context.queues.flush_trigger(caller, trigger_id, (body or FlushBody()).keep))


@router.get("/{trigger_id}/joins", response_model=documents.Joins, summary="Show what a trigger waits for")
async def show_joins(trigger_id: Id, context: Context, caller: Caller) -> Response:
    """Show which ends have arrived for a trigger that waits for several workflows, and which are missing."""
    return answer(await context.joins.page(caller, trigger_id))


@router.delete("/{trigger_id}/joins", response_model=documents.JoinsReset, summary="Forget what a trigger waits with")
async def reset_joins(trigger_id: Id, context: Context, caller: Caller, key: RoundKey = None) -> Response:
    """Forget the ends that have arrived, so that the next round begins empty."""
    return answer(await context.joins.reset(caller, trigger_id, key))


@router.post(
    "/{trigger_id}/simulate",
    response_model=documents.SimulationResult,
    summary="Simulate a change",
    openapi_extra=_SIMULATE_BODY,
)
async def simulate_trigger(trigger_id: Id, body: JsonObject, context: Context, caller: Caller) -> Response:
    """Judge stored events by the trigger as it is and as it would be. Nothing is stored or started."""
    return answer(await context.triggers.simulate(caller, trigger_id, body))


@router.get("/{trigger_id}/health", response_model=documents.TriggerHealth, summary="Show a trigger's health")
async def trigger_health(trigger_id: Id, context: Context, caller: Caller) -> Response:
    """Tell whether a trigger can fire, whether it is late, and how its newest runs ended."""
    return answer(await context.triggers.health(caller, trigger_id))


@router.post(
    "/workflows/{workflow_id}/manual",
    status_code=202,
    response_model=documents.Started,
    summary="Start a workflow",
)
async def start_workflow(
    workflow_id: Reference,
    context: Context,
    caller: Caller,
    patience: Annotated[Patience, Query()],
    body: StartBody | None = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Response:
    """Start one run of the live version. The same `Idempotency-Key` starts it once, however often it is sent.

    With `wait=run` the answer comes when the run has ended, or after `timeout` seconds, and holds `status`, `output`
    and `error`; `runs[0].ended` tells which of the two it was.
    """
    given = body or StartBody()
    deadline = context.clock.monotonic() + patience.timeout
    value = given.input if "input" in given.model_fields_set else given.data
    receipt = await context.manual.start(
        caller,
        workflow_id,
        input=value,
        idempotency_key=idempotency_key,
        confirm=given.confirm,
        trigger=given.trigger,
        priority=given.priority,
    )
    return await started(context, caller, receipt, patience, deadline)


async def started(
    context: ApiContext, caller: Principal, receipt: Receipt, patience: Patience, deadline: float
) -> Response:
    """Return the answer to somebody who has started a run, after its end if that is wanted (until `deadline`)."""
    decisions = [
        {
            "trigger_id": decision.trigger_id,
            "outcome": decision.outcome.value,
            "reason": decision.reason.value,
            "predicates": msgspec.Raw(decision.predicates),
            "run_id": decision.run_id,
        }
        for decision in receipt.decisions
    ]
    item: dict[str, Any] = {
        "run_id": receipt.run_ids[0] if receipt.run_ids else None,
        "event_id": receipt.event_id,
        "explain": f"/api/v1/events/{receipt.event_id}/explain",
        "duplicate": receipt.duplicate,
        "decisions": decisions,
    }
    if patience.wait == "run":
        await outcome.add_runs(context, receipt, caller, deadline, item)
    return answer(item, 202)


@_types.get("/api/v1/trigger-types", response_model=documents.TriggerTypes, summary="List trigger types")
async def list_trigger_types(context: Context, caller: Caller) -> Response:  # noqa: ARG001 -- only callers may look
    """List the trigger types: JSON Schema of the configuration, form hints, examples and documentation."""
    return answer({"items": context.triggers.types(), "next": None})


router.routes += _types.routes
