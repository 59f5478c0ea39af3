"""Made from the trigger type `manual` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Manual(Trigger):
    """Started by a person or a program, by name.

    Attributes:
        require_confirmation: Start only when the caller says that it is meant (`confirm: true`, or `--yes`).

    """

    type: ClassVar[str] = "manual"
    _: KW_ONLY
    require_confirmation: bool | UnsetType = UNSET
