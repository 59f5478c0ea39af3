"""Schedules without a file: create, list, pause, resume, trigger now, preview, and what becomes of their times.

A schedule is a time trigger of a workflow. Creating, changing and deleting one goes through the trigger service, so
that the definition stays the truth; this room owns its clock: pauses, extra runs and occurrences.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.errors import Conflict, FieldError, SchedulerError, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.calendars.use import named
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.core.time.lab import Report
from workflow_scheduler.core.time.late import Catchup, duration_text, microseconds
from workflow_scheduler.services.forecast import Forecast
from workflow_scheduler.services.inline import refuse_inline, without_inline
from workflow_scheduler.services.ledger import Ledger
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.replay import Accepts, Received
from workflow_scheduler.services.restraints import Restraints
from workflow_scheduler.services.rests import pause_end, paused_now
from workflow_scheduler.services.schedule_config import parse, trigger_config
from workflow_scheduler.services.schedule_lab import examined
from workflow_scheduler.services.schedule_pauses import SchedulePauses, Settles
from workflow_scheduler.services.schedule_times import preview
from workflow_scheduler.services.shapes import instant, malformed_shape, shaped
from workflow_scheduler.services.skips import Skips
from workflow_scheduler.stores.portable.decisions import DecisionRepository, DecisionRow
from workflow_scheduler.stores.portable.events import EventRepository, StoredEvent
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.runs import RunRepository
from workflow_scheduler.stores.portable.schedules import ScheduleRepository, ScheduleRow
from workflow_scheduler.stores.portable.skips import instants
from workflow_scheduler.stores.portable.workflows import WorkflowRepository


class TriggerEdits(Protocol):
    """Changes the triggers of a workflow outside its file (the trigger service)."""

    async def create(self, principal: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add a trigger `{"workflow", "name", "type", "config"}` as a new version; return its shape."""
        ...

    async def update(
        self, principal: Principal, trigger_id: str, body: Mapping[str, Any], if_match: int | None = None
    ) -> dict[str, Any]:
        """Replace a trigger's configuration; return its shape."""
        ...

    async def delete(self, principal: Principal, trigger_id: str) -> None:
        """Remove a trigger from its workflow."""
        ...


class Schedules:
    """What can be asked and done about schedules."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        trigger_types: Mapping[str, ModuleType],
        edits: TriggerEdits,
        inbox: Accepts,
        timer: Settles,
    ) -> None:
        """Change triggers through `edits`; extra runs go through the inbox; `timer` hears about changes."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._edits = edits
        self._inbox = inbox
        self._wake = timer.wake
        self._schedules = ScheduleRepository(store)
        self._ledger = Ledger(store, trigger_types)
        self.forecast = Forecast(store, clock, trigger_types)
        self.skips = Skips(store, clock, trigger_types, timer.wake)
        self._pauses = SchedulePauses(store, clock, trigger_types, timer)
        self._events = EventRepository(store)
        self._decisions = DecisionRepository(store)
        self._runs = RunRepository(store)
        self._workflows = WorkflowRepository(store)

    def _shape(self, row: ScheduleRow) -> dict[str, Any]:
        config: dict[str, Any] = msgspec.json.decode(row.config)
        shared: dict[str, Any] = msgspec.json.decode(row.shared)
        now = self._clock.now()
        paused = paused_now(row, now)
        return {
            "id": row.id,
            "name": row.name,
            "workflow_id": row.workflow_id,
            "workflow": row.workflow,
            "type": row.type,
            "cron": config.get("cron") or config.get("cron_expression"),
            "every": _duration(config.get("every")),
            "run_at": config.get("run_at") or config.get("at"),
            "rrule": config.get("rrule"),
            "timezone": self._timezone(row),
            "input": shared.get("input"),
            "overlap": shared.get("overlap"),
            "config": config,
            "mode": row.mode,
            "deployment_status": row.deployment_status,
            "paused": paused,
            "paused_reason": row.paused_reason if paused else None,
            "paused_until": instant(pause_end(row)) if paused else None,
            "paused_by": row.paused_by if paused else None,
            "workflow_paused": row.workflow_paused,
            "completed": row.completed,
            "fires": row.fires,
            "next_fire_at": None if row.paused or row.workflow_paused else instant(row.next_fire_at),
            "last_fired_at": instant(row.last_fired_at),
            "last_scheduled_for": instant(row.last_nominal),
            "skips": [instant(one) for one in instants(row.skips)],
            "revision": row.revision,
            "created_at": instant(row.created_at),
            "updated_at": instant(row.updated_at),
        }

    def _timezone(self, row: ScheduleRow) -> str | None:
        try:
            return self._table(row).timezone
        except SchedulerError:
            return None

    def _table(self, row: ScheduleRow) -> Timetable:
        return Timetable.parse(self._types, row.type, row.config, row.anchor)

    async def page(
        self, principal: Principal, *, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Return the schedules of deployed workflows, in order of their ids. `workflow` is an id or a name."""
        tenant, now = principal.tenant_id, self._clock.now()
        workflow_id = None if workflow is None else await self._runs.workflow_id(tenant, workflow)
        rows, after = await self._schedules.page(tenant, limit, cursor, now, workflow_id)
        items, broken = shaped(rows, "schedules", lambda row: row.id, self._shape)
        await quarantine(self._store, tenant, broken, now)
        return Page(items, after)

    async def coming(self, principal: Principal, limit: int) -> Page:
        """Return the schedules that fire next, the soonest first; those that are paused are left out."""
        now = self._clock.now()
        rows = await self._schedules.coming(principal.tenant_id, limit, now)
        items, broken = shaped(rows, "schedules", lambda row: row.id, self._shape)
        await quarantine(self._store, principal.tenant_id, broken, now)
        return Page(items, None)

    async def show(self, principal: Principal, schedule_id: str) -> dict[str, Any]:
        """Return one schedule with its next times.

        Raises:
            NotFound: the tenant has no such schedule.

        """
        now = self._clock.now()
        row = await self._schedules.get(principal.tenant_id, schedule_id, now)
        if isinstance(row, Malformed):
            return malformed_shape(row)
        items, broken = shaped([row], "schedules", lambda one: one.id, self._shape)
        await quarantine(self._store, principal.tenant_id, broken, now)
        return items[0]

    async def create(self, principal: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a schedule from `{"workflow", "name", "cron" | "every" | "run_at" | "rrule", "timezone", …}`.

        With `definition` instead of `workflow`, the workflow is created from it.

        Raises:
            ValidationFailed: a field is missing or wrong, or the schedule would never fire.
            NotFound: the tenant has no such workflow.
            Conflict: the workflow has a trigger of that name already.

        """
        rule = without_inline(body)
        brought = {name: value for name, value in body.items() if name not in rule}
        wanted = ("name",) if brought else ("workflow", "name")
        missing = [name for name in wanted if not isinstance(body.get(name), str) or not body[name]]
        if missing:
            problems = [FieldError(name, "is required, a text") for name in missing]
            raise ValidationFailed(f"A schedule needs `{missing[0]}`, a text.", errors=problems)
        parse(self._types, rule, self._clock.now())
        given = {"workflow": body.get("workflow"), "name": body["name"], **_edit(rule), **brought}
        made = await self._edits.create(principal, given)
        self._wake()
        return await self.show(principal, made["id"])

    async def update(
        self, principal: Principal, schedule_id: str, body: Mapping[str, Any], if_match: int | None = None
    ) -> dict[str, Any]:
        """Replace what a schedule says; it takes effect from now and never fires the past.

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: a field is wrong.
            PreconditionFailed: `if_match` is not the present revision.

        """
        refuse_inline(body)
        await self._pauses.row(principal, schedule_id)
        parse(self._types, body, self._clock.now())
        await self._edits.update(principal, schedule_id, _edit(body), if_match)
        self._wake()
        return await self.show(principal, schedule_id)

    async def delete(self, principal: Principal, schedule_id: str) -> None:
        """Remove a schedule from its workflow; its runs and occurrences stay.

        Raises:
            NotFound: the tenant has no such schedule.

        """
        await self._pauses.row(principal, schedule_id)
        await self._edits.delete(principal, schedule_id)

    async def pause(
        self, principal: Principal, schedule_id: str, *, reason: str = "", until: int | None = None
    ) -> dict[str, Any]:
        """Pause a schedule, for good or until a time (microseconds); nothing accrues while it rests.

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: `until` has passed.
            Conflict: a one-time schedule has fired already.

        """
        await self._pauses.pause(principal, schedule_id, reason, until)
        return await self.show(principal, schedule_id)

    async def resume(self, principal: Principal, schedule_id: str, *, missed: Catchup | None = None) -> dict[str, Any]:
        """End a pause. `missed` says what becomes of the times that passed: nothing, the latest, or each of them.

        By default the schedule's `on_resume` says it. The next time is never skipped.

        Raises:
            NotFound: the tenant has no such schedule.
            Conflict: the workflow is paused, not the schedule.

        """
        fired = await self._pauses.resume(principal, schedule_id, missed)
        return {**(await self.show(principal, schedule_id)), "run_ids": fired}

    async def trigger(
        self, principal: Principal, schedule_id: str, *, given: Any = None, key: str | None = None
    ) -> dict[str, Any]:
        """Start a run of a schedule now, beside its times, with the schedule's input or another one.

        It starts also while the schedule or its workflow is paused, and the decision says so.

        Raises:
            NotFound: the tenant has no such schedule.
            Conflict: its workflow is not deployed.
            ValidationFailed: the idempotency key was used with another input.

        """
        row, now = await self._pauses.row(principal, schedule_id), self._clock.now()
        if row.deployment_status != "active":
            raise Conflict(
                f"The schedule `{row.name}` of `{row.workflow}` is {row.deployment_status}, so nothing would start.",
                fix="Deploy the workflow first: workflow-scheduler deploy FILE",
            )
        shared = msgspec.json.decode(row.shared)
        body = msgspec.json.encode(given if given is not None else shared.get("input"))
        event_id = mint(now)
        event = Event(
            id=event_id,
            tenant_id=principal.tenant_id,
            provider="manual",
            source=f"/schedules/{row.id}/trigger",
            type="manual",
            subject=row.workflow_id,
            event_key=key or event_id,
            time=now,
            received_at=now,
            data=msgspec.json.encode(
                {
                    "trigger_type": "MANUAL",
                    "user_id": principal.user_id,
                    "trigger_time": to_iso(now),
                    "schedule_id": row.id,
                    "input": msgspec.Raw(body),
                }
            ),
            attributes=msgspec.json.encode({"paused": True}) if paused_now(row, now) else b"{}",
            target_trigger_id=row.id,
            user_id=principal.user_id,
            input=body,
        )
        receipt = await self._inbox.accept(event)
        return await self._triggered(principal, receipt, body)

    async def _triggered(self, principal: Principal, receipt: Received, body: bytes) -> dict[str, Any]:
        """Return what a trigger-now led to; a repeated key gives the first answer again."""
        tenant, now = principal.tenant_id, self._clock.now()
        rows = await self._decisions.of_event(tenant, receipt.event_id, now)
        decided = next((row for row in rows if isinstance(row, DecisionRow)), None)
        stored = await self._events.several(tenant, [receipt.event_id], now)
        if stored and isinstance(stored[0], StoredEvent):
            first = msgspec.json.decode(stored[0].data).get("input")
            if first != msgspec.json.decode(body):
                raise ValidationFailed(
                    "This Idempotency-Key was used before with another input.", fix="Use a new key for a new request."
                )
        return {
            "event_id": receipt.event_id,
            "run_id": decided.run_id if decided else None,
            "outcome": decided.outcome.value if decided else None,
            "reason": decided.reason.value if decided else None,
            "explain": f"/api/v1/events/{receipt.event_id}/explain",
        }

    async def preview(self, body: Mapping[str, Any], principal: Principal = LOCAL) -> dict[str, Any]:
        """Return the next times of `{"cron" | "every" | "run_at" | "rrule", …, "from", "count"}`; writes nothing.

        Calendars and blackout windows are those of the principal's tenant; with `workflow`, its id or a name, the
        windows that concern it hold as well as those of all workflows.

        Raises:
            ValidationFailed: the expression, the zone, `from` or `count` is wrong, or a calendar does not exist.

        """
        now = self._clock.now()
        held = await Restraints.load(self._store, self._types, principal.tenant_id, named(body), now)
        workflow = body.get("workflow")
        record = await self._workflows.find(principal.tenant_id, str(workflow)) if workflow else None
        given = body if record is None else {**body, "workflow": record.name}
        return preview(self._types, given, now, held)

    async def examined(self, body: Mapping[str, Any], principal: Principal, start: int) -> Report:
        """Return what clock changes do to an expression; see `schedule_lab.examined`."""
        return await examined(self._store, self._types, principal, body, start)

    async def occurrences(
        self,
        principal: Principal,
        schedule_id: str,
        *,
        since: int | None,
        until: int | None,
        place: int | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Return what became of a schedule's times in [since, until) (microseconds), and those still to come.

        Without bounds: a week back and a week ahead. `next` is the `place` of the following page; the sums are those
        of the whole range on each.

        Raises:
            NotFound: the tenant has no such schedule.
            ValidationFailed: `until` is not later than `since`, or more than ten years later.

        """
        row = await self._pauses.row(principal, schedule_id)
        return await self._ledger.between(row, (since, until), place, limit, self._clock.now())


def _duration(seconds: object) -> object:
    """Return a stored interval as people write it, such as `15m`."""
    return duration_text(microseconds(seconds)) if isinstance(seconds, int | float) else seconds


def _edit(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schedule's body as the trigger service takes it: the type beside its configuration."""
    config = trigger_config(body)
    return {"type": config.pop("type"), "config": config}
