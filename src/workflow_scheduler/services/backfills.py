"""Backfills: plan, start, list, pause, resume and cancel them. The loop in `backfilling` carries them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.backfill import BACKFILL_TRANSITIONS, TIMES_MAX, Backfill, BackfillStatus
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.services.backfill_rule import BackfillRequest, Rules, check_range, refused
from workflow_scheduler.services.backfill_times import BackfillTimes, time_shape
from workflow_scheduler.services.shapes import instant, malformed_shape, shaped
from workflow_scheduler.stores.portable.backfills import BackfillFilter, BackfillRepository
from workflow_scheduler.stores.portable.rows import Malformed, decode_json, quarantine
from workflow_scheduler.stores.portable.workflows import WorkflowRepository

_TRIES_MAX = 100


def backfill_shape(backfill: Backfill, now: int) -> dict[str, Any]:
    """Return a backfill as the API shows it at `now` (microseconds)."""
    active = len(backfill.active_ids)
    ended = backfill.succeeded + backfill.failed + backfill.cancelled
    left = backfill.remaining + active if backfill.status is not BackfillStatus.CANCELLED else 0
    done = backfill.planned - backfill.remaining - active
    return {
        "id": backfill.id,
        "workflow_id": backfill.workflow_id,
        "workflow": backfill.workflow,
        "schedule_id": backfill.trigger_id,
        "trigger": backfill.trigger,
        "version": backfill.version,
        "from": instant(backfill.since),
        "to": instant(backfill.until),
        "reprocess": backfill.reprocess,
        "order": backfill.run_order,
        "ignore_skips": backfill.ignore_skips,
        "max_active": backfill.max_active,
        "input": decode_json(backfill.input),
        "status": backfill.status.value,
        "note": backfill.note,
        "planned": backfill.planned,
        "started": backfill.started,
        "active": active,
        "succeeded": backfill.succeeded,
        "failed": backfill.failed,
        "cancelled": backfill.cancelled,
        "skipped": backfill.skipped,
        "remaining": backfill.remaining,
        "progress": round(done / backfill.planned, 4) if backfill.planned else 1.0,
        "eta_seconds": _eta(backfill, left, ended + backfill.skipped, now),
        "user_id": backfill.user_id,
        "created_at": instant(backfill.created_at),
        "updated_at": instant(backfill.updated_at),
        "paused_at": instant(backfill.paused_at),
        "ended_at": instant(backfill.ended_at),
    }


def _eta(backfill: Backfill, left: int, done: int, now: int) -> float | None:
    """Return how long it will take at the pace so far, in seconds; None where that cannot be said."""
    worked = now - backfill.created_at - backfill.paused_us
    if backfill.status is not BackfillStatus.RUNNING or done <= 0 or worked <= 0:
        return None
    return round(left * worked / done / SECOND_US, 1)


class Backfills:
    """What can be asked and done about backfills."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        trigger_types: Mapping[str, ModuleType],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Write to `store`; compute times with `trigger_types`; `wake` tells the loop about changes."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._wake = wake
        self._rules = Rules(store, trigger_types)
        self._rows = BackfillRepository(store)
        self._workflows = WorkflowRepository(store)

    async def plan(
        self, principal: Principal, request: BackfillRequest, *, position: int | None = None, limit: int = 100
    ) -> dict[str, Any]:
        """Say what a backfill would run: the exact numbers by reason, and a page of its times. Nothing is written.

        `position` is `next` of the page before.

        Raises:
            ValidationFailed: see `create`.

        """
        now = self._clock.now()
        backfill, times = await self._made(principal, request, now)
        page = await times.portion(backfill.position if position is None else position, limit, now)
        return {
            "dry_run": True,
            "workflow": backfill.workflow,
            "schedule_id": backfill.trigger_id,
            "trigger": backfill.trigger,
            "from": instant(backfill.since),
            "to": instant(backfill.until),
            "timezone": times.timezone,
            "reprocess": backfill.reprocess,
            "order": backfill.run_order,
            **await times.sums(now),
            "items": [time_shape(one, times.timezone) for one in page.times],
            "next": None if page.last else page.position,
        }

    async def create(self, principal: Principal, request: BackfillRequest) -> dict[str, Any]:
        """Start a backfill and return it; the loop begins with its runs at once.

        Raises:
            ValidationFailed: the range, the workflow, the trigger or the version is wrong, or there are no such times.

        """
        now = self._clock.now()
        backfill, times = await self._made(principal, request, now)
        if backfill.planned == 0:
            raise refused("from", f"`{backfill.trigger}` has no time in that range ({times.timezone})")
        await self._rows.add(backfill)
        self._wake()
        return backfill_shape(backfill, now)

    async def _made(self, principal: Principal, request: BackfillRequest, now: int) -> tuple[Backfill, BackfillTimes]:
        """Return the backfill that a request means, not stored, with its times."""
        check_range(request, now)
        rule = await self._rules.find(principal.tenant_id, request, now)
        backfill = Backfill(
            id=mint(now),
            tenant_id=principal.tenant_id,
            workflow_id=rule.row.workflow_id,
            workflow=rule.row.workflow,
            trigger_id=rule.row.id,
            trigger=rule.row.name,
            type=rule.type,
            config=rule.config,
            anchor=rule.row.anchor,
            version=request.version,
            since=request.since,
            until=request.until,
            reprocess=request.reprocess,
            run_order=request.order,
            ignore_skips=request.ignore_skips,
            max_active=request.max_active,
            input=request.given,
            status=BackfillStatus.RUNNING,
            position=request.until if request.order == "reverse" else request.since,
            exhausted=False,
            planned=0,
            user_id=principal.user_id,
            created_at=now,
            updated_at=now,
        )
        times = await BackfillTimes.read(self._store, self._types, backfill, now)
        planned = times.planned()
        if planned > TIMES_MAX:
            raise refused(
                "from",
                f"`{backfill.trigger}` has {planned} times in that range; a backfill has at most {TIMES_MAX}",
                "Split the range into several backfills.",
            )
        return replace(backfill, planned=planned), times

    async def page(
        self,
        principal: Principal,
        *,
        workflow: str | None = None,
        status: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return the newest backfills first. `workflow` is an id or a name."""
        tenant, now = principal.tenant_id, self._clock.now()
        workflow_id = None
        if workflow is not None:
            record = await self._workflows.find(tenant, workflow)
            workflow_id = record.id if record is not None else workflow
        wanted = BackfillFilter(workflow_id=workflow_id, status=status)
        rows, after = await self._rows.page(tenant, wanted, limit, cursor, now)
        items, broken = shaped(rows, "backfills", lambda row: row.id, lambda row: backfill_shape(row, now))
        await quarantine(self._store, tenant, broken, now)
        return Page(items, after)

    async def show(self, principal: Principal, backfill_id: str) -> dict[str, Any]:
        """Return one backfill with its progress.

        Raises:
            NotFound: the tenant has no such backfill.

        """
        now = self._clock.now()
        row = await self._rows.get(principal.tenant_id, backfill_id, now)
        return malformed_shape(row) if isinstance(row, Malformed) else backfill_shape(row, now)

    async def pause(self, principal: Principal, backfill_id: str) -> dict[str, Any]:
        """Start no more runs; those under way go on to their end.

        Raises:
            NotFound: the tenant has no such backfill.
            Conflict: it has ended, or is being cancelled.

        """
        return await self._move(principal, backfill_id, BackfillStatus.PAUSED)

    async def resume(self, principal: Principal, backfill_id: str) -> dict[str, Any]:
        """Go on exactly where the backfill was paused.

        Raises:
            NotFound: the tenant has no such backfill.
            Conflict: it has ended, or is being cancelled.

        """
        return await self._move(principal, backfill_id, BackfillStatus.RUNNING)

    async def cancel(self, principal: Principal, backfill_id: str, *, cancel_runs: bool = False) -> dict[str, Any]:
        """End a backfill; its runs under way go on to their end, or are cancelled as well.

        Raises:
            NotFound: the tenant has no such backfill.
            Conflict: it is completed.

        """
        return await self._move(principal, backfill_id, BackfillStatus.CANCELLING, cancel_runs=cancel_runs)

    async def _move(
        self, principal: Principal, backfill_id: str, to: BackfillStatus, *, cancel_runs: bool = False
    ) -> dict[str, Any]:
        for _ in range(_TRIES_MAX):
            now = self._clock.now()
            row = await self._rows.get(principal.tenant_id, backfill_id, now)
            if isinstance(row, Malformed):
                raise Conflict(f"The stored row of backfill `{backfill_id}` cannot be read: {row.detail}")
            moved = moved_to(row, to, now, cancel_runs=cancel_runs)
            if moved is row or await self._rows.change(row, moved):
                self._wake()
                return await self.show(principal, backfill_id)
        raise Conflict(f"Backfill `{backfill_id}` keeps changing.", fix="Try again in a moment.")


def moved_to(row: Backfill, to: BackfillStatus, now: int, *, cancel_runs: bool = False) -> Backfill:
    """Return the backfill after a person's wish at `now`; the same one where it stands so already.

    Raises:
        Conflict: it stands so that this cannot be.

    """
    wished = {to, BackfillStatus.CANCELLED} if to is BackfillStatus.CANCELLING else {to}
    if row.status in wished and (not cancel_runs or row.cancel_runs or row.status is BackfillStatus.CANCELLED):
        return row
    if row.status is not to and to not in BACKFILL_TRANSITIONS[row.status]:
        raise Conflict(f"Backfill `{row.id}` is {row.status.value}; it cannot become {to.value}.")
    rested = now - row.paused_at if row.paused_at is not None else 0
    moved = replace(row, status=to, updated_at=now, paused_at=None, paused_us=row.paused_us + rested, note=None)
    if to is BackfillStatus.PAUSED:
        return replace(moved, paused_at=now)
    if to is BackfillStatus.CANCELLING:
        moved = replace(moved, cancel_runs=cancel_runs or row.cancel_runs)
        return moved if row.active_ids else replace(moved, status=BackfillStatus.CANCELLED, ended_at=now)
    return moved
