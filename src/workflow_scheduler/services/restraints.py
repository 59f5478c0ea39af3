"""What keeps the times of a tenant's schedules from running: the calendars that they follow, and blackout windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.blackout import Skipping, Window
from workflow_scheduler.core.time.exclusion import excluding
from workflow_scheduler.stores.portable.calendar_book import CalendarBook, Snapshot
from workflow_scheduler.stores.portable.windows import concerning, every_window


class Restraints(NamedTuple):
    """The calendars that were asked for and all windows of a tenant, as they stood at one moment."""

    calendars: Snapshot
    windows: tuple[Window, ...]

    @classmethod
    async def load(
        cls, store: Store, types: Mapping[str, ModuleType], tenant_id: str, calendars: Iterable[str], now: int
    ) -> Restraints:
        """Read the windows of a tenant and those of its `calendars` that exist; `now` in microseconds."""
        found = await every_window(store, types, now, tenant_id)
        return cls(await CalendarBook.of(store).load(tenant_id, calendars, now), tuple(found.get(tenant_id, ())))

    def of(self, workflow: str) -> tuple[Window, ...]:
        """Return the windows that hold for a workflow."""
        return concerning(self.windows, workflow)

    def bind(self, workflow: str, module: Any, config: Any) -> tuple[Any, Any]:
        """Return a timer type and its configuration under its calendars and the windows that leave times out.

        Raises:
            ValidationFailed: a calendar does not exist.

        """
        return skipping(self.of(workflow), *self.calendars.bind(module, config))

    def bind_known(self, workflow: str, module: Any, config: Any) -> tuple[Any, Any]:
        """Do the same, but without the calendars where one does not exist."""
        return skipping(self.of(workflow), *self.calendars.bind_known(module, config))


def skipping(windows: Iterable[Window], module: Any, config: Any) -> tuple[Any, Any]:
    """Return a timer type and its configuration under those of the windows that leave times out."""
    found = tuple(window for window in windows if window.mode == "skip")
    return module, excluding(config, Skipping(found)) if found else config


def deferring(windows: Iterable[Window], instant: int) -> str | None:
    """Return the note about the window in which a fire at `instant` has to wait for its end, or None."""
    for window in windows:
        if window.mode == "defer" and window.around(instant) is not None:
            return f"blackout {window.name} (defer)"
    return None
