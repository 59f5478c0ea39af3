"""`/api/v1/deployment`: making versions live, and the history of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api import definition_documents as documents
from workflow_scheduler.api.answers import answer, listing, place
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.definition_bodies import DEFINITION_BODY, EXAMPLE, GivenDefinition, Reference, spec
from workflow_scheduler.api.security import Caller

router = APIRouter(prefix="/api/v1/deployment", tags=["deployment"])


class DeployBody(BaseModel):
    """What to deploy; nothing means the latest version."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"workflow_spec": EXAMPLE}})

    workflow_spec: Any = Field(default=None, description="A definition, as an object or as YAML; a new version.")


class RollbackBody(BaseModel):
    """Where to go back to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"version": 3}})

    version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="None: the version that was deployed before the live one."
    )


@router.post("/workflows/{workflow_id}/deploy", response_model=documents.Status, summary="Deploy a workflow")
async def deploy_workflow(
    workflow_id: Reference, context: Context, caller: Caller, body: DeployBody | None = None
) -> Response:
    """Make the latest version live, or the definition in `workflow_spec`. Its triggers are swapped at one instant."""
    given = None if body is None or body.workflow_spec is None else spec(body.workflow_spec, "workflow_spec")
    return answer(await context.deployments.deploy(caller, workflow_id, given))


@router.post("/workflows/{workflow_id}/undeploy", response_model=documents.Status, summary="Undeploy a workflow")
async def undeploy_workflow(workflow_id: Reference, context: Context, caller: Caller) -> Response:
    """Take a workflow out of service. Runs that are under way go on."""
    return answer(await context.deployments.undeploy(caller, workflow_id))


@router.post("/workflows/{workflow_id}/rollback", response_model=documents.Status, summary="Roll back")
async def rollback_workflow(
    workflow_id: Reference, context: Context, caller: Caller, body: RollbackBody | None = None
) -> Response:
    """Make an earlier version live again."""
    version = None if body is None else body.version
    return answer(await context.deployments.rollback(caller, workflow_id, version))


@router.get("/workflows/{workflow_id}/history", response_model=documents.DeploymentPage, summary="Show the history")
async def deployment_history(
    workflow_id: Reference,
    context: Context,
    caller: Caller,
    limit: cursors.Limit = cursors.LIMIT_DEFAULT,
    cursor: cursors.Cursor = None,
) -> Response:
    """List the deployments of a workflow, the newest first, each with what it changed or why it failed."""
    return listing(await context.deployments.history(caller, workflow_id, limit=limit, before=place(cursor)))


@router.get("/workflows/{workflow_id}/status", response_model=documents.Status, summary="Show the status")
async def deployment_status(workflow_id: Reference, context: Context, caller: Caller) -> Response:
    """Show where a workflow stands."""
    return answer(await context.deployments.status(caller, workflow_id))


@router.post("/plan", response_model=documents.Plan, summary="Plan a deployment", openapi_extra=DEFINITION_BODY)
async def plan_deployment(given: GivenDefinition, context: Context, caller: Caller) -> Response:
    """Tell what deploying a definition would change, with the next fires before and after. Nothing is stored."""
    return answer(await context.deployments.plan(caller, given))
