"""Which paused execution of an engine elsewhere an event answers, of those that this service did not start.

Of the ladder (core/match/ladder.py) only the first and the last level apply: nothing is known about such an execution
but what the engine tells.

- L1: the event names what it asks for (`interaction_id`), and no other one asks for that.
- L5: the one that started last. One that asks for something else than the event names is left out, and two that started
  at the same instant are not guessed between.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.ports.engine import Standing
from workflow_scheduler.core.time.clock import to_iso

LINE = "execution"
LINES_MAX = 20


class Adopted(msgspec.Struct, frozen=True):
    """The execution to let go on, and what it is told to be answered; None where there is none. `lines` say why."""

    execution_id: str | None
    interaction_id: str | None
    lines: tuple[Predicate, ...]


def adopt(named: Collection[str], standing: Sequence[Standing]) -> Adopted:
    """Choose among paused executions for an event that names the interactions `named`."""
    notes: dict[str, tuple[str, str]] = {}
    asking = [one for one in standing if not set(named).isdisjoint(one.interactions)]
    chosen, level = asking[0] if len(asking) == 1 else None, "L1"
    if len(asking) > 1:
        notes |= {one.id: ("L1", "several executions ask for what the event names") for one in asking}
    elif chosen is None:
        left = [one for one in standing if not (named and one.interactions)]
        notes |= {one.id: ("L1", "the event names another interaction") for one in standing if one not in left}
        chosen, level = _latest(left), "L5"
        if chosen is None:
            notes |= {one.id: ("L5", "several executions started at the same instant") for one in left}
    lines = []
    for one in sorted(standing, key=lambda other: (other is not chosen, -(other.started_at or 0), other.id)):
        at, note = notes.get(
            one.id, (level, "another execution stands higher" if level == "L1" else "an earlier start")
        )
        if one is chosen:
            note = "the event names what it asks for" if level == "L1" else "the paused execution that started last"
        lines.append(_line(one, at, one is chosen, note))
    if chosen is None:
        return Adopted(None, None, tuple(lines[:LINES_MAX]))
    return Adopted(chosen.id, interaction_of(chosen, named), tuple(lines[:LINES_MAX]))


def _latest(standing: Sequence[Standing]) -> Standing | None:
    if not standing:
        return None
    latest = max(one.started_at or 0 for one in standing)
    found = [one for one in standing if (one.started_at or 0) == latest]
    return found[0] if len(found) == 1 else None


def interaction_of(chosen: Standing, named: Collection[str]) -> str | None:
    """Return what is answered: what the event names, else the one thing that the execution asks for."""
    asked = chosen.interactions
    known = [one for one in asked if one in named] if named else list(asked)
    if asked:
        return known[0] if len(known) == 1 else None
    return min(named) if named else None


def _line(one: Standing, level: str, chosen: bool, note: str) -> Predicate:
    started = None if one.started_at is None else to_iso(one.started_at)
    return Predicate(LINE, {"execution": one.id, "started_at": started}, level, chosen, note)
