"""Forms: JSON Schemas that users write, and values checked against them.

The schemas are JSON Schema 2020-12. References stay inside the schema, and patterns are run by RE2, so that no schema
can reach the network or take long.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.match.pattern import compile_pattern

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

SCHEMA_BYTES_MAX = 64 << 10
ERRORS_MAX = 50
_DEPTH_MAX = 32


def schema_errors(schema: Any, field: str) -> list[FieldError]:
    """Return what is wrong with a schema that stands in `field`."""
    if not isinstance(schema, dict):
        return [FieldError(field, "must be a JSON Schema: an object such as {type: object, properties: {…}}")]
    if len(msgspec.json.encode(schema)) > SCHEMA_BYTES_MAX:
        return [FieldError(field, f"may take {SCHEMA_BYTES_MAX} bytes at most")]
    from workflow_scheduler.core import form_checker  # its library loads where a form is used

    fault = form_checker.fault(schema)
    if fault is not None:
        where = ".".join([field, *(str(part) for part in fault.absolute_path)])
        return [FieldError(where, fault.message[:300])]
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
    from workflow_scheduler.core import form_checker

    return form_checker.checker(msgspec.json.decode(schema))


def _field_error(error: ValidationError, field: str) -> FieldError:
    path = [str(part) for part in error.absolute_path]
    wanted: Any = error.validator_value
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [name for name in wanted if name not in error.instance]
        named = next((name for name in missing if repr(name) in error.message), missing[0] if missing else "")
        return FieldError(".".join([part for part in (field, *path, named) if part]), "is required")
    return FieldError(".".join([part for part in (field, *path) if part]), error.message[:300])
