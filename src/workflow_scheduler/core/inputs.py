"""The input of a run: laid over what the definition holds ready, and completed from the schema of a template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

FROM_EVENT = "x-from-event"
"""In the schema of a field: the event brings it, so that a workflow made from the template need not be told."""


def laid_over(defaults: Mapping[str, Any], given: bytes) -> bytes:
    """Return the input `given` with what it lacks of `defaults`; an input that is no object stays as it is."""
    try:
        value = msgspec.json.decode(given)
    except (msgspec.MsgspecError, ValueError):
        return given
    if value is None:
        return msgspec.json.encode(defaults)
    return msgspec.json.encode({**defaults, **value}) if isinstance(value, dict) else given


def completed(schema: Any, value: Any) -> Any:
    """Return `value` with the defaults of a JSON Schema for the fields that it lacks, in nested objects as well."""
    fields = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(value, dict) or not isinstance(fields, dict):
        return value
    whole = dict(value)
    for name, field in fields.items():
        if not isinstance(field, dict):
            continue
        if name not in whole and "default" in field:
            whole[name] = field["default"]
        if name in whole:
            whole[name] = completed(field, whole[name])
    return whole


def without_event_fields(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that does not ask for the fields that events bring."""
    fields = schema.get("properties")
    required = schema.get("required")
    if not isinstance(fields, dict) or not isinstance(required, list):
        return schema
    wanted = [name for name in required if not _from_event(fields.get(name))]
    return {**schema, "required": wanted}


def _from_event(field: Any) -> bool:
    return isinstance(field, dict) and field.get(FROM_EVENT) is True
