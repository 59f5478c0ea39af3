"""What backfills look like in answers; the OpenAPI document is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from workflow_scheduler.api.documents import Document


class Backfill(Document):
    """A range of a schedule's times that is run afterwards, and how far it is."""

    id: str
    workflow_id: str
    workflow: str
    schedule_id: str
    trigger: str
    start: str = Field(alias="from")
    end: str = Field(alias="to", description="The range ends before it.")
    reprocess: str
    order: str
    max_active: int
    input: Any
    status: str = Field(description="running, paused, cancelling, cancelled or completed.")
    note: str | None = Field(description="Why it paused by itself.")
    planned: int = Field(description="Nominal times in the range: started, skipped, or remaining.")
    started: int
    active: int = Field(description="Runs that have not ended.")
    succeeded: int
    failed: int
    cancelled: int
    skipped: int = Field(description="Times that were left out.")
    remaining: int
    progress: float = Field(description="From 0 to 1.")
    eta_seconds: float | None
    created_at: str
    ended_at: str | None


class BackfillPage(BaseModel):
    """A page of backfills."""

    items: list[Backfill]
    next: str | None


class BackfillTime(Document):
    """A nominal time, and whether it would run."""

    nominal_local: str
    utc: str
    timezone: str
    fold: int
    note: str | None
    runs: bool
    reason: str
    why: str = Field(description="The reason in words.")
    run_id: str | None = Field(description="Its latest run so far.")
    run_status: str | None


class BackfillPlan(Document):
    """What a backfill would run, with the exact numbers of the whole range and a page of its times."""

    dry_run: bool
    workflow: str
    schedule_id: str
    trigger: str
    planned: int
    to_run: int
    left_out: int
    reasons: dict[str, dict[str, int]] = Field(description="Numbers by reason, for `run` and for `left_out`.")
    items: list[BackfillTime]
    next: str | None
