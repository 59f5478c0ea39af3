"""A parsed text: plain JSON values, and where in the text each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import DefinitionInvalid, FieldError

Path = tuple[str | int, ...]
Place = tuple[int, int]

TEXT_BYTES_MAX = 1_000_000
DEPTH_MAX = 50
NODES_MAX = 200_000
INTEGER_BITS = 63


def dotted(path: Path) -> str:
    """Return a path as users read it: `jobs.load.needs[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Places(msgspec.Struct, frozen=True):
    """Where keys and values stand, by their path; lines and columns count from 1."""

    keys: Mapping[Path, Place] = {}
    values: Mapping[Path, Place] = {}


class Origin(msgspec.Struct, frozen=True):
    """Where the parts of a converted document stood in what was written.

    `whole` maps the path of one value, `inside` the beginning of the paths of all that is below it.
    """

    value: Any
    whole: dict[Path, Path] = {}
    inside: dict[Path, Path] = {}

    def of(self, path: Path) -> Path:
        """Return the path, in what was written, of the value at `path` in the converted document."""
        if path in self.whole:
            return self.whole[path]
        for cut in range(len(path), 0, -1):
            if path[:cut] in self.inside:
                return self.inside[path[:cut]] + path[cut:]
        return path


class Document(msgspec.Struct, frozen=True):
    """One document of a text. `places` is computed on demand, since most documents have no mistakes.

    `origin` is there when `value` was converted from another form; issues then name what was written.
    """

    value: Any
    find_places: Callable[[], Places]
    errors: tuple[FieldError, ...] = ()
    origin: Origin | None = None

    def place(self, path: Path, *, key: bool = False) -> tuple[int | None, int | None]:
        """Return line and column of what was written at `path` (or of its key); of the nearest parent that has one."""
        places = self.find_places()
        first = places.keys if key else places.values
        if path in first:
            return first[path]
        while path:
            if path in places.values:
                return places.values[path]
            path = path[:-1]
        return places.values.get((), (None, None))

    def issue(self, path: Path, message: str, *, key: bool = False, suggestion: str | None = None) -> FieldError:
        """Return the error `message` about the value (or the key) at `path`."""
        path = path if self.origin is None else self.origin.of(path)
        line, column = self.place(path, key=key)
        return FieldError(dotted(path), message, line=line, column=column, suggestion=suggestion)


def plain_document(value: Any) -> Document:
    """Return a document for a value that came without text, for example decoded from a request."""
    nowhere = Places()
    return Document(value, lambda: nowhere)


def text_error(message: str, line: int | None = None, column: int | None = None) -> FieldError:
    """Return an error about the text itself."""
    return FieldError("", message, line=line, column=column)


def line_and_column(text: str, index: int) -> Place:
    """Return where the character at `index` stands."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def invalid(errors: Sequence[FieldError]) -> DefinitionInvalid:
    """Return the error that carries all `errors`, in the order of their lines."""
    ordered = sorted(errors, key=lambda error: (error.line or 0, error.column or 0))
    first = ordered[0]
    where = f"line {first.line}, column {first.column}: " if first.line else ""
    about = f"`{first.field}`: " if first.field else ""
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return DefinitionInvalid(f"{where}{about}{first.message}{more}", errors=ordered)
