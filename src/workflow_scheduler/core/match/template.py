"""`${…}` in job configurations: parsed once when the workflow is compiled, filled in when a job starts.

- A text that is exactly one `${expression}` becomes the expression's value with its type.
- In longer texts each `${…}` is replaced by its value: text as it is, everything else as JSON (`true`, `3`, `{"a":1}`).
- `$${` stands for a literal `${`.
- Expressions are CEL over `input event jobs steps env run`, in repeated jobs also `item` and `iteration`; `steps` is
  another name for `jobs`.
- In shell commands each value is quoted for the place it stands in (see `core.match.shell`); in HTML it is escaped.

A template without `${` is `static`: its value is ready and costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any, TypeAlias

import msgspec

from workflow_scheduler.core.errors import FieldError, Rejected, ValidationFailed
from workflow_scheduler.core.match.condition import (
    JOB_VARIABLES,
    Condition,
    Undefined,
    compile_condition,
    compile_expression,
)
from workflow_scheduler.core.match.shell import Place, Scanner, quote

_encode = msgspec.json.encode
DEPTH_MAX = 100
_QUOTES = "'\""
Filler: TypeAlias = Callable[[Mapping[str, Any]], Any]


class Use(msgspec.Struct, frozen=True, gc=False):
    """One expression of a template: the field that holds it, and the paths of variables that it reads."""

    field: str
    paths: tuple[tuple[str, ...], ...]


class Template:
    """A parsed value. `value` is what a static one is; of another one it is the source, for display only."""

    __slots__ = ("_fill", "static", "uses", "value")

    def __init__(self, value: Any, fill: Filler | None, uses: Sequence[Use] = ()) -> None:
        """Keep the source and, unless it is static, the function that fills it in and what that one reads."""
        self.value = value
        self.static = fill is None
        self.uses = tuple(uses)
        self._fill = fill

    def render(self, variables: Mapping[str, Any]) -> Any:
        """Return the value for `variables`.

        Raises:
            Rejected: an expression has no value; the text names field and expression.

        """
        return self.value if self._fill is None else self._fill(variables)


EMPTY = Template({}, None)


class _Findings:
    """What parsing comes across: what is wrong, and which expressions there are."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.uses: list[Use] = []


def parse(
    value: Any,
    field: str,
    *,
    shell_fields: Sequence[str] = (),
    raw_fields: Sequence[str] = (),
    html_fields: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> Template:
    """Parse every text inside `value`, which is plain JSON; `field` is its name in messages.

    `names` holds other names for entries of an object that stand somewhere else in the file. The entries that are
    named in `shell_fields` are shell commands, in which values are quoted; those in `html_fields` are HTML, in which
    they are escaped; those in `raw_fields` are program text and stay as they are, because no quoting is safe there.

    Raises:
        ValidationFailed: expressions that do not parse; one field error each.

    """
    findings = _Findings()
    if isinstance(value, dict):
        verbatim = {key: one for key, one in value.items() if key in raw_fields}
        value = {key: one for key, one in value.items() if key not in verbatim}
        names = names or {}
        parts = {
            key: _parse(
                one, names.get(key, f"{field}.{key}"), findings, shell=key in shell_fields, html=key in html_fields
            )
            for key, one in value.items()
        }
        fill = _with(_object(parts, value), verbatim)
        value = _unescape(value) | verbatim
    else:
        fill = _parse(value, field, findings, shell=False)
        value = value if fill else _unescape(value)
    if errors := findings.errors:
        raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)
    return Template(value, fill, findings.uses)


def check(text: str, field: str) -> Condition:
    """Compile the `if` of a job.

    Raises:
        ValidationFailed: not a condition; the error names `field`.

    """
    try:
        return compile_condition(text, JOB_VARIABLES)
    except ValidationFailed as error:
        raise ValidationFailed(error.detail, errors=_renamed(error, field)) from None


def _renamed(error: ValidationFailed, field: str) -> list[FieldError]:
    """Return the errors of an expression under the field that holds it; places inside the expression go to the text."""
    found = []
    for one in error.errors:
        place = f" (character {one.column} of the expression)" if one.column else ""
        found.append(FieldError(field, one.message + place, suggestion=one.suggestion))
    return found or [FieldError(field, error.detail)]


def _parse(
    value: Any, field: str, findings: _Findings, *, shell: bool, html: bool = False, depth: int = 0
) -> Filler | None:
    if isinstance(value, str):
        return _text(value, field, findings, shell=shell, html=html) if "${" in value else None
    if not isinstance(value, (dict, list, tuple)):
        return None
    if depth >= DEPTH_MAX:
        findings.errors.append(FieldError(field, f"nested deeper than {DEPTH_MAX} levels"))
        return None
    below = partial(_parse, findings=findings, shell=shell, html=html, depth=depth + 1)
    if isinstance(value, dict):
        return _object({key: below(one, f"{field}.{key}") for key, one in value.items()}, value)
    return _list([below(one, f"{field}[{place}]") for place, one in enumerate(value)], value)


def _object(parts: dict[str, Filler | None], source: dict[str, Any]) -> Filler | None:
    if not any(parts.values()):
        return None
    fixed = {key: _unescape(source[key]) for key, fill in parts.items() if fill is None}
    return lambda variables: {key: fixed[key] if fill is None else fill(variables) for key, fill in parts.items()}


def _list(items: list[Filler | None], source: Sequence[Any]) -> Filler | None:
    if not any(items):
        return None
    fixed = [_unescape(one) for one in source]
    return lambda variables: [
        fixed[place] if fill is None else fill(variables) for place, fill in enumerate(items)
    ]  # fmt: skip


def _with(fill: Filler | None, verbatim: dict[str, Any]) -> Filler | None:
    if fill is None or not verbatim:
        return fill
    return lambda variables: fill(variables) | verbatim


def _unescape(value: Any) -> Any:
    """Return `value` with `$${` as `${` everywhere; a value without it is returned as it is."""
    if isinstance(value, str):
        return value.replace("$${", "${") if "$${" in value else value
    if isinstance(value, dict):
        return {key: _unescape(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unescape(one) for one in value]
    return value


def _text(text: str, field: str, findings: _Findings, *, shell: bool, html: bool) -> Filler | None:
    """Return the function that fills in one text, or None when it holds only escaped `$${` or has errors."""
    literals: list[str] = []
    fillers: list[Filler] = []
    try:
        for literal, expression in _split(text):
            literals.append(literal)
            if expression is not None:
                fillers.append(_expression(expression, field, findings.uses))
        places = _places(literals, len(fillers)) if shell else None
    except ValidationFailed as error:
        findings.errors.extend(_renamed(error, field))
        return None
    except ValueError as error:
        findings.errors.append(FieldError(field, str(error)))
        return None
    if not fillers:
        return None
    if places is not None:
        return _joined(literals, [_quoted(fill, place) for fill, place in zip(fillers, places, strict=True)])
    if len(fillers) == 1 and not any(literals) and not html:
        return fillers[0]
    return _joined(literals, [_escaped(fill) if html else _worded(fill) for fill in fillers])


def _places(literals: list[str], count: int) -> list[Place]:
    scanner = Scanner()
    places = []
    for literal, _ in zip(literals, range(count), strict=False):
        scanner.feed(literal)
        places.append(scanner.place())
    return places


def _joined(literals: list[str], fillers: list[Callable[[Mapping[str, Any]], str]]) -> Filler:
    tail = literals[len(fillers)] if len(literals) > len(fillers) else ""
    pairs = list(zip(literals, fillers, strict=False))

    def fill(variables: Mapping[str, Any]) -> str:
        return "".join([literal + filler(variables) for literal, filler in pairs]) + tail

    return fill


def _word(value: Any) -> str:
    return value if isinstance(value, str) else _encode(value).decode()


def _worded(fill: Filler) -> Callable[[Mapping[str, Any]], str]:
    return lambda variables: _word(fill(variables))


def _escaped(fill: Filler) -> Callable[[Mapping[str, Any]], str]:
    return lambda variables: escape(_word(fill(variables)))


def _quoted(fill: Filler, place: Place) -> Callable[[Mapping[str, Any]], str]:
    return lambda variables: quote(_word(fill(variables)), place)


def _expression(text: str, field: str, uses: list[Use]) -> Filler:
    compiled = compile_expression(text.strip(), JOB_VARIABLES)
    uses.append(Use(field, compiled.paths))

    def fill(variables: Mapping[str, Any]) -> Any:
        try:
            return compiled.value(variables)
        except Undefined as error:
            raise Rejected(f"{field}: ${{{text}}} has no value: {error}") from None

    return fill


def _split(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield (literal, expression) pairs; the last one has no expression.

    Raises:
        ValueError: a `${` is not closed, or is empty.

    """
    literal: list[str] = []
    at = 0
    while at < len(text):
        opening = text.find("${", at)
        if opening < 0:
            literal.append(text[at:])
            break
        if opening > 0 and text[opening - 1] == "$" and opening - 1 >= at:
            literal.append(text[at : opening - 1] + "${")
            at = opening + 2
            continue
        literal.append(text[at:opening])
        closing = _closing(text, opening + 2)
        expression = text[opening + 2 : closing]
        if not expression.strip():
            message = "`${}` is empty; write an expression, or `$${` for a literal `${`"
            raise ValueError(message)
        yield "".join(literal), expression
        literal = []
        at = closing + 1
    yield "".join(literal), None


def _closing(text: str, at: int) -> int:
    """Return where the `}` of an expression stands, passing over nested braces and CEL strings."""
    depth, quoted, start = 0, "", at
    while at < len(text):
        char = text[at]
        if quoted:
            if char == "\\":
                at += 1
            elif char == quoted:
                quoted = ""
        elif char in _QUOTES:
            quoted = char
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    message = f"`${{{text[start : start + 20]}` is not closed; add `}}`, or write `$${{` for a literal `${{`"
    raise ValueError(message)
