"""What people who come from other schedulers look for in a definition, and what there is in its place.

Only names that are unknown are looked up here: an entry for a type that is installed is never used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workflow_scheduler.core.errors import did_you_mean

_EVENTS = "let what hears it post to a `webhook` trigger, or to /api/v1/events for an `event` trigger"

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "connections": "they go with `nodes`; beside `jobs`, write `needs`",
        "depends_on": "write `needs`",
        "schedule": "write a `cron` trigger under `triggers`",
        "steps": "write `jobs`",
        "tasks": "write `jobs`",
        "on": "write `triggers`",
    }
)
TRIGGER_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("pulsar", "kinesis", "eventhub"), _EVENTS),
        "schedule": "write `cron`, `interval`, `once` or `rrule`",
        "timer": "write `interval`, or `cron`",
        "http": "write `webhook` to be called, `http_poll` to ask",
        "redis": "write `redis_stream`",
    }
)  # fmt: skip
JOB_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "human": "write `uses: approval`",
        "shell": "write `run: COMMAND`",
        "bash": "write `run: COMMAND`",
    }
)


def field_hint(word: str) -> str:
    """Return what to write in place of an unknown key, or an empty text."""
    return FIELDS.get(word, "")


def type_problem(
    kind: str, word: str, known: Mapping[str, object], absent: Mapping[str, str]
) -> tuple[str, str | None]:
    """Return the sentence for the unknown type `word` and the known one that was probably meant.

    `kind` says what it is a type of; `absent` are types that other schedulers have. Capitals are no difference.
    """
    lower = word.lower()
    near = did_you_mean(lower, known)
    listed = ", ".join(sorted(known))
    if lower in absent and (near is None or near != lower):
        return f"there is no {kind} type `{word}` here: {absent[lower]}; known are {listed}", None
    if near is not None:
        return f"there is no {kind} type `{word}`, did you mean `{near}`?", near
    return f"there is no {kind} type `{word}`; known are {listed}", None
