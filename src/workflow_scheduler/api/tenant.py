"""`/api/v1/tenant/settings`: what the caller's tenant allows itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.workflow import Pools

router = APIRouter(prefix="/api/v1/tenant/settings", tags=["tenant"])


class TenantBody(BaseModel):
    """The settings to keep."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"allow_code": None, "resources": {"database": 4}}}
    )

    allow_code: bool | None = Field(
        default=None, description="Whether jobs may run code; null leaves it to the installation. It can only narrow."
    )
    resources: Pools | None = Field(
        default=None, description="All pools of the tenant, which jobs share; null leaves them as they are."
    )


class ShownTenant(BaseModel):
    """The settings, and what follows from them."""

    tenant_id: str
    allow_code: bool | None
    code_allowed: bool = Field(description="Whether jobs that run code run now: the installation allows it, too.")
    resources: dict[str, int] = Field(description="The pools of the tenant and their capacities.")


@router.get("", response_model=ShownTenant, summary="Show the tenant's settings")
async def show_settings(context: Context, caller: Caller) -> dict[str, Any]:
    """Show what the caller's tenant allows itself."""
    return await context.tenant.get(caller)


@router.put("", response_model=ShownTenant, summary="Change the tenant's settings")
async def change_settings(body: TenantBody, context: Context, caller: Caller) -> dict[str, Any]:
    """Change what the tenant allows itself; only owners may. It counts for the next job that starts."""
    return await context.tenant.put(caller, allow_code=body.allow_code, resources=body.resources)
