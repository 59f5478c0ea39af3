"""The HTTP application: raw ingress for events in front, then the checks of the front, then the resources."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI

from workflow_scheduler.api import problems
from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.api.front import Front
from workflow_scheduler.api.ingress import Ingress
from workflow_scheduler.api.openapi import describe
from workflow_scheduler.api.traced import Traced

RESOURCES = (
    "workflows",
    "deployment",
    "triggers",
    "schedules",
    "templates",
    "backfills",
    "blackouts",
    "forecast",
    "calendars",
    "events",
    "runs",
    "dead_letters",
    "waits",
    "engine",
    "secrets",
    "connections",
    "tenant",
    "keys",
    "members",
    "audit",
    "live",
    "schemas",
    "quarantine",
    "operations",
    "answer_pages",
    "pages",
)
TITLE = "Workflow Scheduler"
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": problems.Problem, "description": text}
    for status, text in (
        (400, "The request cannot be read."),
        (401, "No credentials, or unknown ones."),
        (403, "The caller may not do this."),
        (404, "There is no such thing in this tenant."),
        (405, "This method is not allowed here."),
        (409, "The present state does not allow this."),
        (412, "Somebody changed it in the meantime."),
        (413, "The body is too large."),
        (415, "The media type or encoding is not supported."),
        (422, "The input breaks a rule."),
        (503, "Not available now; try again after `Retry-After` seconds."),
    )
}
Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]


def create(context: ApiContext) -> Asgi:
    """Return the ASGI application over `context`. It starts and stops nothing: that is the composition root's."""
    app = Ingress(Front(resources(context), context), context)
    return Traced(app, context.tracer) if context.tracer.enabled else app


def resources(context: ApiContext) -> FastAPI:
    """Return the FastAPI application with every resource, without ingress and front (also for the schema alone)."""
    app = FastAPI(
        title=TITLE,
        version=importlib.metadata.version("workflow-scheduler"),
        description="Turns whatever happens into exactly one run of each workflow that asked for it, and says why.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=REFUSALS,
        redirect_slashes=False,
    )
    app.state.context = context
    problems.install(app)
    for name in RESOURCES:
        app.include_router(importlib.import_module(f"workflow_scheduler.api.{name}").router)
    describe(app)
    return app
