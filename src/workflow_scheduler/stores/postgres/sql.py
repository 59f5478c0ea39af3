"""Portable SQL as PostgreSQL reads it: `:named` parameters become typed `$n`, macros become functions.

A parameter's type is taken from its value (`$1::bigint`), since PostgreSQL would otherwise infer `int4` from
`:now - 5` and refuse microseconds. None has no type of its own and is written as NULL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(r"('(?:[^']|'')*')|(::\w+)|:([A-Za-z_]\w*)")
_JSON = re.compile(r"\{json:([^{}]+)\}")
_CASTS: dict[type, str] = {int: "::bigint", str: "::text", bytes: "::bytea", float: "::float8"}
_NULL = "NULL"
TEXTS_KEPT = 4_096


def _plain(text: str) -> str:
    return _JSON.sub(r"wfs_json(\1)", text) if "{json:" in text else text


@lru_cache(maxsize=TEXTS_KEPT)
def _names(text: str) -> tuple[str, ...]:
    """Return the parameters of `text`, each once, in the order of their first use."""
    return tuple(dict.fromkeys(found[3] for found in _TOKEN.finditer(_plain(text)) if found[3]))


@lru_cache(maxsize=TEXTS_KEPT)
def _written(text: str, casts: tuple[str, ...]) -> str:
    places: dict[str, str] = {}
    number = 0
    for name, cast in zip(_names(text), casts, strict=True):
        number += cast != _NULL
        places[name] = cast if cast == _NULL else f"${number}{cast}"
    return _TOKEN.sub(lambda found: places[found[3]] if found[3] else found[0], _plain(text))


def _value(value: Any) -> Any:
    """Return `value` as the driver takes it: booleans are numbers, enum members their text."""
    if value is None or type(value) in _CASTS:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    return bytes(value) if isinstance(value, bytearray | memoryview) else value


def native(text: str, params: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the statement and its values in order.

    Raises:
        KeyError: a parameter of the text has no value.

    """
    values = [_value(params[name]) for name in _names(text)]
    casts = tuple(_NULL if value is None else _CASTS.get(type(value), "") for value in values)
    return _written(text, casts), [value for value in values if value is not None]


def tenant_of(params: Mapping[str, Any] | None) -> str:
    """Return the tenant a statement is about, or `*` when it names none: then it belongs to the service itself."""
    if not params:
        return "*"
    tenant = params.get("tenant") or params.get("tenant_id")
    return tenant if isinstance(tenant, str) else "*"
