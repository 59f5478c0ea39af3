"""Blackout windows: create, list, change, delete. They hold for time triggers; events are untouched."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.blackout import window_of
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.shapes import instant, malformed_shape
from workflow_scheduler.stores.portable.blackouts import BlackoutRepository, BlackoutRow
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.windows import read_window

NAME_MAX = 128
_GIVEN = ("from", "to", "cron", "rrule", "dtstart", "duration", "reason")


class Blackouts:
    """What can be asked and done about the windows of a tenant."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType]) -> None:
        """Keep windows in `store`; recurring ones are read with `trigger_types`."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._rows = BlackoutRepository(store)

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return windows by name; `next` is the name that the following page is after."""
        rows = await self._rows.page(principal.tenant_id, after, limit + 1)
        items = [await self._shape(principal, row) for row in rows[:limit]]
        return Page(items, rows[limit - 1].name if len(rows) > limit else None)

    async def show(self, principal: Principal, name: str) -> dict[str, Any]:
        """Return one window.

        Raises:
            NotFound: the tenant has none of that name.

        """
        return await self._shape(principal, await self._rows.get(principal.tenant_id, name))

    async def create(self, principal: Principal, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a window; it holds from now on.

        Raises:
            ValidationFailed: a field is wrong, or the window has no length.
            Conflict: the tenant has one of that name.

        """
        if not name or len(name) > NAME_MAX or "/" in name:
            message = f"`name` is a text of 1 to {NAME_MAX} characters without `/`"
            raise ValidationFailed(message, errors=[FieldError("name", message)])
        await self._rows.create(self._who(principal, name), self._checked(name, body))
        return await self.show(principal, name)

    async def replace(
        self, principal: Principal, name: str, body: Mapping[str, Any], if_match: int | None = None
    ) -> dict[str, Any]:
        """Replace a window; what waits for its end is looked at again.

        Raises:
            NotFound: the tenant has none of that name.
            ValidationFailed: a field is wrong, or the window has no length.
            PreconditionFailed: `if_match` is not its revision.

        """
        await self._rows.replace(self._who(principal, name), self._checked(name, body), if_match)
        return await self.show(principal, name)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a window; what waits for its end is looked at again.

        Raises:
            NotFound: the tenant has none of that name.

        """
        await self._rows.delete(principal.tenant_id, name, self._clock.now())

    def _who(self, principal: Principal, name: str) -> dict[str, Any]:
        return {"tenant": principal.tenant_id, "name": name, "now": self._clock.now(), "actor": principal.user_id}

    def _checked(self, name: str, body: Mapping[str, Any]) -> str:
        given = {field: value for field, value in body.items() if value is not None}
        window_of(self._types, name, given)
        return msgspec.json.encode(given, order="sorted").decode()

    async def _shape(self, principal: Principal, row: BlackoutRow) -> dict[str, Any]:
        """Return a window as it is shown; one that cannot be read as such, and it is put in quarantine."""
        now, window = self._clock.now(), read_window(self._types, row.name, row.definition)
        if isinstance(window, Malformed):
            await quarantine(self._store, principal.tenant_id, [window], now)
            return self._framed(row) | malformed_shape(window)
        given = msgspec.json.decode(row.definition)
        span = window.around(now)
        following = window.begins_after(now)
        return self._framed(row) | {
            "mode": window.mode,
            "workflows": list(window.workflows),
            "timezone": given.get("timezone", "UTC"),
            **{field: given.get(field) for field in _GIVEN},
            "active": span is not None,
            "active_until": instant(span[1]) if span else None,
            "next_start": instant(following) if following < (1 << 60) else None,
        }

    @staticmethod
    def _framed(row: BlackoutRow) -> dict[str, Any]:
        """Return what is shown of every window, whether its definition can be read or not."""
        return {
            "name": row.name,
            "mode": None,
            "workflows": [],
            "timezone": None,
            **dict.fromkeys(_GIVEN),
            "active": False,
            "active_until": None,
            "next_start": None,
            "error": None,
            "revision": row.revision,
            "created_at": instant(row.created_at),
            "updated_at": instant(row.updated_at),
            "updated_by": row.updated_by,
        }
