"""The ladder: which of several paused jobs an event answers, and why not the others.

Levels, best first; the first one on which a wait stands decides:

- L1: the event names the wait (its interaction id, or a signed token).
- L2: the event belongs to the same conversation (thread, reply to the same mail, same issue).
- L3: the correlation values are equal.
- L4: same workflow, same channel, a responder who may answer, a valid answer, and exactly one open wait.
- L5: only for waits without any channel or correlation: the one whose run started last.

What contradicts a wait on one level excludes it on every lower level. Two waits on the best level are never guessed
between: their `ambiguous` says what becomes of the event. All of this is pure: the caller has looked everything up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from workflow_scheduler.core.model.wait import Ambiguous

LEVELS: Final = ("L1", "L2", "L3", "L4", "L5")


class Move(StrEnum):
    """What becomes of the event: it answers a wait, is kept for a person to look at, came too late, or is no answer."""

    RESUME = "resume"
    ASK = "ask"
    LATE = "late"
    NONE = "none"


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says about where it belongs. `workflows` are those of which it matched a trigger that may resume.

    `ids` are the waits that it names; `conversations` and `scopes` are written as in core.model.wait.Channel.
    """

    ids: frozenset[str] = frozenset()
    conversations: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    workflows: frozenset[str] = frozenset()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A wait as the ladder sees it, for one event.

    `correlated` is None where wait or event have no correlation value. `allowed` is None where the event does not say
    who answers and the wait does not take everybody. `flaw` says why what the event holds is no valid answer.
    """

    id: str
    workflow_id: str
    opened_at: int
    started_at: int
    conversations: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    correlates: bool = False
    correlated: bool | None = None
    allowed: bool | None = True
    flaw: str | None = None
    ambiguous: Ambiguous = "ask"
    closed: bool = False

    @property
    def bare(self) -> bool:
        """Whether it has neither channel nor correlation."""
        return not (self.conversations or self.scopes or self.correlates)


class Line(msgspec.Struct, frozen=True):
    """Why a wait was chosen, or was not. `level` is where that was decided."""

    wait_id: str
    level: str
    chosen: bool
    note: str


class Choice(msgspec.Struct, frozen=True):
    """The result: the move, the wait that it concerns, and one line for each wait that was looked at.

    `between` are the waits of which nobody guesses which one is meant.
    """

    move: Move
    wait_id: str | None = None
    level: str | None = None
    lines: tuple[Line, ...] = ()
    between: tuple[str, ...] = ()


_Test = Callable[[Spoken, Candidate], bool]
_Objection = Callable[[Spoken, Candidate], str | None]


def choose(spoken: Spoken, waits: Sequence[Candidate]) -> Choice:
    """Return which of `waits` the event answers. Closed ones are there to tell that an answer came too late."""
    left = [wait for wait in waits if not wait.closed]
    lines: list[Line] = []
    for level, holds, objects in _STEPS:
        standing = [wait for wait in left if holds(spoken, wait)]
        refused = {wait.id: reason for wait in standing if (reason := _refusal(wait)) is not None}
        lines += [Line(wait_id, level, False, reason) for wait_id, reason in refused.items()]  # noqa: FBT003
        able = [wait for wait in standing if wait.id not in refused]
        if able:
            return _decide(level, able, left, lines)
        rest = []
        for wait in left:
            objection = None if wait.id in refused else objects(spoken, wait)
            if objection is not None:
                lines.append(Line(wait.id, level, False, objection))  # noqa: FBT003
            elif wait.id not in refused:
                rest.append(wait)
        left = rest
    lines += [Line(wait.id, "L5", False, "nothing connects the event with it") for wait in left]  # noqa: FBT003
    return _late(spoken, waits, lines)


def _decide(level: str, able: list[Candidate], left: list[Candidate], lines: list[Line]) -> Choice:
    chosen, policy = _one_of(level, able)
    others = [wait for wait in left if wait is not chosen and not any(line.wait_id == wait.id for line in lines)]
    stood = {wait.id for wait in able}
    for wait in others:
        note = "another wait on the same level was taken" if wait.id in stood else "another wait stands higher"
        if chosen is None and wait.id in stood:
            note = f"{len(able)} waits stand on this level, and `ambiguous` is {policy}"
        lines.append(Line(wait.id, level, False, note))  # noqa: FBT003
    if chosen is not None:
        note = _WHY[level] if len(able) == 1 else f"{_WHY[level]}; {policy} of {len(able)}"
        return Choice(Move.RESUME, chosen.id, level, (Line(chosen.id, level, True, note), *lines))  # noqa: FBT003
    move = Move.NONE if policy == "start_new" else Move.ASK
    return Choice(move, None, level, tuple(lines), tuple(wait.id for wait in able))


def _one_of(level: str, able: list[Candidate]) -> tuple[Candidate | None, str]:
    """Return the wait to take, None where nobody may guess, and the policy that said so."""
    if len(able) == 1:
        return able[0], ""
    if level == "L5":
        latest = max(wait.started_at for wait in able)
        able = [wait for wait in able if wait.started_at == latest]
        if len(able) == 1:
            return able[0], "the latest start"
    policies = {wait.ambiguous for wait in able}
    policy: str = policies.pop() if len(policies) == 1 else "ask"
    if policy == "newest":
        return max(able, key=lambda wait: (wait.opened_at, wait.id)), policy
    if policy == "oldest":
        return min(able, key=lambda wait: (wait.opened_at, wait.id)), policy
    return None, policy


def _late(spoken: Spoken, waits: Sequence[Candidate], lines: list[Line]) -> Choice:
    """Return the choice where no open wait was found: too late, when it would have answered a closed one."""
    left = [wait for wait in waits if wait.closed and _refusal(wait) is None]
    for level, holds, objects in _STEPS[:2]:
        standing = [wait for wait in left if holds(spoken, wait)]
        if standing:
            wait = max(standing, key=lambda one: (one.opened_at, one.id))
            line = Line(wait.id, level, False, "it was closed before the answer came")  # noqa: FBT003
            return Choice(Move.LATE, wait.id, level, (line, *lines))
        left = [wait for wait in left if objects(spoken, wait) is None]
    return Choice(Move.NONE, None, None, tuple(lines))


def _refusal(wait: Candidate) -> str | None:
    if wait.allowed is None:
        return "the event does not say who answers"
    if not wait.allowed:
        return "whoever answers is not one of its responders"
    return wait.flaw


def _named(spoken: Spoken, wait: Candidate) -> bool:
    return wait.id in spoken.ids


def _names_another(spoken: Spoken, wait: Candidate) -> str | None:
    return "the event names another wait" if spoken.ids and wait.id not in spoken.ids else None


def _same_conversation(spoken: Spoken, wait: Candidate) -> bool:
    return not wait.conversations.isdisjoint(spoken.conversations)


def _other_conversation(spoken: Spoken, wait: Candidate) -> str | None:
    if _differ(spoken.conversations, wait.conversations):
        return "the event belongs to another conversation"
    if _differ(spoken.scopes, wait.scopes):
        return "the event comes from another channel"
    return None


def _differ(one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether both speak of the same kind of thing, and of no common one."""
    return bool(_kinds(one) & _kinds(other)) and one.isdisjoint(other)


def _kinds(facts: frozenset[str]) -> set[str]:
    return {fact.partition(":")[0] for fact in facts}


def _correlated(_spoken: Spoken, wait: Candidate) -> bool:
    return wait.correlated is True


def _other_correlation(_spoken: Spoken, wait: Candidate) -> str | None:
    return "the correlation values differ" if wait.correlated is False else None


def _same_scope(spoken: Spoken, wait: Candidate) -> bool:
    return wait.workflow_id in spoken.workflows and not wait.scopes.isdisjoint(spoken.scopes)


def _same_workflow(spoken: Spoken, wait: Candidate) -> bool:
    return wait.bare and wait.workflow_id in spoken.workflows


def _nothing(_spoken: Spoken, _wait: Candidate) -> str | None:
    return None


_WHY: Final = {
    "L1": "the event names it",
    "L2": "same conversation",
    "L3": "equal correlation",
    "L4": "the only open wait of the workflow in this channel",
    "L5": "the run that started last",
}
_STEPS: Final[tuple[tuple[str, _Test, _Objection], ...]] = (
    ("L1", _named, _names_another),
    ("L2", _same_conversation, _other_conversation),
    ("L3", _correlated, _other_correlation),
    ("L4", _same_scope, _nothing),
    ("L5", _same_workflow, _nothing),
)
