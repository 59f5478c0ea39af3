"""Backfills: a range of a schedule's nominal times that is run afterwards.

Statuses and their transitions::

    running --> paused | cancelling | cancelled | completed
    paused --> running | cancelling | cancelled
    cancelling --> cancelled

`cancelling` waits for runs that are under way; without any, a cancelled backfill is `cancelled` at once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

Reprocess = Literal["missing", "failed", "all"]
Order = Literal["forward", "reverse"]
TIMES_MAX = 2_000_000
ACTIVE_MAX = 100
ACTIVE_DEFAULT = 4


class BackfillStatus(StrEnum):
    """Where a backfill stands."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


BACKFILL_TRANSITIONS: dict[BackfillStatus, frozenset[BackfillStatus]] = {
    BackfillStatus.RUNNING: frozenset(
        {BackfillStatus.PAUSED, BackfillStatus.CANCELLING, BackfillStatus.CANCELLED, BackfillStatus.COMPLETED}
    ),
    BackfillStatus.PAUSED: frozenset({BackfillStatus.RUNNING, BackfillStatus.CANCELLING, BackfillStatus.CANCELLED}),
    BackfillStatus.CANCELLING: frozenset({BackfillStatus.CANCELLED}),
    BackfillStatus.CANCELLED: frozenset(),
    BackfillStatus.COMPLETED: frozenset(),
}


class Backfill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A backfill as it is stored. Times are microseconds UTC; the range is [since, until).

    `type`, `config` (JSON) and `anchor` are the rule whose times are run, as it was when the backfill was made. Going
    forward, `position` is the first instant that was not looked at yet; in reverse, the last one that was. `planned`
    counts the nominal times of the range; each is `started` or `skipped` (left out), or still to come. `active` is a
    JSON array of the ids of started runs whose end is not counted yet. `owner` is the instance that works on it and
    `fence` the epoch of that; `revision` grows with every write, and a step is written only where both still hold.
    """

    id: str
    tenant_id: str
    workflow_id: str
    workflow: str
    trigger_id: str
    trigger: str
    type: str
    config: str
    anchor: int
    version: int | None
    since: int
    until: int
    reprocess: Reprocess
    run_order: Order
    ignore_skips: bool
    max_active: int
    input: bytes | None
    status: BackfillStatus
    position: int
    exhausted: bool
    planned: int
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    active: str = "[]"
    cancel_runs: bool = False
    note: str | None = None
    user_id: str | None = None
    owner: str | None = None
    fence: int = 0
    revision: int = 1
    created_at: int = 0
    updated_at: int = 0
    paused_at: int | None = None
    paused_us: int = 0
    ended_at: int | None = None

    @property
    def active_ids(self) -> tuple[str, ...]:
        """The ids of the runs that are under way."""
        return msgspec.json.decode(self.active, type=tuple[str, ...])

    @property
    def remaining(self) -> int:
        """How many nominal times are still to be looked at."""
        return 0 if self.exhausted else max(0, self.planned - self.started - self.skipped)
