"""Forms: JSON Schemas that users write, and values checked against them.

The schemas are JSON Schema 2020-12. References stay inside the schema, and patterns are run by RE2, so that no schema
can reach the network or take long.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, FormatChecker, SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.match.pattern import compile_pattern

SCHEMA_BYTES_MAX = 64 << 10
ERRORS_MAX = 50
_DEPTH_MAX = 32
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


def schema_errors(schema: Any, field: str) -> list[FieldError]:
    """Return what is wrong with a schema that stands in `field`."""
    if not isinstance(schema, dict):
        return [FieldError(field, "must be a JSON Schema: an object such as {type: object, properties: {…}}")]
    if len(msgspec.json.encode(schema)) > SCHEMA_BYTES_MAX:
        return [FieldError(field, f"may take {SCHEMA_BYTES_MAX} bytes at most")]
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join([field, *(str(part) for part in error.absolute_path)])
        return [FieldError(where, error.message[:300])]
    return list(_limits(schema, field, 0))


def _limits(part: Any, field: str, depth: int) -> Iterator[FieldError]:
    """Find references that leave the schema, patterns that RE2 does not know, and too much nesting."""
    if depth > _DEPTH_MAX:
        yield FieldError(field, f"is nested more than {_DEPTH_MAX} levels deep")
        return
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _limits(one, f"{field}.{number}", depth + 1)
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        where = f"{field}.{name}"
        if name in {"$ref", "$dynamicRef"} and isinstance(value, str):
            yield FieldError(where, "references are not supported in forms; write the part out")
        patterns = [value] if name == "pattern" and isinstance(value, str) else []
        if name == "patternProperties" and isinstance(value, dict):
            patterns = list(value)
        for pattern in patterns:
            try:
                compile_pattern(pattern)
            except ValueError as error:
                yield FieldError(where, str(error))
        yield from _limits(value, where, depth + 1)


def form_errors(schema: dict[str, Any], value: Any, field: str = "") -> list[FieldError]:
    """Return what is wrong with a value, by field; `field` is the name of the value itself."""
    found = _checker(msgspec.json.encode(schema)).iter_errors(value)
    errors = []
    for error in found:
        errors.append(_field_error(error, field))
        if len(errors) == ERRORS_MAX:
            break
    return errors


@lru_cache(256)
def _checker(schema: bytes) -> Any:
    return _Checker(msgspec.json.decode(schema), format_checker=_FORMATS)


def _field_error(error: ValidationError, field: str) -> FieldError:
    path = [str(part) for part in error.absolute_path]
    wanted: Any = error.validator_value
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [name for name in wanted if name not in error.instance]
        named = next((name for name in missing if repr(name) in error.message), missing[0] if missing else "")
        return FieldError(".".join([part for part in (field, *path, named) if part]), "is required")
    return FieldError(".".join([part for part in (field, *path) if part]), error.message[:300])
