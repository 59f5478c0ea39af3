"""Plain values in the source of a DAG file, read from its syntax tree; nothing of the file is ever executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

_SPANS = frozenset({"weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"})
_POSITIONS = ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks")
_DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")
_ZONE_NAMES = frozenset({"timezone", "Timezone", "ZoneInfo"})


class Unknown:
    """What cannot be read without running the file."""


UNKNOWN: Final = Unknown()


class Moment(NamedTuple):
    """A date-time as written, and its zone where it names one."""

    wall: datetime
    timezone: str | None


class Made(NamedTuple):
    """A call that is not a plain value, such as `CronTriggerTimetable(…)`."""

    name: str
    args: list[Any]
    named: dict[str, Any]


class Values:
    """Reads expressions; names stand for what the file assigned to them last."""

    def __init__(self, statements: Iterable[ast.stmt]) -> None:
        """Take the assignments among `statements`."""
        self._names: dict[str, Any] = {}
        for one in statements:
            if isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name):
                self._names[one.targets[0].id] = self.of(one.value)

    def of(self, node: ast.expr | None) -> Any:
        """Return the value of an expression, or `UNKNOWN`."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._names.get(node.id, UNKNOWN)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.of(one) for one in node.elts]
        if isinstance(node, ast.Dict):
            return {str(self.of(key)): self.of(value) for key, value in zip(node.keys, node.values, strict=True)}
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self.of(node.operand)
            return -number if isinstance(number, (int, float)) else UNKNOWN
        return self._call(node) if isinstance(node, ast.Call) else UNKNOWN

    def named(self, call: ast.Call) -> dict[str, Any]:
        """Return the keyword arguments of a call."""
        return {one.arg: self.of(one.value) for one in call.keywords if one.arg}

    def _call(self, node: ast.Call) -> Any:
        name = name_of(node.func).rpartition(".")[2]
        args, named = [self.of(one) for one in node.args], self.named(node)
        try:
            if name in {"timedelta", "duration"}:
                return _span(args, named)
            if name in {"datetime", "DateTime"}:
                return _moment(args, named)
            if name == "parse" and args and isinstance(args[0], str):
                return Moment(datetime.fromisoformat(args[0]).replace(tzinfo=None), _zone(named))
        except (TypeError, ValueError, OverflowError):
            return UNKNOWN
        if name in _ZONE_NAMES and args and isinstance(args[0], str):
            return args[0]
        return Made(name, args, named)


def name_of(node: ast.expr) -> str:
    """Return a dotted name, or an empty text for another expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return name_of(node.func) if isinstance(node, ast.Call) else ""


def is_plain(value: Any) -> bool:
    """Return whether a value is JSON."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, (Moment, Made)):
        return False
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _span(args: list[Any], named: dict[str, Any]) -> Any:
    if not set(named) <= _SPANS:
        return UNKNOWN
    return timedelta(**dict(zip(_POSITIONS, args, strict=False)), **named)


def _moment(args: list[Any], named: dict[str, Any]) -> Any:
    parts = dict(zip(_DATE_PARTS, args, strict=False)) | {name: named[name] for name in _DATE_PARTS if name in named}
    timezone = _zone(named)
    if timezone is None and len(args) > len(_DATE_PARTS) and isinstance(args[-1], str):
        timezone = args[-1]
    return Moment(datetime(**parts), timezone)  # noqa: DTZ001 -- the zone is kept beside the wall time


def _zone(named: dict[str, Any]) -> str | None:
    found = named.get("tz") or named.get("tzinfo") or named.get("timezone")
    return found if isinstance(found, str) else None
