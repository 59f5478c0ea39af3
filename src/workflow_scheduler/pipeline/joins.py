"""Joins: a workflow that waits for several others runs once when all of them have ended as it asked.

The state is one row per member that has arrived. It is read and written in the transaction of the event that brings
the next member, under a lock on the trigger's row, so that two members that arrive at once on two instances cannot
both be "not the last". What a run used is consumed; the next round begins empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Accepted, Row, Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.pipeline.candidates import Compiled
from workflow_scheduler.pipeline.intents import intent, without_runs
from workflow_scheduler.stores.portable import intake

_encode = msgspec.json.encode


class Joined(msgspec.Struct, frozen=True):
    """An event that brings a member to a join."""

    event: Event
    compiled: Compiled


class JoinResult(msgspec.Struct):
    """What was written: the accepted events as decided in the end, duplicates, and runs that were fenced off."""

    stale: bool = False
    accepted: list[Accepted] = msgspec.field(default_factory=list)
    duplicates: dict[str, str] = msgspec.field(default_factory=dict)
    fenced: set[str] = msgspec.field(default_factory=set)


class Joins:
    """Writes entries of which some events bring members to joins."""

    def __init__(self, store: Store, owner: str, doubt: Callable[[Sequence[Accepted]], None]) -> None:
        """Runs that a join starts belong to the instance `owner`; `doubt` gets what a lost commit may have written."""
        self._store = store
        self._owner = owner
        self._doubt = doubt
        # On PostgreSQL the look at the epoch holds deploys back until the end of the transaction.
        self._epoch = Sql("SELECT wfs_epoch()" if store.dialect == "postgres" else "SELECT epoch FROM index_epoch")

    async def commit(
        self, entry: Any, accepted: Sequence[Accepted], joined: Sequence[Joined], epoch: int, now: int
    ) -> JoinResult:
        """Write one entry in a transaction of its own; nothing is written when the index epoch is not `epoch`."""
        written: list[Accepted] = []
        try:
            return await self._store.transact(self._write(entry, accepted, joined, (epoch, now), written))
        except StoreUnavailable:
            self._doubt(written)
            raise

    def _write(
        self,
        entry: Any,
        accepted: Sequence[Accepted],
        joined: Sequence[Joined],
        moment: tuple[int, int],
        written: list[Accepted],
    ) -> Work[JoinResult]:
        epoch, now = moment
        result = JoinResult(accepted=written)
        for tenant_id, trigger_id in sorted({(one.event.tenant_id, one.compiled.trigger.id) for one in joined}):
            # The lock that members who arrive at once wait for; deploys lock these rows before the epoch as well.
            yield Sql(
                "UPDATE trigger_index SET updated_at = updated_at WHERE tenant_id = :tenant AND id = :trigger",
                {"tenant": tenant_id, "trigger": trigger_id},
            )
        current = yield self._epoch
        if current[0][0] != epoch:
            result.stale = True
            return result
        yield from _write_records(entry, result)
        for one in accepted:
            if entry.ends.get(one.event.id) in result.fenced:
                continue
            earlier = yield from intake.put_event(one.event)
            if earlier is not None:
                result.duplicates[one.event.id] = earlier
                continue
            mine = [join for join in joined if join.event.id == one.event.id]
            final = yield from self._settle(one, mine, now)
            written.append((yield from _put(final)))
        return result

    def _settle(self, accepted: Accepted, joined: Sequence[Joined], now: int) -> Work[Accepted]:
        decisions = {decision.trigger_id: decision for decision in accepted.decisions}
        runs: list[Run] = list(accepted.runs)
        for join in joined:
            trigger_id = join.compiled.trigger.id
            arrived = yield from self._arrive(join, now)
            missing = _missing(join.compiled, arrived)
            run = None
            if not missing:
                run = intent(_collected(join.event, arrived), join.compiled, now, self._owner)
                runs.append(run)
                yield Sql(
                    "DELETE FROM joins WHERE tenant_id = :tenant AND trigger_id = :trigger",
                    {"tenant": join.event.tenant_id, "trigger": trigger_id},
                )
            decisions[trigger_id] = _decision(decisions[trigger_id], join.compiled, arrived, missing, run)
        return Accepted(accepted.event, list(decisions.values()), runs)

    def _arrive(self, join: Joined, now: int) -> Work[dict[str, Row]]:
        """Store the member that `join` brings, and return the members that are present inside the window."""
        event, trigger = join.event, join.compiled.trigger
        key: dict[str, Any] = {"tenant": event.tenant_id, "trigger": trigger.id}
        window = join.compiled.config.window
        if window is not None:
            oldest = {**key, "oldest": now - int(window * SECOND_US)}
            yield Sql("DELETE FROM joins WHERE tenant_id = :tenant AND trigger_id = :trigger AND at < :oldest", oldest)
        fields = msgspec.json.decode(event.data)
        yield Sql(
            "INSERT INTO joins (tenant_id, trigger_id, member, event_id, run_id, status, at, data) "
            "VALUES (:tenant, :trigger, :member, :event, :run, :status, :at, :data) "
            "ON CONFLICT (tenant_id, trigger_id, member) DO UPDATE SET event_id = excluded.event_id, "
            "run_id = excluded.run_id, status = excluded.status, at = excluded.at, data = excluded.data",
            {**key, "member": event.index_keys[0], "event": event.id, "run": event.cause_run_id,
             "status": str(fields.get("status")), "at": event.time, "data": event.data},
        )  # fmt: skip
        rows = yield Sql(
            "SELECT member, event_id, run_id, status, at, data FROM joins "
            "WHERE tenant_id = :tenant AND trigger_id = :trigger",
            key,
        )
        members = {member.workflow for member in join.compiled.config.all or ()}
        return {row[0]: row for row in rows if row[0] in members}


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


def _write_records(entry: Any, result: JoinResult) -> Work[None]:
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
    for run_id, wake in entry.run_wakes.items():
        if run_id not in result.fenced:
            yield from intake.put_wake(wake)


def _missing(compiled: Compiled, arrived: dict[str, Row]) -> list[str]:
    members = compiled.config.all or ()
    return [member.workflow for member in members if member.required and member.workflow not in arrived]


def _collected(event: Event, arrived: dict[str, Row]) -> Event:
    """Return the last event with all members' ends as the input of the run."""
    members = {name: msgspec.Raw(bytes(row[5])) for name, row in sorted(arrived.items())}
    return msgspec.structs.replace(event, input=_encode({"members": members}))


def _decision(
    preliminary: Decision, compiled: Compiled, arrived: dict[str, Row], missing: list[str], run: Run | None
) -> Decision:
    wanted = [member.workflow for member in compiled.config.all or ()]
    note = f"still missing: {', '.join(missing)}" if missing else None
    line = Predicate("all", wanted, sorted(arrived), not missing, note)
    lines = [*msgspec.json.decode(preliminary.predicates), line]
    return msgspec.structs.replace(
        preliminary,
        outcome=Outcome.RUN_STARTED if run else Outcome.ABSORBED,
        reason=Reason.MATCHED if run else Reason.WAITING_FOR_MEMBERS,
        predicates=_encode(lines),
        run_id=run.id if run else None,
    )
