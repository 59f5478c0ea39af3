"""The priority of runs: of those that wait for the same thing, the higher goes first, and the older among equals."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

PRIORITY_MAX: Final = 100
NAMED: Final = MappingProxyType({"low": -50, "normal": 0, "high": 50})


def _number(value: object) -> object:
    """Return the number of a named priority; leave anything else to pydantic."""
    if not isinstance(value, str) or value.lstrip("-").isdigit():
        return value
    if value not in NAMED:
        message = f"`{value}` is not a priority; write low, normal, high or a number from -100 to 100"
        raise ValueError(message)
    return NAMED[value]


Priority = Annotated[
    int,
    BeforeValidator(_number, json_schema_input_type=int | Literal["low", "normal", "high"]),
    Field(
        ge=-PRIORITY_MAX,
        le=PRIORITY_MAX,
        description="low (-50), normal (0), high (50), or -100 to 100: of runs that wait, the higher goes first.",
    ),
]
