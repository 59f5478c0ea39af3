"""The shape of a trigger as it is stored, and the steps that its events take. Times are microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.reasons import Reason

DUE: Final = "shape_due"
PROVIDER: Final = "shape"
GATHERED_MAX: Final = 1_000
GATHERED_BYTES_MAX: Final = 1_000_000
WAITS: Mapping[str, Reason] = MappingProxyType({
    "debounce": Reason.DEBOUNCED, "batch": Reason.BATCHED, "threshold": Reason.BELOW_THRESHOLD, "absence": Reason.HEARD,
})  # fmt: skip
"""Why an event of a group that is not whole starts nothing, by what gathers it."""


def is_due(event: Event) -> bool:
    """Tell whether an event says that the time of a group has come; `data` is the input of its run.

    Only the service itself makes events of this provider: what others send under the same type is an event like any.
    """
    return event.provider == PROVIDER and event.type == DUE


class Rate(msgspec.Struct, frozen=True, omit_defaults=True):
    """At most `count` starts within any `per`, of the trigger or its workflow, together or by `key` (CEL)."""

    count: int
    per: int
    key: str | None = None
    scope: Literal["trigger", "workflow"] = "trigger"


class Gather(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events that start one run together.

    debounce: `wait` after the last one, at most `most` after the first. batch: `size` of them, or `wait` after the
    first. threshold: `size` within `wait`. absence: none for `wait`.
    """

    kind: Literal["debounce", "batch", "threshold", "absence"]
    wait: int
    size: int = GATHERED_MAX
    most: int | None = None
    key: str | None = None


class Unique(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events with the same `key` (CEL) within `wait` count once."""

    key: str
    wait: int


class Shape(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a trigger does with its events beside starting a run for each."""

    gather: Gather | None = None
    rate_limit: Rate | None = None
    throttle: Rate | None = None
    unique: Unique | None = None
    ttl: int | None = None

    @property
    def asks(self) -> bool:
        """Whether what becomes of an event depends on those before it."""
        return any((self.gather, self.rate_limit, self.throttle, self.unique))

    def keys(self) -> dict[str, str]:
        """Return the expressions by which events are told apart, by what asks for them."""
        found = {} if self.gather is None or self.gather.key is None else {str(self.gather.kind): self.gather.key}
        for name, rate in (("rate_limit", self.rate_limit), ("throttle", self.throttle)):
            if rate is not None and rate.key is not None:
                found[name] = rate.key
        if self.unique is not None:
            found["unique"] = self.unique.key
        return found


def admitted(rate: Rate, starts: Sequence[int], now: int) -> tuple[bool, list[int]]:
    """Return whether one more may start now, and the starts to remember; the window slides."""
    recent = [at for at in starts if at > now - rate.per]
    if len(recent) >= rate.count:
        return False, recent
    return True, [*recent, now]


def slot(rate: Rate, starts: Sequence[int], now: int) -> tuple[int, list[int]]:
    """Return when one more may start, in the order of asking, and the starts to remember, those to come included."""
    recent = [at for at in starts if at > now - rate.per]
    at = now if len(recent) < rate.count else max(now, recent[-rate.count] + rate.per)
    if recent:
        at = max(at, recent[-1])
    return at, [*recent, at][-rate.count :]


def due_of(gather: Gather, opened_at: int, now: int) -> int:
    """Return when a group that got an event `now` is looked at again."""
    if gather.kind == "debounce":
        latest = now + gather.wait
        return latest if gather.most is None else min(latest, opened_at + gather.most)
    return (opened_at if gather.kind == "batch" else now) + gather.wait


def is_full(gather: Gather, count: int, size: int) -> bool:
    """Return whether a group of `count` events with `size` bytes starts its run at once."""
    if gather.kind == "absence":
        return False
    return count >= min(gather.size, GATHERED_MAX) or size >= GATHERED_BYTES_MAX
