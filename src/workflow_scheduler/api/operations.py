"""`/health`, `/health/detailed` and `/metrics`."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header
from fastapi.responses import Response
from pydantic import BaseModel

from workflow_scheduler.api.context import ApiContext, Context
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.stores.portable.census import Census
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository

SERVICE = "workflow_scheduler"
_HEALTHY = "healthy"
_UNHEALTHY = "unhealthy"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_MILLISECONDS = 1_000

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """Whether the service answers."""

    service: str = SERVICE
    status: str = _HEALTHY


class DetailedHealth(Health):
    """Whether each part works, and with what."""

    version: str
    tzdata: str
    components: dict[str, Any]
    instances: list[dict[str, Any]]


@router.get("/health", response_model=Health, summary="Whether the service answers")
async def health() -> dict[str, str]:
    """Answer as long as the process serves requests; it asks no other part."""
    return {"service": SERVICE, "status": _HEALTHY}


@router.get("/health/detailed", response_model=DetailedHealth, summary="Whether each part works")
async def detailed_health(context: Context) -> Response:
    """Ask every part; 503 when one of them does not work."""
    store, instances = await _store_health(context)
    versions = {instance["tzdata"] for instance in instances} | {tzdata_version()}
    components: dict[str, Any] = {
        "store": store,
        "lock_manager": store["status"],
        "trigger_manager": await _trigger_health(context),
        "timezones": {
            "status": _HEALTHY if len(versions) == 1 else "degraded",
            "tzdata": tzdata_version(),
            "instances_differ": len(versions) > 1,
        },
        "quarantine": await _quarantine_health(context),
        "queue": {"status": _HEALTHY, **context.metrics.gauges},
        "authentication": {"status": _HEALTHY, "open_local_tenant": context.authenticator.open},
    }
    working = all(_status(part) != _UNHEALTHY for part in components.values())
    found = {
        "service": SERVICE,
        "status": _HEALTHY if working else _UNHEALTHY,
        "version": importlib.metadata.version("workflow-scheduler"),
        "tzdata": tzdata_version(),
        "components": components,
        "instances": instances,
    }
    return Response(msgspec.json.encode(found), status_code=200 if working else 503, media_type="application/json")


@router.get(
    "/metrics",
    summary="Figures for Prometheus, or totals as JSON",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(context: Context, accept: Annotated[str, Header()] = "") -> Response:
    """Return Prometheus' text form; for `Accept: application/json` the totals of workflows and triggers."""
    if "application/json" in accept:
        found = {"service": SERVICE, **await Census(context.store).totals()}
        return Response(msgspec.json.encode(found), media_type="application/json")
    return Response(context.metrics.render(), media_type=_PROMETHEUS)


async def _store_health(context: ApiContext) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    began = context.clock.monotonic()
    try:
        instances = await Census(context.store).instances(context.clock.now())
    except SchedulerError as error:
        return {"status": _UNHEALTHY, "detail": error.detail}, []
    milliseconds = round((context.clock.monotonic() - began) * _MILLISECONDS, 3)
    return {"status": _HEALTHY, "kind": context.store.dialect, "latency_ms": milliseconds}, instances


async def _trigger_health(context: ApiContext) -> dict[str, Any]:
    try:
        totals = await Census(context.store).totals()
    except SchedulerError as error:
        return {"status": _UNHEALTHY, "detail": error.detail}
    return {"status": _HEALTHY, "active_triggers": totals["total_triggers"], "by_type": totals["trigger_types"]}


async def _quarantine_health(context: ApiContext) -> dict[str, Any]:
    """Tell how many stored rows cannot be read; they stop nothing else, so the service stays healthy."""
    try:
        count = await QuarantineRepository(context.store).count()
    except SchedulerError as error:
        return {"status": _UNHEALTHY, "detail": error.detail}
    return {"status": "degraded" if count else _HEALTHY, "rows": count}


def _status(part: Any) -> str:
    return part if isinstance(part, str) else str(part["status"])
