"""The JSON Schema library as forms use it: patterns are run by RE2, and the formats are those that need no network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from workflow_scheduler.core.match.pattern import compile_pattern

_FORMATS = FormatChecker(formats=("date", "email", "ipv4", "ipv6", "uuid"))


def _pattern(_validator: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compile_pattern(pattern).search(value):
        yield ValidationError(f"does not match `{pattern}`")


def _pattern_properties(validator: Any, patterns: Any, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    for pattern, schema in patterns.items():
        compiled = compile_pattern(pattern)
        for name, one in value.items():
            if compiled.search(name):
                yield from validator.descend(one, schema, path=name, schema_path=pattern)


_Checker: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties}
)


def fault(schema: dict[str, Any]) -> SchemaError | None:
    """Return what makes `schema` no JSON Schema 2020-12, or None."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error
    return None


def checker(schema: dict[str, Any]) -> Any:
    """Return a validator for values of `schema`."""
    return _Checker(schema, format_checker=_FORMATS)
