"""What an import gives: definitions, and what of the file they do not express, each with its place in the file."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from workflow_scheduler.core.definition.document import Document, Path, dotted
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.time.dialects.entry import Imported

LOSSES_MAX = 1_000


class Loss(msgspec.Struct, frozen=True):
    """Something that could not be expressed: its path and line in the source file, and what becomes of it."""

    path: str
    message: str
    line: int | None = None


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow. `definition` is as in a definition file; definitions that it calls stand before it.

    `schedules` are its time triggers with the clock rules of the old system.
    """

    name: str
    source: str
    definition: dict[str, Any]
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()
    schedules: tuple[Imported, ...] = ()
    main: bool = True


class Report:
    """Collects losses, each once; `document` knows the lines."""

    def __init__(self, document: Document) -> None:
        """Start empty."""
        self._document = document
        self._found: dict[tuple[str, str], Loss] = {}

    def lost(self, path: Path, message: str) -> None:
        """Note that the value at `path` is not expressed; `message` says what becomes of it."""
        key = (dotted(path), message)
        if key not in self._found and len(self._found) < LOSSES_MAX:
            self._found[key] = Loss(*key, self._document.place(path, key=True)[0])

    def unread(self, value: Any, path: Path, known: frozenset[str], message: str = "it is not taken over") -> None:
        """Note every key of a mapping that is not in `known`."""
        for name in value if isinstance(value, dict) else ():
            if name not in known and value[name] not in (None, "", [], {}):
                self.lost((*path, name), message)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was noted, in the order of the file."""
        return tuple(sorted(self._found.values(), key=lambda one: (one.line or 0, one.path)))


class Refusal:
    """Collects what is wrong with a file, up to a bound."""

    def __init__(self, document: Document) -> None:
        """Start without errors."""
        self._document = document
        self.errors: list[FieldError] = []

    def add(self, path: Path, message: str) -> None:
        """Note that the value at `path` is wrong."""
        self.errors.append(self._document.issue(path, message))

    def settle(self) -> None:
        """Go on where nothing is wrong.

        Raises:
            ValidationFailed: something is; the first is in the text, all are in `errors`.

        """
        if self.errors:
            refuse(self.errors)


def refuse(errors: list[FieldError]) -> NoReturn:
    """Refuse a file.

    Raises:
        ValidationFailed: always.

    """
    first = errors[0]
    about = f"`{first.field}`: " if first.field else ""
    where = f"line {first.line}: " if first.line else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise ValidationFailed(f"{where}{about}{first.message}{more}", errors=errors)
