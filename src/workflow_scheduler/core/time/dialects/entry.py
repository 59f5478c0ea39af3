"""What is read from another system's file: an entry with its trigger, its job, and the old system's clock rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn, TypeAlias

import msgspec
import re2

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.time.fire import Calendar
from workflow_scheduler.core.time.zone import Gap, Overlap

_OUTSIDE = re2.compile(r"[^a-z0-9]+")
_NAME_MAX = 60


class Rules(NamedTuple):
    """What the old system does at clock changes; `always`: with every expression, not with fixed times only."""

    gap: Gap = "after"
    overlap: Overlap = "first"
    always: bool = False


Before: TypeAlias = Callable[[int], int | None]
"""The instant at which the old system fires next after an instant at which it fired; both in microseconds."""


class Imported(msgspec.Struct, frozen=True):
    """An entry that could be read. `trigger`, `jobs` and `more` are as in a definition file; `source` is the old text.

    `rules` is how settings come closest to the old system. Where they do not say all of it, `before` does.
    """

    name: str
    source: str
    trigger: dict[str, Any]
    jobs: dict[str, Any]
    rules: Rules
    notes: list[str]
    line: int | None = None
    more: dict[str, Any] = {}
    before: Before | None = None


class Unread(msgspec.Struct, frozen=True):
    """An entry that cannot be taken over, its line where the file has lines, and why."""

    source: str
    message: str
    line: int | None = None


class Everywhere:
    """A calendar that counts as one of fixed times, whatever its expression: some systems know no other kind."""

    fixed = True

    def __init__(self, calendar: Calendar) -> None:
        """Take the wall times of `calendar`."""
        self._calendar = calendar

    def next_local(self, wall: int) -> int | None:
        """Return the first matching wall time at or after `wall`, in seconds."""
        return self._calendar.next_local(wall)

    def count_local(self, start: int, stop: int) -> int:
        """Return how many wall times in [start, stop) match."""
        return self._calendar.count_local(start, stop)


class Names:
    """Gives each entry a name of its own that a workflow may have."""

    def __init__(self) -> None:
        """Start with no names taken."""
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """Return a name made from `text`."""
        base = _OUTSIDE.sub("-", text.lower()).strip("-")[:_NAME_MAX].strip("-") or "imported"
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name


def literal(text: str) -> str:
    """Return a text in which `${` stands for itself in a definition."""
    return text.replace("${", "$${")


def because(error: ValidationFailed) -> str:
    """Return why an expression was refused, in one line."""
    return "; ".join(dict.fromkeys(one.message for one in error.errors)) or error.detail


def every_entry(found: Iterable[Imported | Unread]) -> tuple[list[Imported], list[Unread]]:
    """Return the entries that could be read and those that could not."""
    read: list[Imported] = []
    unread: list[Unread] = []
    for one in found:
        if isinstance(one, Imported):
            read.append(one)
        else:
            unread.append(one)
    return read, unread


def refuse(message: str) -> NoReturn:
    """Refuse a schedule.

    Raises:
        ValidationFailed: always, with `message`.

    """
    raise ValidationFailed(message, errors=[FieldError("schedule", message)])


def single(job: dict[str, Any]) -> dict[str, Any]:
    """Return the jobs of a workflow that has only one."""
    return {"run": job}
