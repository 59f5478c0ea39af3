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
    "imports",
    "deployment",
    "triggers",
    "held",
    "schedules",
    "upcoming",
    "templates",
    "backfills",
    "blackouts",
    "forecast",
    "calendars",
    "events",
    "attachments",
    "runs",
    "dead_letters",
    "waits",
    "engine",
    "secrets",
    "connections",
    "connection_kinds",
    "github_installations",
    "consents",
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
_TRIGGERS, _OLD_TRIGGERS = "/api/v1/triggers", "/api/triggers"
Scope = MutableMapping[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]]


def create(context: ApiContext, site: Callable[[Asgi], Asgi] | None = None) -> Asgi:
    """Return the ASGI application over `context`. It starts and stops nothing: that is the composition root's.

    `site` puts the web UI before the resources.
    """
    inner = _renamed(resources(context))
    app = Ingress(Front(inner if site is None else site(inner), context), context)
    return Traced(app, context.tracer) if context.tracer.enabled else app


def _renamed(app: Asgi) -> Asgi:
    """Return `app` under the older names of its paths as well."""

    async def serve(scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Any]) -> None:
        if scope["path"].startswith(_OLD_TRIGGERS):
            scope["path"] = _TRIGGERS + scope["path"].removeprefix(_OLD_TRIGGERS)
        await app(scope, receive, send)

    return serve


def resources(context: ApiContext) -> FastAPI:
    """Return the FastAPI application with every resource, without ingress and front (also for the schema alone)."""
    app = FastAPI(
        title=TITLE,
        version=importlib.metadata.version("workflow-scheduler"),
        description="Turns whatever happens into exactly one run of each workflow that asked for it, and says why.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    app.state.context = context
    problems.install(app)
    for name in RESOURCES:
        # The routes as they are: `include_router` would build each of them anew at the first request.
        app.router.routes += importlib.import_module(f"workflow_scheduler.api.{name}").router.routes
    describe(app)
    return app
