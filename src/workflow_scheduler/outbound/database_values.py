"""Values of databases as JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_EXACT_MAX = 2**63 - 1


def named(columns: Sequence[str]) -> list[str]:
    """Return the names of the fields of a row: a name that comes again gets a number."""
    found: list[str] = []
    for column in columns:
        name, number = column, 2
        while name in found:
            name, number = f"{column}_{number}", number + 1
        found.append(name)
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON.

    Decimals are texts, so that nothing is rounded; times are ISO 8601; spans are seconds; bytes are base64; numbers
    that JSON does not have (NaN, beyond 64 bits) are texts.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if (abs(value) <= _EXACT_MAX if isinstance(value, int) else math.isfinite(value)) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return _composed(value)


def _composed(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)
