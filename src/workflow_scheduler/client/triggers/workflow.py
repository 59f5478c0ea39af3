"""Made from the trigger type `workflow` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Upstream(Trigger):
    """The end of another workflow's run, or the ends of several.

    Attributes:
        any: Each qualifying end starts a run.
        all: One run when all required members have ended as asked.
        of: The members of `at_least`; for `when`, those that are not waited for by default.
        at_least: How many members of `of` must have ended.
        when: Members joined by `and`, `or`, parentheses and `at_least(2, a, b, c)`.
        correlate_by: CEL over `event`: only ends with the same value come together; `event.data.output.day`, say.
        window: Which ends belong together; `6h` is a sliding window.
        on_miss: A window is over and members are missing: forget what came, run with it, or tell it by the …
        workflow: Short for `any` with one member.
        after: Short for `all`; a text with `and` or `or` is short for `when`.

    """

    type: ClassVar[str] = "workflow"
    _: KW_ONLY
    any: Sequence[str | Mapping[str, Any]] | UnsetType | None = UNSET
    all: Sequence[str | Mapping[str, Any]] | UnsetType | None = UNSET
    of: Sequence[str | Mapping[str, Any]] | UnsetType | None = UNSET
    at_least: int | UnsetType | None = UNSET
    when: str | UnsetType | None = UNSET
    correlate_by: str | UnsetType | None = UNSET
    window: str | float | Mapping[str, Any] | UnsetType | None = UNSET
    on_miss: Literal["forget", "run", "tell"] | UnsetType = UNSET
    workflow: str | UnsetType = UNSET
    after: str | Sequence[str | Mapping[str, Any]] | UnsetType = UNSET
