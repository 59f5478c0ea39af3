"""Names that workflows and jobs may have, made from the names of other systems."""

from __future__ import annotations

import hashlib

import re2

_OUTSIDE = re2.compile(r"[^A-Za-z0-9_-]+")
_WORKFLOW_OUTSIDE = re2.compile(r"[^a-z0-9_.-]+")
_LENGTH_MAX = 64
_WORKFLOW_MAX = 100
_DIGEST = 8


class Jobs:
    """Gives each task a job name of its own."""

    def __init__(self) -> None:
        """Start with no names taken."""
        self._taken: set[str] = set()

    def of(self, text: str) -> str:
        """Return a name made from `text`: what a name may not hold becomes `_`, long ones end in a digest."""
        name = _OUTSIDE.sub("_", text).strip("-") or "job"
        if not (name[0].isalpha() or name[0] == "_"):
            name = f"t_{name}"
        if len(name) > _LENGTH_MAX:
            digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
            name = f"{name[: _LENGTH_MAX - _DIGEST - 1]}_{digest}"
        base, number = name, 1
        while name in self._taken:
            number += 1
            name = f"{base[: _LENGTH_MAX - len(str(number)) - 1]}_{number}"
        self._taken.add(name)
        return name


def workflow_name(text: str) -> str:
    """Return a name for a workflow, made from `text`."""
    return _WORKFLOW_OUTSIDE.sub("-", text.lower()).strip("-._")[:_WORKFLOW_MAX].strip("-._") or "imported"


def plain(text: str) -> str:
    """Return a text for people on one line, without characters that cannot be stored or shown."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
