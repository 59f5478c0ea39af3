"""`/api/v1/connection-kinds`: what connections there can be, with the schema of their fields."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.connection import KINDS

router = APIRouter(prefix="/api/v1/connection-kinds", tags=["connections"])


class ConnectionKind(BaseModel):
    """A kind of connection."""

    name: str
    summary: str
    fields: dict[str, Any] = Field(description="JSON Schema of its fields; secret ones have `secret: true`.")


class ConnectionKindPage(BaseModel):
    """All kinds of connection."""

    items: list[ConnectionKind]
    next: str | None


@router.get("", response_model=ConnectionKindPage, summary="List kinds of connection")
async def list_kinds(caller: Caller) -> Response:
    """List the kinds of connection with what each needs."""
    del caller  # whoever may look
    items = [
        {"name": name, "summary": (kind.__doc__ or "").strip(), "fields": kind.model_json_schema()}
        for name, kind in KINDS.items()
    ]
    return answer(cursors.page(items, None))
