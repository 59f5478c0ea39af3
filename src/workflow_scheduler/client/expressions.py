"""Values that exist only when a run does: `${…}` in the document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JOB_READ = re.compile(r"\b(?:jobs|steps)(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*[\"']([^\"']+)[\"']\s*\])")


class Ref:
    """A value of the run: `ref["field"]`, `ref.field` and `ref[0]` read parts of it, `str(ref)` is its `${…}`."""

    def __init__(self, expression: str) -> None:
        """Stand for a CEL expression."""
        self._expression = expression

    def __getitem__(self, key: str | int) -> Ref:
        if isinstance(key, str) and _NAME.fullmatch(key):
            return Ref(f"{self._expression}.{key}")
        return Ref(f"{self._expression}[{json.dumps(key)}]")

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Iterator[Any]:
        message = (
            f"what {self} holds is known when the workflow runs: hand it to `.map`, it cannot be iterated over here"
        )
        raise TypeError(message)

    def __bool__(self) -> bool:
        message = f"what {self} holds is known when the workflow runs: write `if_=`, it cannot be branched on here"
        raise TypeError(message)

    def __str__(self) -> str:
        return "${" + self._expression + "}"

    __repr__ = __str__


def cel(value: object) -> str:
    """Return the CEL text of a Ref, of `${…}` around a whole text, or of a text that is CEL already."""
    text = value._expression if isinstance(value, Ref) else str(value)  # noqa: SLF001 -- the same module's class
    return _without_marks(text).strip()


def _without_marks(text: str) -> str:
    """Return an expression in which `${a.b} == 1` has become `a.b == 1`."""
    parts: list[str] = []
    while (start := text.find("${")) >= 0:
        end = text.find("}", start)
        if end < 0:
            break
        inner = text[start + 2 : end].strip()
        is_path = re.fullmatch(r"[\w.\[\]\"']+", inner) is not None
        alone = not text[:start].strip() and not text[end + 1 :].strip() and not parts
        parts += [text[:start], inner if is_path or alone else f"({inner})"]
        text = text[end + 1 :]
    return "".join([*parts, text])


def plain(value: Any) -> Any:
    """Return a value as JSON has it, with every Ref as its `${…}`."""
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return value


def jobs_read(value: Any) -> list[str]:
    """Return the names of the jobs that a plain value's texts read, each once, in order."""
    found: dict[str, None] = {}
    _collect(value, found)
    return list(found)


def _collect(value: Any, found: dict[str, None]) -> None:
    if isinstance(value, str):
        found |= dict.fromkeys(match[1] or match[2] for match in _JOB_READ.finditer(value))
    elif isinstance(value, Mapping):
        for part in value.values():
            _collect(part, found)
    elif isinstance(value, list):
        for part in value:
            _collect(part, found)


def job_output(name: str) -> Ref:
    """Return the output of a job."""
    return Ref(f"jobs.{name}.output" if _NAME.fullmatch(name) else f"jobs[{json.dumps(name)}].output")
