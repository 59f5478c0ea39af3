"""Entries whose decisions need the state in the tables: members of joins, and runs that must not overlap.

What is decided about them is decided inside the transaction that writes them, under locks, after a look at the index
epoch. Several entries share one transaction; each is written whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Accepted, Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.shaping.shape import is_due
from workflow_scheduler.pipeline import joins, shaping
from workflow_scheduler.pipeline.answering import Answering, pausing, tell_pauses
from workflow_scheduler.pipeline.ends import Ends
from workflow_scheduler.pipeline.entries import Entry
from workflow_scheduler.pipeline.intents import Ask, without_runs
from workflow_scheduler.pipeline.turns import Ended, Turns
from workflow_scheduler.stores.portable import intake, sources, turns, waits
from workflow_scheduler.stores.portable.failures import note_end
from workflow_scheduler.stores.portable.trouble import dead_lettered

ROUNDS_MAX = 20
Decided = tuple[Entry, list[Accepted]]
Prepared = Mapping[str, Sequence[Accepted]]


class UnpreparedError(SchedulerError):
    """Runs would end whose end somebody listens to; the events of those ends are to be written as well."""

    def __init__(self, ended: Sequence[Ended]) -> None:
        """Keep the runs."""
        super().__init__("the events of these ends are missing")
        self.ended = ended


class Result(msgspec.Struct):
    """What became of one entry: events as decided in the end, duplicates (event id -> earlier id), fenced runs.

    `lost_move`: its source is held by others now, so that nothing of it was written.
    """

    accepted: list[Accepted] = msgspec.field(default_factory=list)
    duplicates: dict[str, str] = msgspec.field(default_factory=dict)
    fenced: set[str] = msgspec.field(default_factory=set)
    lost_move: bool = False


class Written(msgspec.Struct):
    """What a transaction did: one result per entry, the events of runs that it ended itself, and whose turn it is."""

    turns: Turns
    stale: bool = False
    woken: bool = False
    results: list[Result] = msgspec.field(default_factory=list)
    ends: Result = msgspec.field(default_factory=Result)

    @property
    def accepted(self) -> list[Accepted]:
        """Every event that was stored."""
        return [one for result in (*self.results, self.ends) for one in result.accepted]


class Transactions:
    """Writes such entries."""

    def __init__(
        self,
        store: Store,
        owner: str,
        ends: Ends,
        doubt: Callable[[Written], None],
    ) -> None:
        """Runs belong to the instance `owner`; `doubt` gets what a lost commit may have written."""
        self._store = store
        self._owner = owner
        self._ends = ends
        self._doubt = doubt
        self.answering = Answering()

    async def commit(self, decided: Sequence[Decided], epoch: int, now: int) -> Written:
        """Write the entries in one transaction; nothing is written when the index epoch is not `epoch`.

        Raises:
            StoreUnavailable: nobody knows whether it was written.

        """
        prepared: dict[str, Sequence[Accepted]] = {}
        for _ in range(ROUNDS_MAX):
            silent = await self._silent(decided, prepared)
            steps = _Steps(self._store.dialect, self._owner, (epoch, now), prepared, silent)
            steps.answering = self.answering
            try:
                return await self._store.transact(steps.write(decided))
            except UnpreparedError as error:
                for run, change in error.ended:
                    prepared[run.id] = await self._ends.decided(change, run, now, self._owner)
            except StoreUnavailable:
                self._doubt(steps.written)
                raise
        raise StoreUnavailable("Runs end faster than the events of their ends are made.", retry_after_seconds=1)

    async def _silent(self, decided: Sequence[Decided], prepared: Prepared) -> set[tuple[str, str]]:
        """Return the workflows (tenant, id) of which some run may end here, and to whose ends nobody listens."""
        asked = [accepted for _, some in decided for accepted in some]
        asked += [accepted for some in prepared.values() for accepted in some]
        found: set[tuple[str, str]] = set()
        for trigger in {ask.compiled.trigger.id: ask.compiled.trigger for one in asked for ask in one.asks}.values():
            if not await self._ends.heard(trigger.tenant_id, trigger.workflow):
                found.add((trigger.tenant_id, trigger.workflow_id))
        return found


class _Steps:
    """The statements of one transaction."""

    def __init__(
        self, dialect: str, owner: str, moment: tuple[int, int], prepared: Prepared, silent: set[tuple[str, str]]
    ) -> None:
        self._dialect = dialect
        self._owner = owner
        self._epoch, self._now = moment
        self._prepared = prepared
        self._silent = silent
        self._unprepared: list[Ended] = []
        self._turns = Turns(owner, self._now)
        self.answering = Answering()
        self.written = Written(self._turns)

    def write(self, decided: Sequence[Decided]) -> Work[Written]:
        """Lock, look at the epoch, and write every entry."""
        asked = [accepted for _, some in decided for accepted in some]
        ends = [accepted for some in self._prepared.values() for accepted in some]
        yield from self._lock(decided, [*asked, *ends])
        if asked or ends:
            # On PostgreSQL the look at the epoch holds deploys back until the end of the transaction.
            current = yield Sql(
                "SELECT wfs_epoch()" if self._dialect == "postgres" else "SELECT epoch FROM index_epoch"
            )
            if current[0][0] != self._epoch:
                self.written.stale = True
                return self.written
        for entry, accepted in decided:
            yield from self._entry(entry, accepted)
        if self._unprepared:
            raise UnpreparedError(self._unprepared)
        return self.written

    def _lock(self, decided: Sequence[Decided], accepted: Sequence[Accepted]) -> Work[None]:
        """Take every lock that the transaction needs, in one order that is the same everywhere."""
        asks: list[tuple[str, Ask]] = [(one.event.tenant_id, ask) for one in accepted for ask in one.asks]
        keys = {(tenant, ask.overlap_key) for tenant, ask in asks if ask.overlap_key is not None}
        keys |= {(run.tenant_id, run.overlap_key) for entry, _ in decided for run in entry.leaving if run.overlap_key}
        for key in sorted(keys):
            yield from turns.lock(self._dialect, key)
        shaped = {(tenant, owner) for tenant, ask in asks for owner in shaping.owners(ask.compiled)}
        for tenant, owner in sorted(shaped):
            yield from shaping.lock(self._dialect, tenant, owner)
        for tenant in sorted({one.event.tenant_id for one in accepted if one.listening is not None}):
            yield from waits.lock(self._dialect, tenant)
        for tenant, trigger in sorted(
            {(tenant, ask.compiled.trigger.id) for tenant, ask in asks if ask.compiled.joins}
        ):
            yield from joins.lock(tenant, trigger)

    def _entry(self, entry: Entry, accepted: Sequence[Accepted]) -> Work[None]:
        result = Result()
        self.written.results.append(result)
        if entry.move is not None and not (yield from sources.move(entry.move)):
            result.lost_move = True
            return
        lost: set[str] = set()
        for advance in entry.advances:
            if not (yield from intake.advance_schedule(advance)):
                lost.add(advance.trigger_id)
        dropped = {event_id for trigger_id in lost for event_id in (entry.fired or {}).get(trigger_id, ())}
        begun = (yield from pausing(entry.changes)) if entry.pauses else ()
        yield from _write_records(entry, result, self._now)
        if entry.schedule_end is not None and entry.schedule_end.run_id not in result.fenced:
            yield from note_end(entry.schedule_end, self._now)
        yield from tell_pauses(begun, result.fenced, self._now)
        yield from self._leave(entry, result)
        for one in accepted:
            if one.event.id not in dropped and entry.ends.get(one.event.id) not in result.fenced:
                yield from self._accept(one, result)
        yield from _recounted(entry, result, lost)
        final = {one.event.id: one.decisions[0] for one in result.accepted if one.decisions}
        retracted = self._turns.retracted
        for occurrence in entry.occurrences:
            if occurrence.trigger_id not in lost:
                yield intake.put_occurrence(_settled(occurrence, final.get(occurrence.event_id or ""), retracted))

    def _leave(self, entry: Entry, result: Result) -> Work[None]:
        """Give the turn of runs that have ended here to the next ones."""
        for run in entry.leaving:
            if run.id in result.fenced or run.overlap_key is None:
                continue
            if entry.retracted is not None and run.waits:
                yield from turns.retract(run, entry.retracted)
            yield from self._turns.release((run.tenant_id, run.overlap_key))

    def _accept(self, one: Accepted, result: Result) -> Work[None]:
        earlier = yield from intake.put_event(one.event)
        if earlier is not None:
            result.duplicates[one.event.id] = earlier
            return
        result.accepted.append((yield from self._settle(one)))

    def _settle(self, one: Accepted) -> Work[Accepted]:
        """Answer what the event asks of the tables; store its runs and decisions."""
        if one.listening is not None:
            one, answered = yield from self.answering.settle(one, self._now)
            self.written.woken |= answered
        decisions: dict[str, Decision] = {decision.trigger_id: decision for decision in one.decisions}
        asks: dict[str, Ask] = {ask.compiled.trigger.id: ask for ask in one.asks}
        plain = [run for run in one.runs if run.trigger_id not in asks]
        given = {run.trigger_id: run for run in one.runs if run.trigger_id in asks}
        stored: list[Run] = []
        for trigger_id, ask in asks.items():
            run = given.get(trigger_id)
            decision = decisions[trigger_id]
            if ask.compiled.joins and not is_due(one.event):
                decision, run = yield from joins.bring(one.event, ask, decision, self._now, self._owner)
            if run is not None and ask.compiled.trigger.shape is not None and one.event.provider != "manual":
                moment = (self._now, self._owner)
                decision, run = yield from shaping.bring(one.event, ask, decision, run, moment)
            rule = ask.compiled.trigger.overlap
            if run is None or rule is None:
                plain += [] if run is None else [run]
            else:
                decision, run = yield from self._take(run, ask, decision)
                stored += [] if run is None else [run]
            decisions[trigger_id] = decision
        final = yield from _put(Accepted(one.event, list(decisions.values()), plain))
        return Accepted(one.event, final.decisions, [*stored, *final.runs])

    def _take(self, run: Run, ask: Ask, decision: Decision) -> Work[tuple[Decision, Run | None]]:
        rule = ask.compiled.trigger.overlap
        assert rule is not None
        before = len(self._turns.ended)
        taken = yield from self._turns.take(run, rule, decision)
        for ended in self._turns.ended[before:]:
            if (ended.run.tenant_id, ended.run.workflow_id) in self._silent:
                continue
            if ended.run.id not in self._prepared:
                self._unprepared.append(ended)
            for event in self._prepared.get(ended.run.id, ()):
                yield from self._accept(event, self.written.ends)
        return taken


def _put(decided: Accepted) -> Work[Accepted]:
    """Insert runs and decisions; a run that its trigger has already for this key is left out."""
    refused: dict[str, str] = {}
    for run in decided.runs:
        earlier = yield from intake.put_run(run)
        if earlier is not None:
            refused[run.id] = earlier
    final = without_runs(decided, refused)
    for decision in final.decisions:
        yield from intake.put_decision(decision)
    return final


def _write_records(entry: Any, result: Result, now: int) -> Work[None]:
    """Write what comes with the events: the end of the run that caused them, its jobs and logs."""
    for change in entry.changes:
        held = yield from intake.change_run(change)
        if not held:
            result.fenced.add(change.run_id)
    for job in entry.jobs:
        if job.run_id not in result.fenced:
            yield from intake.put_job(job)
    for line in entry.logs:
        yield from intake.put_log(line)
    for letter in entry.dead:
        yield from intake.put_dead_letter(letter)
        yield from dead_lettered(letter, now)
    for run_id, wake in entry.run_wakes.items():
        if run_id not in result.fenced:
            yield from intake.put_wake(wake)


def _recounted(entry: Entry, result: Result, lost: set[str]) -> Work[None]:
    """Take back the count of fires whose runs did not start after all; complete what has started all its runs."""
    started = {one.event.id for one in result.accepted if one.runs}
    for advance in entry.advances:
        real = len(started.intersection((entry.fired or {}).get(advance.trigger_id, ())))
        if advance.trigger_id in lost:
            continue
        if real < advance.started:
            yield Sql(
                "UPDATE schedules SET fires = fires - :less WHERE tenant_id = :tenant AND trigger_id = :trigger",
                {"less": advance.started - real, "tenant": advance.tenant_id, "trigger": advance.trigger_id},
            )
        most = entry.limits.get(advance.trigger_id)
        if most is not None:
            yield Sql(
                "UPDATE schedules SET completed = 1, next_fire_at = NULL, next_nominal = NULL "
                "WHERE tenant_id = :tenant AND trigger_id = :trigger AND fires >= :most",
                {"most": most, "tenant": advance.tenant_id, "trigger": advance.trigger_id},
            )


def _settled(occurrence: Occurrence, decision: Decision | None, retracted: Mapping[str, Reason]) -> Occurrence:
    """Return the record of a time with what was decided about it in the end; `retracted` runs were given up since."""
    if decision is None or decision.outcome is Outcome.RUN_STARTED:
        return occurrence
    lines = msgspec.json.decode(decision.predicates)
    note = lines[-1].get("note") if lines else None
    notes = "; ".join(part for part in (occurrence.note, note) if part)
    outcome, reason = decision.outcome, decision.reason
    if decision.run_id is not None and decision.run_id in retracted:
        outcome, reason = Outcome.SKIPPED, retracted[decision.run_id]
    return replace(occurrence, outcome=outcome, reason=reason, run_id=decision.run_id, note=notes or None)
