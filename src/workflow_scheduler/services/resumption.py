"""The end of a pause: what becomes of the times that passed, and where the schedule goes on."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.model.trigger import Occurrence, Trigger
from workflow_scheduler.core.ports.store import Batch, Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.due import Due, Settlement, Start, Timer, next_due, resume
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.late import Catchup
from workflow_scheduler.core.time.payload import clock_event
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.services.replay import Accepts
from workflow_scheduler.stores.portable.occurrences import stretch_note
from workflow_scheduler.stores.portable.schedules import DueMove, ScheduleRepository, ScheduleRow

_ROUNDS_MAX = 1_000


class Resumption:
    """Ends the pause of one schedule.

    The runs come first, each under the key of its nominal time; then the records; then the due row. After a crash in
    between, resuming again repeats nothing.
    """

    def __init__(self, store: Store, inbox: Accepts, module: Any, config: Any, row: ScheduleRow) -> None:
        """Settle the times of `row`, whose trigger type is `module` with the validated `config`."""
        self._store = store
        self._inbox = inbox
        self._module = module
        self._config = config
        self._row = row
        self._timer = Timer(module, config, row.id, row.anchor)

    async def carry_out(self, now: int, missed: Catchup) -> list[str]:
        """Settle what passed by `missed`, let the schedule go on, and return the ids of the runs that started."""
        row = self._row
        run_ids: list[str] = []
        following = self._first_missed(now)
        for _ in range(_ROUNDS_MAX):
            if following is None or following.fire_at > now:
                break
            settlement = resume(self._timer, following.nominal, now, missed)
            occurrences = [await self._start(start, now, run_ids) for start in settlement.fire]
            occurrences += self._unfired(settlement, now)
            await self._store.commit(Batch(occurrences=occurrences))
            following = settlement.next
        move = DueMove(
            paused=False,
            next_fire_at=following.fire_at if following else None,
            next_nominal=following.nominal if following else None,
            completed=following is None,
        )
        await ScheduleRepository(self._store).move(row.tenant_id, row.id, move, now)
        return run_ids

    def _first_missed(self, now: int) -> Due | None:
        """Return the first time that the pause kept from firing, or the next one when none has passed."""
        row = self._row
        if row.paused and row.next_nominal is not None:
            fire = self._timer.at(row.next_nominal)
            return Due(fire.utc, row.next_fire_at if row.next_fire_at is not None else fire.utc, fire)
        if row.paused_until is not None and not row.paused:
            # A pause with an end has moved the due row on: what it passed over lies after the moment of pausing.
            found = next_due(self._module, self._config, row.id, row.updated_at, row.anchor)
            if found is not None:
                return found
        return next_due(self._module, self._config, row.id, now, row.anchor)

    async def _start(self, start: Start, now: int, run_ids: list[str]) -> Occurrence:
        row = self._row
        trigger = Trigger(
            id=row.id,
            tenant_id=row.tenant_id,
            workflow_id=row.workflow_id,
            workflow=row.workflow,
            workflow_version=await self._live_version(),
            name=row.name,
            type=row.type,
            config={},
        )
        receipt = await self._inbox.accept(clock_event(self._module, self._config, trigger, start, now))
        outcome, reason, run_id = await self._decided(receipt.event_id)
        run_ids += [run_id] if run_id is not None else []
        return self._occurrence(
            start.fire, now, outcome=outcome, reason=reason, run_id=run_id, event_id=receipt.event_id
        )

    async def _decided(self, event_id: str) -> tuple[str, str, str | None]:
        """Return the decision on a fire; an earlier attempt at this resumption may have brought it about."""
        rows = await self._store.read(
            "SELECT outcome, reason, run_id FROM decisions "
            "WHERE tenant_id = :tenant AND event_id = :event AND trigger_id = :trigger",
            {"tenant": self._row.tenant_id, "event": event_id, "trigger": self._row.id},
        )
        return rows[0] if rows else (Outcome.DUPLICATE.value, Reason.ALREADY_SEEN.value, None)

    async def _live_version(self) -> int:
        rows = await self._store.read(
            "SELECT live_version FROM workflows WHERE tenant_id = :tenant AND id = :id",
            {"tenant": self._row.tenant_id, "id": self._row.workflow_id},
        )
        return int(rows[0][0] or 0) if rows else 0

    def _unfired(self, settlement: Settlement, now: int) -> list[Occurrence]:
        found = [
            self._occurrence(one.fire, now, outcome=one.outcome.value, reason=one.reason.value)
            for one in settlement.outcomes
        ]
        for stretch in settlement.stretches:
            record = self._occurrence(
                self._timer.at(stretch.first), now, outcome=stretch.outcome.value, reason=stretch.reason.value
            )
            found.append(msgspec.structs.replace(record, note=stretch_note(stretch)))
        return found

    def _occurrence(self, fire: Fire, now: int, **facts: Any) -> Occurrence:
        row = self._row
        return Occurrence(
            tenant_id=row.tenant_id,
            trigger_id=row.id,
            nominal=fire.utc,
            nominal_local=fire.local,
            timezone=self._module.timezone(self._config),
            fold=fire.fold,
            tzdata=tzdata_version(),
            note=fire.note,
            recorded_at=now,
            **facts,
        )
