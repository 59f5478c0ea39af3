"""What an Argo task waits for: `dependencies`, or the expression in `depends`, as needs, `run_if` and `if`.

A name stands for a task that succeeded or was skipped, `NAME.Status` for one status. What our rules say as well is
written with them; everything else waits for all tasks that are named and compares their statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import re2

_TOKEN = re2.compile(r"\s*(?:(&&|\|\||[()!])|([A-Za-z0-9_-]+)(?:\.([A-Za-z]+))?)")
_STATUSES = {
    "Succeeded": ("SUCCEEDED",),
    "Failed": ("FAILED", "CANCELLED"),
    "Errored": ("FAILED", "CANCELLED"),
    "Skipped": ("SKIPPED",),
    "Omitted": ("SKIPPED",),
    "Daemoned": ("SUCCEEDED",),
}
_DEFAULT = ("SUCCEEDED", "SKIPPED")
_GROUP_STATUSES = {"AnySucceeded", "AllFailed"}


class Waiting(msgspec.Struct, frozen=True):
    """Fields of a job; `condition` compares statuses, `unknown` are names of no task, `unsaid` is what is lost."""

    fields: dict[str, Any]
    condition: str | None = None
    unknown: tuple[str, ...] = ()
    unsaid: str | None = None


def waiting(text: str, jobs: Mapping[str, str], skippable: frozenset[str]) -> Waiting:
    """Return what `depends` means; `jobs` are job names by task, `skippable` the tasks that may be skipped."""
    parts = _parts(text)
    if parts is None:
        return Waiting({}, unsaid=f"`{text}` cannot be read; the task waits for nothing")
    names = [name for sign, name, _ in parts if not sign]
    unknown = tuple(name for name in dict.fromkeys(names) if name not in jobs)
    if unknown:
        return Waiting({}, unknown=unknown)
    fields: dict[str, Any] = {"needs": _needs(names, jobs)}
    groups = [status for _, _, status in parts if status in _GROUP_STATUSES]
    if groups:
        return Waiting(fields, unsaid=f"`.{groups[0]}` of a mapped task is read as its own status")
    rule = _rule(parts, names, skippable)
    if rule is None:
        return Waiting({**fields, "run_if": "all_done"}, "".join(_said(one, jobs) for one in parts))
    return Waiting({**fields, **({"run_if": rule} if rule != "all_success" else {})})


def _rule(parts: list[tuple[str, str, str | None]], names: list[str], skippable: frozenset[str]) -> str | None:
    """Return the rule that says the same, None where none does."""
    signs = {sign for sign, _, _ in parts if sign}
    statuses = {status for sign, _, status in parts if not sign}
    success = statuses <= {None, "Succeeded"} and (not skippable.intersection(names) or statuses == {"Succeeded"})
    failure = statuses <= {"Failed", "Errored"}
    if signs <= {"&&"} and (success or failure):
        return "all_success" if success else "all_failed"
    if signs <= {"||"} and (success or failure):
        return "at_least_one_success" if success else "at_least_one_failed"
    return None


def _needs(names: list[str], jobs: Mapping[str, str]) -> list[str]:
    return [jobs[name] for name in dict.fromkeys(names)]


def _parts(text: str) -> list[tuple[str, str, str | None]] | None:
    found, end = [], 0
    for one in _TOKEN.finditer(text):
        if text[end : one.start()].strip():
            return None
        if one[3] and one[3] not in _STATUSES and one[3] not in _GROUP_STATUSES:
            return None
        found.append((one[1] or "", one[2] or "", one[3]))
        end = one.end()
    return None if text[end:].strip() or not _is_whole(found) else found


def _is_whole(parts: list[tuple[str, str, str | None]]) -> bool:
    """Return whether operands and signs alternate as they must, and brackets are closed."""
    depth, wants_operand = 0, True
    for sign, _, _ in parts:
        if sign in {"(", "!"}:
            if not wants_operand:
                return False
            depth += sign == "("
        elif sign == ")":
            depth -= 1
            if wants_operand or depth < 0:
                return False
        else:
            if wants_operand == bool(sign):
                return False
            wants_operand = not wants_operand
    return depth == 0 and not wants_operand


def _said(part: tuple[str, str, str | None], jobs: Mapping[str, str]) -> str:
    sign, name, status = part
    if sign:
        return f" {sign} " if sign in {"&&", "||"} else sign
    place = f"jobs[{msgspec.json.encode(jobs[name]).decode()}].status"
    wanted = _DEFAULT if status is None else _STATUSES[status]
    return f'{place} == "{wanted[0]}"' if len(wanted) == 1 else f"({place} in {msgspec.json.encode(wanted).decode()})"
