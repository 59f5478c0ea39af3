"""Types of configuration fields that several trigger types share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from workflow_scheduler.core.match.pattern import compile_pattern


def as_tuple(value: object) -> object:
    """Return a single text as a tuple of one; anything else as it is."""
    return (value,) if isinstance(value, str) else value


def _compiled(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        compile_pattern(pattern)
    return patterns


Texts = Annotated[tuple[str, ...], BeforeValidator(as_tuple, json_schema_input_type=str | list[str])]
Patterns = Annotated[Texts, AfterValidator(_compiled)]
