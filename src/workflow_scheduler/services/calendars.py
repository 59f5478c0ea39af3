"""Calendars: create, change, delete, look up; what an edit moves.

An edit makes a new version and takes effect from now: times to come are judged by it, those that were recorded stay as
they are. Due rows of schedules whose times it shifts are moved in the edit's transaction, the soonest first; where
more than 500 are concerned, `watch` moves the rest in portions, also after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import msgspec
import structlog
from pydantic import ValidationError

from workflow_scheduler.core.errors import (
    Conflict,
    FieldError,
    PreconditionFailed,
    SchedulerError,
    ValidationFailed,
    did_you_mean,
    unknown_field,
)
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.calendars.spec import CalendarSpec, calendar_name
from workflow_scheduler.core.time.calendars.use import use_of
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.due import next_due
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.services.calendar_shapes import calendar_shape, version_shape
from workflow_scheduler.services.schedule_config import stored
from workflow_scheduler.stores.portable.calendar_book import CalendarBook, Draft, Snapshot
from workflow_scheduler.stores.portable.calendars import (
    CalendarRepository,
    CalendarRow,
    DueMove,
    Edit,
    Follower,
    Pending,
    Portion,
)
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository

PORTION = 500
WATCH_SECONDS = 2.0
DEPTH_MAX = 8
USERS_SHOWN = 100
_ATTEMPTS = 5
_PENDING = 100
_log = structlog.get_logger(__name__)


class Calendars:
    """What can be asked and done about calendars."""

    def __init__(
        self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType], wake: Callable[[], None]
    ) -> None:
        """Keep calendars in `store`; `wake` tells the timer that due rows have moved."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._wake = wake
        self._repository = CalendarRepository(store)

    async def create(self, principal: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a calendar from `{"name", …}` and what it holds.

        Raises:
            ValidationFailed: the name or a part is wrong; the error names the field, and the line of an iCalendar text.
            Conflict: there is one of that name, or there are 1,000.

        """
        fields = dict(body)
        name = _checked_name(fields.pop("name", None))
        spec = await asyncio.to_thread(read_spec, fields)
        await self._edit(principal, name, 0, spec)
        return await self.show(principal, name)

    async def update(
        self, principal: Principal, name: str, body: Mapping[str, Any], if_match: int | None = None
    ) -> dict[str, Any]:
        """Replace what a calendar holds, as a new version; it takes effect from now.

        Raises:
            NotFound: the tenant has no such calendar.
            ValidationFailed: a part is wrong.
            PreconditionFailed: `if_match` is not its version.

        """
        await self._repository.get(principal.tenant_id, name)
        fields = {key: value for key, value in body.items() if key != "name"}
        if body.get("name") not in (None, name):
            message = "a calendar keeps its name, by which triggers know it"
            raise ValidationFailed(message, fix="create another one", errors=[FieldError("name", message)])
        spec = await asyncio.to_thread(read_spec, fields)
        return await self._replace(principal, name, lambda _: spec, if_match)

    async def put_ics(self, principal: Principal, name: str, text: str, if_match: int | None = None) -> dict[str, Any]:
        """Replace the iCalendar text of a calendar, as a new version; its other parts stay.

        Raises:
            NotFound: the tenant has no such calendar.
            ValidationFailed: the text cannot be read; the error names the line.
            PreconditionFailed: `if_match` is not its version.

        """
        await self._repository.get(principal.tenant_id, name)
        alone = await asyncio.to_thread(read_spec, {"ics": text})

        def with_text(spec: CalendarSpec | None) -> CalendarSpec:
            if spec is None:
                message = f"the calendar `{name}` cannot be read, and its other parts with it"
                raise Conflict(message, fix=f"Replace all that it holds: PUT /api/v1/calendars/{name}")
            return spec.model_copy(update={"ics": alone.ics})

        return await self._replace(principal, name, with_text, if_match)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a calendar that nothing uses.

        Raises:
            NotFound: the tenant has no such calendar.
            Conflict: triggers or calendars use it; the error names them.

        """
        await self._repository.delete(principal.tenant_id, name)

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the tenant's calendars by name; `next` is the name to go on after."""
        rows = await self._repository.page(principal.tenant_id, limit + 1, after)
        specs = await self._specs(principal.tenant_id, rows[:limit])
        items = [calendar_shape(row, specs.get((row.name, row.version), "")) for row in rows[:limit]]
        return Page(items, rows[limit - 1].name if len(rows) > limit else None)

    async def show(self, principal: Principal, name: str) -> dict[str, Any]:
        """Return one calendar with all it holds and the triggers that follow it.

        Raises:
            NotFound: the tenant has no such calendar.

        """
        row = await self._repository.get(principal.tenant_id, name)
        specs = await self._specs(principal.tenant_id, [row])
        users = await self._repository.users(principal.tenant_id, [name], USERS_SHOWN)
        return {
            **calendar_shape(row, specs.get((row.name, row.version), ""), whole=True),
            "used_by": [{"workflow": workflow, "trigger": trigger} for workflow, trigger in users],
        }

    async def versions(self, principal: Principal, name: str, *, limit: int = 50, before: int | None = None) -> Page:
        """Return the versions of a calendar, the newest first; `next` is the version to go on before.

        Raises:
            NotFound: the tenant has no such calendar.

        """
        await self._repository.get(principal.tenant_id, name)
        rows = await self._repository.versions(principal.tenant_id, name, limit + 1, before)
        items = [version_shape(row) for row in rows[:limit]]
        return Page(items, str(rows[limit - 1].version) if len(rows) > limit else None)

    async def _specs(self, tenant_id: str, rows: Sequence[CalendarRow]) -> dict[tuple[str, int], str]:
        return await self._repository.specs(tenant_id, [(row.name, row.version) for row in rows])

    async def _replace(
        self,
        principal: Principal,
        name: str,
        change: Callable[[CalendarSpec | None], CalendarSpec],
        if_match: int | None,
    ) -> dict[str, Any]:
        for attempt in range(_ATTEMPTS):
            row = await self._repository.get(principal.tenant_id, name)
            if if_match is not None and if_match != row.version:
                raise PreconditionFailed(
                    f"the calendar is at version {row.version}, not {if_match}", fix="read it again"
                )
            specs = await self._specs(principal.tenant_id, [row])
            before = _readable(specs.get((row.name, row.version), ""))
            after = change(before)
            if after == before:
                break
            try:
                await self._edit(principal, name, row.version, after)
                break
            except PreconditionFailed:
                if attempt == _ATTEMPTS - 1:
                    raise
        return await self.show(principal, name)

    async def _edit(self, principal: Principal, name: str, was: int, spec: CalendarSpec) -> None:
        """Store a version and move the due rows that depend on it."""
        tenant, now = principal.tenant_id, self._clock.now()
        index = await self._repository.index(tenant)
        members = {row.name: set(_names(row.members)) for row in index}
        members[name] = set(spec.members)
        _check_members(name, spec, members)
        draft = Draft(name, was + 1, spec)
        followers = await self._repository.followers(tenant, _above(name, members), PORTION + 1) if was else []
        snapshot, moves = await self._moves(tenant, followers[:PORTION], now, draft)
        seen = {one: version for one, version in snapshot.versions.items() if one != name}
        await self._repository.edit(
            Edit(
                tenant_id=tenant,
                name=name,
                was=was,
                description=spec.description,
                members=msgspec.json.encode({"union": spec.union, "except": spec.without}).decode(),
                spec=spec.model_dump_json(by_alias=True, exclude_defaults=True),
                actor=principal.user_id,
                now=now,
            ),
            seen,
            moves,
            more=len(followers) > PORTION,
        )
        await QuarantineRepository(self._store).release_followers(tenant, _above(name, members))
        await self.carry_on()
        self._wake()

    async def carry_on(self) -> int:
        """Move due rows that edits have left to be moved; return how many portions that were."""
        done = 0
        for pending in await self._repository.pending(_PENDING):
            following: Pending | None = pending
            while following is not None:
                following = await self._carry_on(following)
                done += 1
        if done:
            self._wake()
        return done

    async def watch(self) -> None:
        """Finish edits that a stopped process left open, for ever; a loop of the service."""
        while True:
            try:
                await self.carry_on()
            except SchedulerError as error:
                _log.warning("calendars.unavailable", error=error.detail)
            await self._clock.sleep(WATCH_SECONDS)

    async def _carry_on(self, pending: Pending) -> Pending | None:
        tenant, now = pending.tenant_id, self._clock.now()
        members = {row.name: set(_names(row.members)) for row in await self._repository.index(tenant)}
        found = await self._repository.followers(tenant, _above(pending.name, members), PORTION, pending.place)
        snapshot, moves = await self._moves(tenant, found, now, None)
        place = found[-1].trigger_id if len(found) == PORTION else None
        try:
            went = await self._repository.move(pending, snapshot.versions, Portion(moves, place, now))
        except PreconditionFailed:
            return pending  # a calendar has changed since it was read: compute again
        return pending._replace(place=place) if went and place is not None else None

    async def _moves(
        self, tenant: str, followers: Sequence[Follower], now: int, draft: Draft | None
    ) -> tuple[Snapshot, list[DueMove]]:
        """Return where due rows go on, and the calendars that this was computed with."""
        configured = [(row, *pair) for row in followers if (pair := self._configured(row)) is not None]
        names = dict.fromkeys(name for _, _, config in configured for name in use_of(config).names)  # type: ignore[union-attr]
        book = CalendarBook(self._store) if draft is not None else CalendarBook.of(self._store)
        snapshot = await book.load(tenant, [*names, *([draft.name] if draft else [])], now, draft=draft)
        moves = []
        for row, module, config in configured:
            try:
                bound_module, bound_config = snapshot.bind(module, config)
            except ValidationFailed as error:
                _log.warning("calendars.missing", trigger_id=row.trigger_id, error=error.detail)
                continue
            fire_at, nominal = _goes_on(bound_module, bound_config, row, now)
            if (fire_at, nominal) != (row.next_fire_at, row.next_nominal):
                moves.append(DueMove(row.trigger_id, row.revision, row.next_fire_at, fire_at, nominal))
        return snapshot, moves

    def _configured(self, row: Follower) -> tuple[Any, Any] | None:
        """Return type and configuration of a row that an edit may move: with a shift, and not waiting to be settled."""
        try:
            module, config = stored(self._types, row.type, row.config)
        except SchedulerError:
            return None  # the inspection reports what cannot be read
        use = use_of(config)
        now = self._clock.now()
        overdue = (row.next_nominal or 0) <= now and (row.paused_until is None or row.paused_until <= now)
        return None if use is None or use.shift is None or overdue else (module, config)


def _goes_on(module: Any, config: Any, row: Follower, now: int) -> tuple[int | None, int | None]:
    """Return when a due row is due next, and for which nominal time; while it rests, as `schedule_pauses` has it."""
    first = row.next_nominal or 0
    if first > now:
        due = next_due(module, config, row.trigger_id, max(now, row.last_nominal or 0), row.anchor)
        if due is None:
            return None, None
        first = due.nominal
        if row.paused_until is None or first >= row.paused_until:
            return due.fire_at, first
    assert row.paused_until is not None
    later = next_due(module, config, row.trigger_id, row.paused_until - 1, row.anchor)
    passes = on_resume(module, config, by_itself=True) != "none"
    return row.paused_until if later is None or passes else later.fire_at, first


def read_spec(fields: Mapping[str, Any]) -> CalendarSpec:
    """Return a checked specification.

    Raises:
        ValidationFailed: a part is wrong; the error names the field, and the line of an iCalendar text.

    """
    try:
        return CalendarSpec.model_validate(dict(fields))
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> ValidationFailed:
    errors = []
    for line in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in line["loc"])
        message = line["msg"].removeprefix("Value error, ")
        if not field and message.startswith("`"):
            field = message[1:].partition("`")[0]
        if line["type"] == "extra_forbidden":
            known = [info.alias or name for name, info in CalendarSpec.model_fields.items()]
            message = unknown_field(field, known)
        number = message.removeprefix("line ").partition(":")[0] if field == "ics" else ""
        errors.append(FieldError(field, message, line=int(number) if number.isdigit() else None))
    return ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)


def _readable(spec: str) -> CalendarSpec | None:
    try:
        return CalendarSpec.model_validate_json(spec)
    except ValueError:
        return None


def _checked_name(name: object) -> str:
    try:
        return calendar_name(name)
    except ValueError as error:
        raise ValidationFailed(str(error), errors=[FieldError("name", str(error))]) from None


def _names(members: str) -> list[str]:
    try:
        parts = msgspec.convert(msgspec.json.decode(members), dict[str, list[str]])
    except msgspec.MsgspecError:
        return []  # whoever follows it hears why it cannot be read
    return [name for names in parts.values() for name in names]


def _above(name: str, members: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a calendar and all that are made from it."""
    found = {name}
    while True:
        more = {one for one, parts in members.items() if one not in found and found & set(parts)}
        if not more:
            return sorted(found)
        found |= more


def _check_members(name: str, spec: CalendarSpec, members: Mapping[str, set[str]]) -> None:
    """Refuse members that do not exist, circles, and nesting deeper than 8."""
    for field, names in (("union", spec.union), ("except", spec.without)):
        for one in names:
            if one not in members:
                near = did_you_mean(one, members)
                message = f"there is no calendar `{one}`" + (
                    f", did you mean `{near}`?" if near else "; create it first"
                )
                raise ValidationFailed(message, errors=[FieldError(field, message, suggestion=near)])
            if name in _below(one, members):
                message = f"`{one}` is itself made from `{name}`: that would be a circle; take one of the two out"
                raise ValidationFailed(message, errors=[FieldError(field, message)])
    depth, level = 0, {name}
    while level:
        depth, level = depth + 1, {part for one in level for part in members.get(one, ())}
        if depth > DEPTH_MAX:
            message = f"calendars are made from each other more than {DEPTH_MAX} deep; make them flatter"
            raise Conflict(message, errors=[FieldError("union", message)])


def _below(name: str, members: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += members.get(one, ())
    return found
