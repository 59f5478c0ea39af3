"""Made from the trigger type `workflow` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Upstream(Trigger):
    """The end of another workflow's run, or the ends of several.

    Attributes:
        any: Each qualifying end starts a run.
        all: One run when all required members have ended as asked.
        window: `all`: how far apart the ends may be, for example 6h.
        workflow: Short for `any` with one member.
        after: Short for `all`.

    """

    type: ClassVar[str] = "workflow"
    _: KW_ONLY
    any: Sequence[str | Mapping[str, Any]] | UnsetType | None = UNSET
    all: Sequence[str | Mapping[str, Any]] | UnsetType | None = UNSET
    window: str | float | UnsetType | None = UNSET
    workflow: str | UnsetType = UNSET
    after: str | Sequence[str | Mapping[str, Any]] | UnsetType = UNSET
