"""Turns: the steps of a transaction in which runs that must not overlap take, give up and get their turn.

Every step runs under the lock on the overlap key, so that of several instances that decide at once each sees what the
one before has left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.dag.calls import wake_of
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.overlap import Move, Overlap, Place, judge, limited_workflow
from workflow_scheduler.core.ports.store import Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.pipeline.intents import with_lines
from workflow_scheduler.stores.portable import intake, turns

NAMED_RUNS_MAX = 5
_encode = msgspec.json.encode
_ENDED = {
    Reason.OVERLAP_SUPERSEDED: "a later fire took the place of this run in the queue",
    Reason.OVERLAP_TERMINATED: "a later fire ended this run, because `overlap` is terminate_running",
}


class Ended(NamedTuple):
    """A run that a transaction ends, and how."""

    run: Run
    change: RunChange


class Turns:
    """What one transaction does to the runs that share a key."""

    def __init__(self, owner: str, now: int) -> None:
        """Runs whose turn comes belong to the instance `owner`."""
        self._owner = owner
        self._now = now
        self.released: list[Run] = []
        self.stopped: list[Run] = []
        self.ended: list[Ended] = []
        self.retracted: dict[str, Reason] = {}

    def take(self, run: Run, rule: Overlap, decision: Decision) -> Work[tuple[Decision, Run | None]]:
        """Decide whether `run` starts, waits or is left out, clear the way for it, and store it.

        Returns the decision as it stands then, and the run as it was stored.
        """
        key = _key(run)
        earlier = yield from intake.run_of_key(run)
        if earlier is not None:
            return replace(decision, outcome=Outcome.DUPLICATE, reason=Reason.ALREADY_SEEN, run_id=earlier), None
        under_way: list[str] = []
        busy = queue = 0
        if rule.policy != "allow":
            under_way = yield from turns.running(key, NAMED_RUNS_MAX)
            busy = len(under_way)
            if busy == NAMED_RUNS_MAX < rule.places:
                busy = yield from turns.count_running(key, rule.places)
            queue = yield from turns.waiting(key, 1 if rule.places else rule.limit)
        move = judge(rule, busy, queue)
        yield from self._clear(key, move)
        decision = _recorded(decision, rule, move, (under_way, queue))
        if move.place is Place.NONE:
            return replace(decision, run_id=None), None
        if move.place is Place.WAIT:
            run = replace(run, owner=None, next_attempt_at=None)
        yield from intake.put_run(run)
        if move.place is Place.WAIT and busy < max(rule.places, 1):
            yield from self.release(key)
        return decision, run

    def release(self, key: turns.Key) -> Work[None]:
        """Give the next run of a key its turn, where none is under way; under a limit, as many as there is room for."""
        while (run := (yield from turns.take_next(key, self._owner, self._now))) is not None:
            self.released.append(run)
            if limited_workflow(key[1]) is None:
                return

    def _clear(self, key: turns.Key, move: Move) -> Work[None]:
        """Do what a move wants done about the other runs of the key."""
        if move.replaces:
            for run in (yield from turns.rows_waiting(key)):
                self.retracted[run.id] = Reason.OVERLAP_SUPERSEDED
                yield from turns.retract(run, Reason.OVERLAP_SUPERSEDED)
                yield from self._end(run, Reason.OVERLAP_SUPERSEDED)
        if move.cancels:
            self.stopped += yield from turns.ask_to_stop(key)
        if move.terminates:
            for run in (yield from turns.rows_under_way(key)):
                yield from self._end(run, Reason.OVERLAP_TERMINATED)

    def _end(self, run: Run, reason: Reason) -> Work[None]:
        error = _encode({"code": reason, "message": _ENDED[reason]})
        if (yield from turns.end(run, self._now, error)):
            change = RunChange(
                tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.CANCELLED,
                ended_at=self._now, error=error,
            )  # fmt: skip
            self.ended.append(Ended(run, change))
            wake = wake_of(run, change)
            if wake is not None:
                yield from intake.put_wake(wake)


def _key(run: Run) -> turns.Key:
    assert run.overlap_key is not None
    return run.tenant_id, run.overlap_key


def _recorded(decision: Decision, rule: Overlap, move: Move, others: tuple[list[str], int]) -> Decision:
    """Return the decision with a line about the runs that were there before."""
    under_way, queue = others
    if (not under_way and not queue) or (rule.places and move.place is Place.START):
        return decision
    actual: dict[str, Any] = {"running": under_way, "waiting": queue}
    name = "concurrency" if rule.places else "overlap"
    line = Predicate(name, _wanted(rule), actual, move.place is Place.START, _note(move, under_way))
    decision = with_lines(decision, [line])
    if move.place is Place.START:
        return decision
    outcome = Outcome.DEFERRED if move.place is Place.WAIT else Outcome.SKIPPED
    return replace(decision, outcome=outcome, reason=move.reason or decision.reason)


def _wanted(rule: Overlap) -> str:
    of = {"trigger": "this trigger", "workflow": "this workflow", "key": "the same key"}[rule.scope]
    if rule.places:
        return f"fewer than {rule.places} runs of {of} under way, and none waiting"
    return f"no other run of {of} under way ({rule.policy})"


def _note(move: Move, under_way: list[str]) -> str | None:
    if not under_way:
        return None
    what = "was ended" if move.terminates else "was asked to stop" if move.cancels else "was still under way"
    return f"run {under_way[0]} {what}"
