"""CEL expressions: compiled once with clear errors, evaluated within bounds, total over any JSON.

Google's runtime (`cel-expr-python`) does the work. Each set of variables has one environment with the standard
functions and the `strings` and `math` extensions. Integers beyond 64 bits count as floating point, as in JavaScript.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import re2
from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_strings

from workflow_scheduler.core.errors import FieldError, Rejected, ValidationFailed, did_you_mean
from workflow_scheduler.core.match import bounds, fast, syntax
from workflow_scheduler.core.match.lists import building
from workflow_scheduler.core.match.reading import TooCostly
from workflow_scheduler.core.time.clock import from_datetime, to_iso

JOB_VARIABLES = ("input", "event", "jobs", "steps", "env", "run", "item", "iteration")
EVENT_VARIABLES = ("event", "headers", "trigger", "now")

_CACHED_EXPRESSIONS = 10_000
_POSITION = re2.compile(r"<input>:(\d+):(\d+): (?:Syntax error: )?([^\n]*)")
_UNDECLARED = re2.compile(r"undeclared reference to '([^']*)'")
_NO_OVERLOAD = re2.compile(r"(?i)no matching overloads? (?:found : |for )(.*)")
_EXPECTING = re2.compile(r",? expecting \{.*")
_TIMESTAMPS = frozenset({"now"})


class Undefined(Exception):
    """The expression has no value for this data; the text says why."""


class Absent(Undefined):
    """A field that the expression reads is missing."""


class Expression:
    """A compiled expression. `text` is its source, `paths` are the variables' fields that it reads."""

    def __init__(self, text: str, variables: tuple[str, ...]) -> None:
        """Compile `text` over `variables`.

        Raises:
            ValidationFailed: not a valid expression; the field error carries line and column.

        """
        self.text = text
        self._program = _compile(text, variables)
        self.tree = syntax.read(self._program.serialize())
        self.kind: str = self._program.return_type().name()
        self._trie = bounds.trie_of(self.tree)
        self._growth = bounds.growth(self.tree)
        self._loops = bounds.has_loop(self.tree)
        self._builds = building(self.tree)
        self.paths = tuple(dict.fromkeys(path for path, _ in syntax.paths(self.tree)))
        self._path = syntax.path_of(self.tree)
        if self._growth > bounds.GROWTH_MAX:
            raise _invalid("the expression can build far more data than it reads; join or replace less", 1, 1)

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Return the value as plain JSON (times as ISO 8601 text, durations in seconds).

        Raises:
            Undefined: there is no value, for example because a field is missing.

        """
        if self._path is not None:
            found = fast.fetch(variables, self._path)
            if found is fast.MISSING:
                raise Absent(self._missing(variables) or f"`{self.text}` is missing")
            return _plain(found) if isinstance(found, (dt.datetime, dt.timedelta)) else found
        return _plain(self.run(variables))

    def run(self, variables: Mapping[str, Any]) -> Any:
        """Return the value as the CEL runtime gives it.

        Raises:
            Undefined: there is no value, for example because a field is missing.

        """
        try:
            chosen = bounds.select(variables, self._trie, growth=self._growth, loops=self._loops, builds=self._builds)
            answer = self._program.eval(data=chosen)
            if answer.type() == cel.Type.ERROR:
                raise self._undefined(str(answer.value()), variables)
            return answer.plain_value()
        except TooCostly as error:
            raise Undefined(str(error)) from None
        except (RuntimeError, ValueError, TypeError, OverflowError) as error:
            raise self._undefined(str(error), variables) from None

    def _undefined(self, message: str, variables: Mapping[str, Any]) -> Undefined:
        """Return a short sentence for the runtime's message, which may quote data and is therefore not passed on."""
        if "Key not found" in message or "No value with name" in message or "non-message type" in message:
            return Absent(self._missing(variables) or "a field that the expression reads is missing")
        return Undefined(self._explain(message))

    def _explain(self, message: str) -> str:
        overload = _NO_OVERLOAD.search(message)
        if overload is not None:
            return f"no such operation: {overload[1][:100]}"
        if "Iteration budget" in message:
            return f"the expression takes more than {bounds.STEPS_MAX} steps on this data"
        for known in ("divide by zero", "modulus by zero", "overflow", "Index error"):
            if known in message:
                return known.lower()
        return "the expression has no value for this data"

    def _missing(self, variables: Mapping[str, Any]) -> str | None:
        for path in self.paths:
            for length in range(1, len(path) + 1):
                if fast.fetch(variables, path[:length]) is fast.MISSING:
                    return f"`{'.'.join(path[:length])}` is missing"
        return None


@lru_cache(_CACHED_EXPRESSIONS)
def compile_expression(text: str, variables: tuple[str, ...] = JOB_VARIABLES) -> Expression:
    """Return the compiled expression, from a bounded cache.

    Raises:
        ValidationFailed: not a valid expression; the field error carries line and column.

    """
    return Expression(text, variables)


def evaluate(text: str, variables: Mapping[str, Any], names: tuple[str, ...] = JOB_VARIABLES) -> Any:
    """Return the value of an expression as plain JSON.

    Raises:
        ValidationFailed: not a valid expression.
        Rejected: the expression has no value for this data; the text says why.

    """
    try:
        return compile_expression(text, names).value(variables)
    except Undefined as error:
        raise Rejected(f"`{text}` has no value: {error}.") from None


@lru_cache(32)
def _environment(variables: tuple[str, ...]) -> Any:
    types = {name: cel.Type.TIMESTAMP if name in _TIMESTAMPS else cel.Type.DYN for name in variables}
    return cel.NewEnv(variables=types, extensions=[ext_strings.ExtStrings(), ext_math.ExtMath()])


def _compile(text: str, variables: tuple[str, ...]) -> Any:
    if not text.strip():
        raise _invalid("the expression is empty", 1, 1)
    if len(text) > bounds.TEXT_CHARS_MAX:
        raise _invalid(f"the expression is longer than {bounds.TEXT_CHARS_MAX} characters", 1, 1)
    if "\x00" in text or not _is_unicode(text):
        raise _invalid("the expression holds a character that is not text", 1, 1)
    try:
        return _environment(variables).compile(text)
    except RuntimeError as error:
        raise _first_problem(str(error), text, variables) from None


def _first_problem(message: str, text: str, variables: tuple[str, ...]) -> ValidationFailed:
    found = _POSITION.search(message)
    if found is None:
        deep = "recursion" in message
        return _invalid("the expression is nested too deep" if deep else "the expression cannot be read", 1, 1)
    line, column, problem = int(found[1]), int(found[2]), str(found[3])
    problem = _EXPECTING.sub("", problem).replace("<EOF>", "end").removesuffix(" [INVALID_ARGUMENT]")
    undeclared = _UNDECLARED.search(problem)
    suggestion = None
    if undeclared is not None:
        name = str(undeclared[1])
        root = name.split(".", maxsplit=1)[0]
        suggestion = did_you_mean(root, variables)
        begin = text.split("\n")[line - 1].rfind(root, 0, column) if line <= text.count("\n") + 1 else -1
        column = begin + 1 if begin >= 0 else column
        hint = f", did you mean `{suggestion}`?" if suggestion else f"; known are {', '.join(variables)}"
        problem = f"unknown name `{name}`{hint}"
    return _invalid(problem, line, column, suggestion)


def _invalid(problem: str, line: int, column: int, suggestion: str | None = None) -> ValidationFailed:
    where = FieldError("expression", problem, line=line, column=column, suggestion=suggestion)
    text = problem if problem.endswith("?") else f"{problem}."
    return ValidationFailed(f"The expression is not valid (line {line}, column {column}): {text}", errors=[where])


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return _plain_special(value)


def _plain_special(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return to_iso(from_datetime(aware))
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
