"""Objects of a store that can only be listed: which of them are new, against those that were seen.

A listing comes in pages, in the order of the names. What was seen is kept as a short mark of the name and of the
version, so that many thousand objects fit into one cursor; names as they are only where removals count, which a mark
could not name.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, Literal

import msgspec

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.identity import item_key

SEEN_MAX: Final = 50_000
NAMED_MAX: Final = 20_000
_KEPT: Final = "listing"
Kind = Literal["created", "modified", "deleted"]


class Object(msgspec.Struct, frozen=True):
    """One object of a listing; `modified_at` in microseconds UTC, None where the store did not tell."""

    name: str
    version: str
    size: int = 0
    modified_at: int | None = None
    etag: str | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; `token` asks for the next one, None after the last."""

    objects: Sequence[Object]
    token: str | None = None


class Change(msgspec.Struct, frozen=True):
    """What has happened to an object."""

    kind: Kind
    object: Object

    @property
    def key(self) -> str:
        """The key that tells the change from all others."""
        return item_key(f"{self.kind}:{self.object.name}", self.object.version)


class Seen(msgspec.Struct):
    """The cursor of a listing: the version of each object, by its name or its mark; `begun` after the first listing."""

    begun: bool = False
    known: dict[str, str] = {}


class Look:
    """One listing from its first page to its last; it may be given up at any page and begun again."""

    def __init__(self, cursor: Any, events: Sequence[Kind], *, earliest: bool) -> None:
        """Go on from a stored `cursor`; without one, what is there counts only with `earliest`."""
        self._seen = Seen() if cursor is None else msgspec.convert(cursor, Seen)
        self._stored = cursor
        self._events = frozenset(events)
        self._names = "deleted" in self._events
        self._counts = self._seen.begun or earliest
        self._last = ""
        self.token: str | None = None

    @classmethod
    def under_way(cls, kept: MutableMapping[str, Any], cursor: Any) -> Look | None:
        """Return the listing that `keep` has put into `kept`, if what it said last is what was stored."""
        look, said = kept.pop(_KEPT, (None, None))
        return look if look is not None and said == cursor else None

    def keep(self, kept: MutableMapping[str, Any]) -> Any:
        """Return the cursor; a listing that is not over is kept for its next page."""
        cursor = self.cursor
        if not self.over:
            kept[_KEPT] = (self, cursor)
        return cursor

    def take(self, page: Page) -> list[Change]:
        """Take the next page; return what happened to its objects and between them, in the order of its time.

        Raises:
            Rejected: there are too many objects to remember.

        """
        known = self._seen.known
        changes: list[Change] = []
        for one in page.objects:
            mark, version = self._mark(one.name), _short(one.version)
            before = known.get(mark)
            if before != version:
                known[mark] = version
                changes.append(Change("created" if before is None else "modified", one))
        if self._names:
            changes += self._gone(page)
        most = NAMED_MAX if self._names else SEEN_MAX
        if len(known) > most:
            raise Rejected(
                f"more than {most:,} objects count, too many to remember",
                fix="Narrow `prefix` and `patterns`, or let the store notify: see `queue` or `subscription`.",
            )
        if page.objects:
            self._last = page.objects[-1].name
        self.token = page.token
        wanted = [one for one in changes if self._counts and one.kind in self._events]
        if page.token is None:
            self._seen.begun = True
        return sorted(wanted, key=lambda one: (one.object.modified_at or 0, one.object.name))

    @property
    def over(self) -> bool:
        """Whether the last page was taken."""
        return self.token is None

    @property
    def cursor(self) -> Any:
        """What is to be stored now: during a first listing that does not count, nothing before it is over."""
        return msgspec.to_builtins(self._seen) if self._counts or self.over else self._stored

    def _gone(self, page: Page) -> list[Change]:
        """Return what is known between the last name before this page and its last one, and is not there."""
        there = {one.name for one in page.objects}
        end = page.objects[-1].name if page.objects and page.token is not None else None
        if end is None and page.token is not None:
            return []
        known = self._seen.known
        gone = [name for name in known if name > self._last and (end is None or name <= end) and name not in there]
        return [Change("deleted", Object(name, known.pop(name))) for name in gone]

    def _mark(self, name: str) -> str:
        return name if self._names else _digest(name, 9)


def _short(version: str) -> str:
    return _digest(version, 6)


def _digest(text: str, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=size).digest()).decode()
