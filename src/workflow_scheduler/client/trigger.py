"""The base of the trigger values; the classes in `client.triggers` are made from the installed trigger types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.expressions import plain


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What every trigger may have. A field that is not given is left to the service's default."""

    type: ClassVar[str]
    condition: str | UnsetType = UNSET
    pattern: Mapping[str, Any] | UnsetType = UNSET
    on_unknown: Literal["skip", "hold", "fire"] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    input: Any = UNSET
    overlap: str | Mapping[str, Any] | UnsetType = UNSET
    priority: int | str | UnsetType = UNSET
    debounce: str | Mapping[str, Any] | UnsetType = UNSET
    batch: int | Mapping[str, Any] | UnsetType = UNSET
    threshold: Mapping[str, Any] | UnsetType = UNSET
    absence: str | Mapping[str, Any] | UnsetType = UNSET
    throttle: str | Mapping[str, Any] | UnsetType = UNSET
    rate_limit: str | Mapping[str, Any] | UnsetType = UNSET
    unique: str | Mapping[str, Any] | UnsetType = UNSET
    ttl: str | UnsetType = UNSET
    description: str | UnsetType = UNSET

    def document(self) -> dict[str, Any]:
        """Return the trigger as a definition has it."""
        given = {one.name.removesuffix("_"): getattr(self, one.name) for one in fields(self)}
        return {"type": self.type, **{name: plain(value) for name, value in given.items() if value is not UNSET}}


Triggers = Mapping[str, Trigger] | Sequence[Trigger]


def triggers_document(triggers: Triggers) -> dict[str, Any]:
    """Return the `triggers` of a definition; those of a list are named after their type: `cron`, `cron_2`."""
    if isinstance(triggers, Mapping):
        return {name: one.document() for name, one in triggers.items()}
    found: dict[str, Any] = {}
    for one in triggers:
        name, number = one.type, 1
        while name in found:
            number += 1
            name = f"{one.type}_{number}"
        found[name] = one.document()
    return found
