"""`/api/v1/templates`: definitions kept under a name, to run with an input or to make workflows from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import Field

from workflow_scheduler.api import definition_documents, template_documents
from workflow_scheduler.api.answers import Listing, answer, listing
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.definition_bodies import IfMatch, revision, spec
from workflow_scheduler.api.security import Caller
from workflow_scheduler.api.template_documents import InstantiateBody, NewTemplate, RunBody, TemplateBody
from workflow_scheduler.api.triggers import Patience, started
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.services.templates import Draft

router = APIRouter(prefix="/api/v1/templates", tags=["templates"])
Name = Annotated[str, Path(max_length=128)]


class TemplateQuery(Listing):
    """Which templates to list."""

    category: str | None = Field(default=None, max_length=64, description="Only those of this category.")


def _shown(template: dict[str, Any], status: int = 200) -> Response:
    response = answer(template, status)
    response.headers["etag"] = f'"{template["version"]}"'
    return response


def _draft(body: TemplateBody) -> Draft:
    given = body.definition if body.definition is not None else body.workflow_definition
    if given is None:
        message = "`definition` is required: a workflow definition"
        raise ValidationFailed(message, errors=[FieldError("definition", message)])
    return Draft(
        definition=spec(given, "definition"),
        input_schema=body.input_schema,
        description=body.description,
        category=body.category,
    )


@router.post("", status_code=201, response_model=template_documents.Template, summary="Create a template")
async def create_template(body: NewTemplate, context: Context, caller: Caller) -> Response:
    """Keep a definition under a name. One that comes with the program is hidden by an own one of its name."""
    return _shown(await context.templates.create(caller, body.name, _draft(body)), 201)


@router.get("", response_model=template_documents.TemplatePage, summary="List templates")
async def list_templates(context: Context, caller: Caller, query: Annotated[TemplateQuery, Query()]) -> Response:
    """List templates by name: the tenant's own and those that come with the program, without definitions."""
    page = await context.templates.page(caller, limit=query.limit, after=query.place, category=query.category)
    return listing(page)


@router.get("/{name}", response_model=template_documents.Template, summary="Show a template")
async def show_template(name: Name, context: Context, caller: Caller) -> Response:
    """Show a template with its definition. Its `ETag` is the version for `If-Match`."""
    return _shown(await context.templates.get(caller, name))


@router.put("/{name}", response_model=template_documents.Template, summary="Change a template")
async def change_template(
    name: Name, body: TemplateBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace a template. Runs that have begun, and workflows that were made from it, stay as they are."""
    return _shown(await context.templates.update(caller, name, _draft(body), revision(if_match)))


@router.delete("/{name}", status_code=204, summary="Delete a template")
async def delete_template(name: Name, context: Context, caller: Caller) -> Response:
    """Delete an own template. Its runs, and workflows that were made from it, stay."""
    await context.templates.delete(caller, name)
    return Response(status_code=204)


@router.post("/{name}/run", status_code=202, response_model=definition_documents.Started, summary="Run a template")
async def run_template(
    name: Name,
    context: Context,
    caller: Caller,
    patience: Annotated[Patience, Query()],
    body: RunBody | None = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Response:
    """Start one run of a template. The input is checked against its schema before anything is stored.

    The run is like any other; its `trigger_type` is `manual` and the source of its event `/templates/NAME`. With
    `wait=run` the answer comes when the run has ended, or after `timeout` seconds.
    """
    deadline = context.clock.monotonic() + patience.timeout
    given = body.input if body is not None else None
    receipt = await context.templates.run(caller, name, given, idempotency_key, context.manual)
    return await started(context, caller, receipt, patience, deadline)


@router.post(
    "/{name}/instantiate",
    status_code=201,
    response_model=definition_documents.Workflow,
    summary="Make a workflow from a template",
)
async def instantiate_template(name: Name, body: InstantiateBody, context: Context, caller: Caller) -> Response:
    """Create a workflow with the jobs and triggers of a template, which holds `input` ready for its runs."""
    made = await context.templates.instantiate(caller, name, body.workflow, body.input, deploy=body.deploy)
    response = answer(made, 201)
    response.headers["etag"] = f'"{made["revision"]}"'
    response.headers["location"] = f"/api/v1/workflows/{made['id']}"
    return response
