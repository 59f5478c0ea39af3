"""Pausing and resuming workflows.

While a workflow is paused its timers do not fire and nothing accrues. Resuming goes on with the next slot; what fell
due meanwhile is recorded as missed, unless the caller, or a schedule's `on_resume`, asks for the `latest` of them or
`all`: then the due row stays at the oldest of them, with a note of what shall run, and the timer settles them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, Literal

import msgspec
import structlog

from workflow_scheduler.core.errors import SchedulerError, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.portions import settle_for_ever
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time import due as dues
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.records import Recorder
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.restraints import Restraints
from workflow_scheduler.stores.portable import pausing
from workflow_scheduler.stores.portable.calendar_checks import followed
from workflow_scheduler.stores.portable.pausing import Pause, PausedTimer, Resumption
from workflow_scheduler.stores.portable.skips import with_skips
from workflow_scheduler.stores.portable.workflows import WorkflowRepository

Missed = Literal["none", "latest", "all"]
WATCH_SECONDS = 2.0
_PORTION = 100
_log = structlog.get_logger(__name__)


class Pauses:
    """Pauses and resumes workflows."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType]) -> None:
        """Write to `store`; `trigger_types` tell when timers are due next."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._workflows = WorkflowRepository(store)

    async def pause(
        self, principal: Principal, reference: str | None, *, reason: str | None = None, until: int | None = None
    ) -> int:
        """Pause a workflow, or all when `reference` is None, and return how many were not paused before.

        `until` (microseconds) ends the pause by itself.

        Raises:
            NotFound: there is no such workflow.
            ValidationFailed: `until` has passed.

        """
        now = self._clock.now()
        if until is not None and until <= now:
            raise ValidationFailed("`until` has passed already", fix="give a time in the future, or none")
        workflow_id = None
        if reference is not None:
            workflow_id = (await self._workflows.get(principal.tenant_id, reference)).id
        return await self._store.transact(
            pausing.pause(
                Pause(
                    tenant_id=principal.tenant_id,
                    workflow_id=workflow_id,
                    reason=reason,
                    until=until,
                    by=principal.user_id,
                    now=now,
                )
            )
        )

    async def resume(self, principal: Principal, reference: str | None, *, missed: Missed | None = None) -> int:
        """Resume a workflow, or all when `reference` is None, and return how many were paused.

        Without `missed`, the `on_resume` of each schedule says what runs of the times that passed.

        Raises:
            NotFound: there is no such workflow.

        """
        if reference is not None:
            found = [(await self._workflows.get(principal.tenant_id, reference)).id]
        else:
            found = await pausing.paused_workflows(self._store, principal.tenant_id)
        resumed = [await self._resume(principal.tenant_id, workflow_id, missed) for workflow_id in found]
        return sum(resumed)

    async def resume_expired(self) -> int:
        """Resume workflows of every tenant whose pause has run out; at most 100 at once. Returns their number."""
        waiting = await pausing.expired_pauses(self._store, self._clock.now(), _PORTION)
        resumed = [
            await self._resume(tenant_id, workflow_id, None, until - 1) for tenant_id, workflow_id, until in waiting
        ]
        return sum(resumed)

    async def watch(self) -> None:
        """Resume workflows whose pause has run out, for ever; a loop of the service."""
        await settle_for_ever(
            self.resume_expired,
            _PORTION,
            lambda: self._clock.sleep(WATCH_SECONDS),
            lambda error: _log.warning("pauses.unavailable", error=error.detail),
        )

    async def _resume(self, tenant_id: str, workflow_id: str, missed: Missed | None, last: int | None = None) -> bool:
        """End a pause whose last instant was `last` (now by default); what fell due later is late, not paused."""
        now = self._clock.now()
        rested = now if last is None else min(last, now)
        names = await followed(self._store, tenant_id, workflow_id)
        held = await Restraints.load(self._store, self._types, tenant_id, names, now)

        def decide(timer: PausedTimer) -> Resumption:
            return self._decide(timer, (rested, now), missed, held, by_itself=last is not None)

        return await self._store.transact(pausing.resume(tenant_id, workflow_id, now, decide))

    def _decide(
        self,
        row: PausedTimer,
        moment: tuple[int, int],
        missed: Missed | None,
        held: Restraints,
        *,
        by_itself: bool,
    ) -> Resumption:
        """Say where a row goes on; `moment` is the last instant of the pause, and now."""
        if row.paused_until is not None and row.paused_until > moment[1]:
            return Resumption(row.next_fire_at, row.next_nominal, completed=False)  # the schedule's own pause goes on
        try:
            module = self._types[row.type]
            config = module.Config.model_validate(with_skips(msgspec.json.decode(row.config), row.skips))
            bound = held.bind(row.workflow, module, config)
            wanted = on_resume(module, config, by_itself=by_itself) if missed is None else missed
            return self._settled(row, bound, moment, wanted)
        except (SchedulerError, ValueError, KeyError) as error:
            # One broken trigger must not keep its workflow paused; the timer reports what it cannot read.
            _log.warning("timer.unreadable", trigger_id=row.trigger_id, error=str(error))
            return Resumption(row.next_nominal, row.next_nominal, completed=False)

    @staticmethod
    def _settled(row: PausedTimer, bound: tuple[Any, Any], moment: tuple[int, int], wanted: Missed) -> Resumption:
        rested, now = moment
        timer = Timer(*bound, row.trigger_id, row.anchor)
        settlement = dues.resume(timer, row.next_nominal, rested, wanted)
        if settlement.fire:
            return Resumption(
                now, row.next_nominal, completed=False, settle_until=rested, settle_as=wanted
            )  # the timer settles them, runs and records together
        records = Recorder(row.tenant_id, timer, now).unfired(settlement)
        following = settlement.next
        return Resumption(
            following.fire_at if following else None,
            following.nominal if following else None,
            completed=following is None,
            occurrences=records,
            settle_until=rested,
            settle_as=wanted,
        )
