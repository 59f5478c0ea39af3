"""Answers in events: the steps of the event's transaction in which it is compared with the waits of its tenant.

They run under the lock on the tenant's waits, before the runs of the event are stored. An event that answers a wait
starts no run of that workflow; those of other workflows start as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core import links
from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.match.answers import Groups, Person, candidate
from workflow_scheduler.core.match.correlation import correlation_of
from workflow_scheduler.core.match.ladder import Candidate, Choice, Line, Move, Spoken, choose
from workflow_scheduler.core.match.replies import Reply, read_reply, understand
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.run import RunChange, RunStatus
from workflow_scheduler.core.model.system_event import SOURCE_WAITS, SystemEvent
from workflow_scheduler.core.model.wait import Answer, Wait, WaitStatus
from workflow_scheduler.core.ports.store import Accepted, Sql, Work
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.pipeline.intents import with_lines
from workflow_scheduler.pipeline.listening import Listening
from workflow_scheduler.stores.portable import intake, outbox, waits

LINES_MAX = 20
_encode = msgspec.json.encode
_REASONS = {
    Move.RESUME: (Outcome.RUN_RESUMED, Reason.WAIT_ANSWERED),
    Move.ASK: (Outcome.HELD, Reason.AMBIGUOUS_WAIT),
    Move.LATE: (Outcome.SKIPPED, Reason.LATE_RESPONSE),
}


class Answering:
    """Finds the wait that an event answers, and gives it the answer."""

    def __init__(self, vault: Vault | None = None) -> None:
        """Check signed tokens with the keys that `vault` opens; without one they prove nothing."""
        self._vault = vault

    def settle(self, one: Accepted, now: int) -> Work[tuple[Accepted, bool]]:
        """Return the event as it is decided then, and whether it has answered a wait."""
        meant: Listening = one.listening
        event = one.event
        view = EventView(event)
        reply = read_reply(view)
        found = yield from waits.lapse((yield from _found(event, view, reply, meant, now)), now)
        if not found:
            if reply.aims:
                yield from waits.keep_early(event.tenant_id, keys_of(reply), event.id, event.received_at)
            return one, False
        choice, answers = yield from self.judge(view, reply, meant, found, now)
        by_id = {wait.id: wait for wait in found}
        if choice.move is Move.RESUME and choice.wait_id is not None:
            wait = by_id[choice.wait_id]
            if (yield from waits.give(wait, answers[wait.id])) is None:
                note = Line(wait.id, str(choice.level), False, "this responder has answered it before")  # noqa: FBT003
                choice = Choice(Move.LATE, wait.id, choice.level, (note, *choice.lines[1:]))
        elif reply.aims and choice.move is Move.NONE:
            yield from waits.keep_early(event.tenant_id, keys_of(reply), event.id, event.received_at)
        return _decided(one, choice, by_id, now), choice.move is Move.RESUME

    def judge(
        self, view: EventView, reply: Reply, meant: Listening, found: Sequence[Wait], now: int
    ) -> Work[tuple[Choice, dict[str, Answer]]]:
        """Return which of the waits the event answers, and the answer that it would be to each."""
        tenant_id = view.event.tenant_id
        groups: Groups = yield from waits.groups_of(tenant_id, [name for wait in found for name in wait.to])
        speaker = yield from waits.person_of(tenant_id, reply.who if meant.trusted else ())
        proofs = self._proofs(reply, found, now)
        candidates: list[Candidate] = []
        answers: dict[str, Answer] = {}
        for wait in found:
            heard = understand(reply, wait.request)
            person = Person(proofs[wait.id], frozenset({proofs[wait.id]})) if wait.id in proofs else speaker
            candidates.append(candidate(wait, heard, person, groups, _correlated(view, wait, now)))
            answers[wait.id] = Answer(
                by=person.name if person else f"event:{view.event.id}",
                at=now,
                via=view.event.provider,
                approved=heard.approved,
                answer=_encode(heard.answer),
                comment=heard.comment,
                event_id=view.event.id,
            )
        spoken = Spoken(
            ids=reply.ids | frozenset(proofs),
            conversations=reply.conversations,
            scopes=reply.scopes,
            workflows=frozenset(meant.workflows),
        )
        return choose(spoken, candidates), answers

    def _proofs(self, reply: Reply, found: Sequence[Wait], now: int) -> dict[str, str]:
        """Return the responder that a signed token vouches for, by the id of the wait."""
        proofs: dict[str, str] = {}
        by_id = {wait.id: wait for wait in found}
        for token in reply.tokens:
            link = links.read(token)
            wait = None if link is None else by_id.get(link.wait_id)
            if link is None or wait is None or self._vault is None:
                continue
            try:
                key = self._vault.open(wait.key, links.key_context(wait.tenant_id, wait.id))
            except Rejected:
                continue
            in_time = now < link.until or wait.status is not WaitStatus.OPEN
            if in_time and links.is_genuine(token, key) and link.tenant_id == wait.tenant_id:
                proofs[wait.id] = link.responder
        return proofs


def keys_of(reply: Reply) -> list[str]:
    """Return the keys under which a wait that is answered by such an event is stored."""
    found = sorted(reply.conversations)
    return found if reply.correlation is None else [*found, correlation_key(reply.correlation)]


def names_another(reply: Reply, wait_id: str) -> bool:
    """Return whether an event names waits, by id or token, and this one is not among them."""
    named = {*reply.ids, *(link.wait_id for token in reply.tokens if (link := links.read(token)))}
    return bool(named) and wait_id not in named


def correlation_key(value: str) -> str:
    """Return the key of a correlation value."""
    return f"x:{value}"


def _found(event: Event, view: EventView, reply: Reply, meant: Listening, now: int) -> Work[list[Wait]]:
    """Return every wait that the event may have to do with."""
    ids = sorted({*reply.ids, *(link.wait_id for token in reply.tokens if (link := links.read(token)))})
    found: dict[str, Wait] = {}
    for workflow_id in meant.workflows:
        for wait in (yield from waits.open_of(event.tenant_id, workflow_id)):
            found[wait.id] = wait
    expressions = {wait.request.correlate_by for wait in found.values() if wait.request.correlate_by}
    values = (correlation_of(view, expression, now) for expression in sorted(expressions))
    keys = [*keys_of(reply), *(correlation_key(value) for value in values if value is not None)]
    for wait in (yield from waits.by_keys(event.tenant_id, ids, keys)):
        found[wait.id] = wait
    return sorted(found.values(), key=lambda wait: wait.id, reverse=True)


def _correlated(view: EventView, wait: Wait, now: int) -> bool | None:
    wanted = wait.request.correlation
    if wanted is None:
        return None
    actual = correlation_of(view, wait.request.correlate_by or "event.data.correlation", now)
    return None if actual is None else actual == wanted


def _decided(one: Accepted, choice: Choice, by_id: dict[str, Wait], now: int) -> Accepted:
    """Put what was chosen into the decisions of the workflows concerned, and leave out the runs it replaces."""
    lines = [_predicate(line, by_id[line.wait_id]) for line in choice.lines[:LINES_MAX]]
    if choice.move is Move.NONE:
        concerned = {by_id[line.wait_id].workflow_id for line in choice.lines}
        return replace(one, decisions=[_noted(decision, lines, concerned) for decision in one.decisions])
    chosen = by_id[choice.wait_id or choice.between[0]]
    concerned = {chosen.workflow_id}
    if choice.move is Move.ASK:
        concerned = {by_id[wait_id].workflow_id for wait_id in choice.between}
    outcome, reason = _REASONS[choice.move]
    run_id = None if choice.move is Move.ASK else chosen.run_id
    given: dict[str, Any] = {"outcome": outcome, "reason": reason, "run_id": run_id}
    decisions, answered = [], False
    for decision in one.decisions:
        if decision.workflow_id in concerned and decision.outcome is Outcome.RUN_STARTED:
            decisions.append(replace(_noted(decision, lines, concerned), **given))
            answered = True
        else:
            decisions.append(decision)
    if not answered:
        own = Decision(
            tenant_id=one.event.tenant_id, event_id=one.event.id, trigger_id=chosen.trigger_id,
            workflow_id=chosen.workflow_id, decided_at=now, predicates=_encode(lines), **given,
        )  # fmt: skip
        decisions = [decision for decision in decisions if decision.trigger_id != chosen.trigger_id] + [own]
    return Accepted(
        one.event,
        decisions,
        [run for run in one.runs if run.workflow_id not in concerned],
        [ask for ask in one.asks if ask.compiled.trigger.workflow_id not in concerned],
    )


def _predicate(line: Line, wait: Wait) -> Predicate:
    state = "open" if wait.status is WaitStatus.OPEN else wait.status.value.lower()
    expected: Any = {"wait": wait.id, "run": wait.run_id, "job": wait.job_id, "state": state}
    return Predicate("wait", expected, line.level, line.chosen, line.note)


def _noted(decision: Decision, lines: Sequence[Predicate], concerned: set[str]) -> Decision:
    return with_lines(decision, lines) if decision.workflow_id in concerned else decision


def record_early(one: Wait, event: Event, choice: Choice, now: int) -> Work[None]:
    """Record that an event which came before its wait has answered it."""
    lines = [_predicate(line, one) for line in choice.lines]
    yield from intake.put_decision(
        Decision(
            tenant_id=one.tenant_id, event_id=event.id, trigger_id=one.trigger_id, workflow_id=one.workflow_id,
            outcome=Outcome.RUN_RESUMED, reason=Reason.WAIT_ANSWERED, decided_at=now, predicates=_encode(lines),
            run_id=one.run_id,
        )
    )  # fmt: skip


def pausing(changes: Sequence[RunChange]) -> Work[list[RunChange]]:
    """Return the changes with which a run begins to wait, before they are written.

    That a run waits is written once more when it leaves its process, a while after it has begun to.
    """
    found = []
    waits_now: dict[str, bool] = {}
    for change in changes:
        pauses = change.status is RunStatus.PAUSED
        if pauses and change.run_id not in waits_now:
            where = {"tenant": change.tenant_id, "run": change.run_id}
            rows = yield Sql("SELECT status FROM runs WHERE tenant_id = :tenant AND id = :run", where)
            waits_now[change.run_id] = any(status == RunStatus.PAUSED for (status,) in rows)
        if pauses and not waits_now[change.run_id]:
            found.append(change)
        waits_now[change.run_id] = pauses
    return found


def tell_pauses(begun: Sequence[RunChange], fenced: Collection[str], now: int) -> Work[None]:
    """Store the fact that the runs of `begun` wait for people from now on."""
    for change in begun:
        if change.run_id in fenced:
            continue
        rows = yield Sql(
            "SELECT workflow_id, workflow, version, trigger_type, started_at FROM runs "
            "WHERE tenant_id = :tenant AND id = :run",
            {"tenant": change.tenant_id, "run": change.run_id},
        )
        for workflow_id, workflow, version, trigger_type, started_at in rows:
            data = {
                "workflow_id": workflow_id, "workflow_name": workflow, "workflow_version": version,
                "run_id": change.run_id, "trigger_type": trigger_type, "started_at": to_iso(started_at or now),
            }  # fmt: skip
            fact = SystemEvent(
                tenant_id=change.tenant_id, type="run_paused", source=SOURCE_WAITS, subject=change.run_id, data=data
            )
            yield outbox.put(fact, now)
