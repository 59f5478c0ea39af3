"""The calendars that this instance has read: compiled once per version, kept within bounds, right across instances.

A version never changes, so what is compiled stays right. Which version is the current one is read anew each time, or,
for the timer, once per index epoch: an edit moves the epoch, and a fire that was decided under the epoch before is
not written.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from workflow_scheduler.core.errors import SchedulerError, ValidationFailed
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.calendars.calendar import Calendar
from workflow_scheduler.core.time.calendars.ics_times import date_of
from workflow_scheduler.core.time.calendars.rules import Rules
from workflow_scheduler.core.time.calendars.shift import bound
from workflow_scheduler.core.time.calendars.source import Source
from workflow_scheduler.core.time.calendars.spec import CalendarSpec
from workflow_scheduler.core.time.calendars.use import CalendarUse, use_of
from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.stores.portable.calendars import CalendarRepository

SOURCES_BYTES_MAX = 16 << 20
BUILT_MAX = 512
_TENANTS_MAX = 10_000
_SOURCE_BYTES = 4096
_DETAIL_MAX = 400

Versions = tuple[tuple[str, int], ...]


class _Current(NamedTuple):
    """The current version of a calendar and the calendars it is made from."""

    version: int
    union: tuple[str, ...]
    without: tuple[str, ...]
    error: str | None = None


class Draft(NamedTuple):
    """A version of a calendar that is not stored yet; only for a book of its own."""

    name: str
    version: int
    spec: CalendarSpec


class Snapshot:
    """Some calendars of a tenant as they stood at one moment; `versions` has those that were asked for and theirs.

    `broken` says of calendars that are stored why they, or what they are made from, cannot be read.
    """

    def __init__(
        self,
        book: CalendarBook,
        tenant_id: str,
        calendars: Mapping[str, Calendar],
        closures: Mapping[str, Versions],
        broken: Mapping[str, str],
    ) -> None:
        """Hold what the book has built."""
        self.broken = broken
        self._book = book
        self._tenant_id = tenant_id
        self._closures = closures
        self.calendars = calendars
        self.versions: dict[str, int] = {name: version for found in closures.values() for name, version in found}

    def bind(self, module: Any, config: Any) -> tuple[Any, Any]:
        """Return a timer type and its configuration under the calendars it follows; both as given where none.

        Raises:
            ValidationFailed: a calendar does not exist.

        """
        use = use_of(config)
        if use is None:
            return module, config
        missing = [name for name in use.names if name not in self.calendars]
        if missing and missing[0] in self.broken:
            message = f"the calendar `{missing[0]}` cannot be read: {self.broken[missing[0]]}"
            raise ValidationFailed(
                message[:_DETAIL_MAX], fix="replace what it holds: PUT /api/v1/calendars/" + missing[0]
            )
        if missing:
            raise ValidationFailed(f"there is no calendar `{missing[0]}`", fix="create it: POST /api/v1/calendars")
        closure = tuple(one for name in use.names for one in self._closures[name])
        return bound(
            module, config, self._book.rules(self._tenant_id, use, closure, module.timezone(config), self.calendars)
        )

    def bind_known(self, module: Any, config: Any) -> tuple[Any, Any]:
        """Do the same, but leave the pair as it is where a calendar does not exist."""
        use = use_of(config)
        known = use is None or all(name in self.calendars for name in use.names)
        return self.bind(module, config) if known else (module, config)


class CalendarBook:
    """The calendars of all tenants, as far as they were needed."""

    _books: ClassVar[WeakKeyDictionary[Any, CalendarBook]] = WeakKeyDictionary()

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._repository = CalendarRepository(store)
        self._sources: OrderedDict[tuple[str, str, int], tuple[Source, int]] = OrderedDict()
        self._bytes = 0
        self._built: OrderedDict[tuple[str, Versions], Calendar] = OrderedDict()
        self._rules: OrderedDict[tuple[str, CalendarUse, Versions, str], Rules] = OrderedDict()
        self._epoch = -1
        self._index: dict[str, dict[str, _Current]] = {}

    @classmethod
    def of(cls, store: Store) -> CalendarBook:
        """Return the one book of a store."""
        found = cls._books.get(store)
        if found is None:
            found = cls._books[store] = cls(store)
        return found

    async def load(
        self, tenant_id: str, names: Iterable[str], now: int, epoch: int | None = None, draft: Draft | None = None
    ) -> Snapshot:
        """Return calendars by name, those they are made from included; names that do not exist are left out.

        `epoch` is the index epoch under which the caller decides: the current versions are read once for each. The
        year of `now`, microseconds, is made ready. A `draft` stands for the stored calendar of its name.
        """
        index = await self._current(tenant_id, epoch)
        if draft is not None:
            index = {**index, draft.name: _Current(draft.version, draft.spec.union, draft.spec.without)}
        closures = {name: _closure(index, name) for name in names if name in index}
        wanted = {one for found in closures.values() for one in found}
        year = date_of(now // DAY_US).year
        if draft is not None and (draft.name, draft.version) in wanted:
            source = await asyncio.to_thread(_compiled, draft.spec, year)
            self._sources[tenant_id, draft.name, draft.version] = source, 0
        sources, unread = await self._compile(tenant_id, wanted, year)
        unread.update({(name, index[name].version): error for name, _ in wanted if (error := index[name].error)})
        broken = {name: unread[one] for name, closure in closures.items() for one in reversed(closure) if one in unread}
        calendars = {name: self._build(tenant_id, index, name, sources) for name in closures if name not in broken}
        self._make_room()
        return Snapshot(self, tenant_id, calendars, closures, broken)

    async def bound(self, tenant_id: str, module: Any, config: Any, now: int) -> tuple[Any, Any]:
        """Return a timer type and its configuration under the calendars it follows now.

        Raises:
            ValidationFailed: a calendar does not exist.

        """
        use = use_of(config)
        if use is None:
            return module, config
        return (await self.load(tenant_id, use.names, now)).bind(module, config)

    def rules(
        self, tenant_id: str, use: CalendarUse, closure: Versions, timezone: str, calendars: Mapping[str, Calendar]
    ) -> Rules:
        """Return what calendars say in a zone; the same object again for the same versions."""
        key = (tenant_id, use, closure, timezone)
        known = self._rules.get(key)
        if known is None:
            known = self._rules[key] = Rules(use, calendars, zones.load(timezone))
            if len(self._rules) > BUILT_MAX:
                self._rules.popitem(last=False)
        else:
            self._rules.move_to_end(key)
        return known

    async def _current(self, tenant_id: str, epoch: int | None) -> dict[str, _Current]:
        if epoch is None:
            return await self._read(tenant_id)
        if epoch != self._epoch or len(self._index) > _TENANTS_MAX:
            self._epoch, self._index = epoch, {}
        index = self._index
        found = index.get(tenant_id)
        if found is None:
            found = await self._read(tenant_id)
            index[tenant_id] = found  # of the dictionary taken before the read: a later epoch has another one
        return found

    async def _read(self, tenant_id: str) -> dict[str, _Current]:
        rows = await self._repository.index(tenant_id)
        found = {}
        for row in rows:
            try:
                members = msgspec.convert(msgspec.json.decode(row.members), dict[str, list[str]])
                found[row.name] = _Current(row.version, tuple(members["union"]), tuple(members["except"]))
            except (msgspec.MsgspecError, KeyError) as error:
                found[row.name] = _Current(row.version, (), (), f"its members: {error}")
        return found

    async def _compile(
        self, tenant_id: str, wanted: Iterable[tuple[str, int]], year: int
    ) -> tuple[dict[tuple[str, int], Source], dict[tuple[str, int], str]]:
        """Return what calendars hold, and of those that cannot be read why."""
        found = {one: self._sources[tenant_id, *one][0] for one in wanted if (tenant_id, *one) in self._sources}
        lacking = [one for one in wanted if one not in found]
        unread = dict.fromkeys(lacking, "its current version is missing")
        for one, text in (await self._repository.specs(tenant_id, lacking)).items():
            try:
                source = await asyncio.to_thread(_read_spec, text, year)
            except (ValueError, SchedulerError) as error:
                unread[one] = str(error).replace("\n", " ")
                continue
            del unread[one]
            found[one] = source
            if (tenant_id, *one) not in self._sources:
                self._sources[tenant_id, *one] = source, len(text) + _SOURCE_BYTES
                self._bytes += len(text) + _SOURCE_BYTES
        return found, unread

    def _make_room(self) -> None:
        """Drop the oldest until the rest is within bounds; who holds one keeps it."""
        while self._bytes > SOURCES_BYTES_MAX and len(self._sources) > 1:
            self._bytes -= self._sources.popitem(last=False)[1][1]
        while len(self._built) > BUILT_MAX:
            self._built.popitem(last=False)

    def _build(
        self,
        tenant_id: str,
        index: Mapping[str, _Current],
        name: str,
        sources: Mapping[tuple[str, int], Source],
    ) -> Calendar:
        key = (tenant_id, _closure(index, name))
        known = self._built.get(key)
        if known is not None:
            self._built.move_to_end(key)
            return known
        current = index[name]
        union = tuple(self._build(tenant_id, index, one, sources) for one in current.union if one in index)
        without = tuple(self._build(tenant_id, index, one, sources) for one in current.without if one in index)
        made = Calendar(name, current.version, sources[name, current.version], union, without)
        self._built[key] = made
        return made


def _read_spec(text: str, year: int) -> Source:
    return _compiled(CalendarSpec.model_validate_json(text), year)


def _compiled(spec: CalendarSpec, year: int) -> Source:
    source = Source(spec)
    source.warm(year)
    return source


def _closure(index: Mapping[str, _Current], name: str) -> Versions:
    """Return a calendar and all that it is made from, with their versions; the calendar itself comes first."""
    found: dict[str, int] = {}
    waiting = [name]
    while waiting:
        one = waiting.pop()
        current = index.get(one)
        if current is not None and one not in found:
            found[one] = current.version
            waiting += (*current.union, *current.without)
    return tuple(found.items())
