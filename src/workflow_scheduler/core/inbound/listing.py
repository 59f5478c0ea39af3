"""Objects of a store that can only be listed: which of them are new, against those that were seen.

A listing comes in pages, in the order of the names, and each page is compared with what was remembered of the same part
of the names. So a listing may be long, goes on behind the last name after a crash, and tells what was removed as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.ports.sources import Items

SEEN_MAX: Final = 1_000_000
PART: Final = 2_000
Kind = Literal["created", "modified", "deleted"]


class Object(msgspec.Struct, frozen=True):
    """One object of a listing; `modified_at` in microseconds UTC, None where the store did not tell."""

    name: str
    version: str
    size: int = 0
    modified_at: int | None = None
    etag: str | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing: the objects that count, and up to which name it goes; None where it is the last one."""

    objects: Sequence[Object]
    end: str | None = None


class Change(msgspec.Struct, frozen=True):
    """What has happened to an object."""

    kind: Kind
    object: Object

    @property
    def key(self) -> str:
        """The key that tells the change from all others."""
        return item_key(f"{self.kind}:{self.object.name}", self.object.version)


class Seen(msgspec.Struct):
    """The cursor: whether a listing was read to its end, behind which name it goes on, how many are remembered."""

    whole: bool = False
    after: str = ""
    count: int = 0


class Look:
    """One step of a listing: what its next page, or a part of it, says."""

    def __init__(self, cursor: Any, events: Sequence[Kind], items: Items, *, earliest: bool) -> None:
        """Go on from a stored `cursor`; without one, what is there counts only with `earliest`."""
        self._seen = Seen() if cursor is None else msgspec.convert(cursor, Seen)
        self._events = frozenset(events)
        self._known = items
        self._counts = self._seen.whole or earliest
        self.items: dict[str, str | None] = {}
        self.more = True

    @property
    def after(self) -> str:
        """The name behind which the next page begins."""
        return self._seen.after

    @property
    def cursor(self) -> Any:
        """What is to be stored now."""
        return msgspec.to_builtins(self._seen)

    async def take(self, page: Page) -> list[Change]:
        """Take the page behind `after`; return what happened to its objects and between them, in the order of its time.

        Where more is remembered of its part of the names than is read at once, the rest of it is left to the next step.

        Raises:
            Rejected: there are too many objects to remember, or the store does not list them by name.

        """
        seen, end = self._seen, page.end
        if end is not None and end <= seen.after:
            raise Rejected(
                "the store does not list objects in the order of their names",
                fix="Let the store notify in place of the listing.",
            )
        known = dict(await self._known.between(seen.after, end, PART))
        if len(known) == PART:
            end = max(known)
        changes = self._changes([one for one in page.objects if end is None or one.name <= end], known)
        seen.count += sum(one.kind == "created" for one in changes) - sum(one.kind == "deleted" for one in changes)
        if seen.count > SEEN_MAX:
            raise Rejected(
                f"more than {SEEN_MAX:,} objects count, too many to remember",
                fix="Narrow `prefix` and `patterns`, or let the store notify in place of the listing.",
            )
        self.items = {one.object.name: None if one.kind == "deleted" else one.object.version for one in changes}
        wanted = [one for one in changes if self._counts and one.kind in self._events]
        self.more, seen.after = end is not None, end or ""
        seen.whole = seen.whole or not self.more
        return sorted(wanted, key=lambda one: (one.object.modified_at or 0, one.object.name))

    def _changes(self, objects: Sequence[Object], known: dict[str, str]) -> list[Change]:
        """Return what is new, other and no more there, and leave nothing of what is still there in `known`."""
        changes: list[Change] = []
        for one in objects:
            before = known.pop(one.name, None)
            if before != one.version and one.name > self._seen.after:
                changes.append(Change("created" if before is None else "modified", one))
        return changes + [Change("deleted", Object(name, version)) for name, version in known.items()]
