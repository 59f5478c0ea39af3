"""Stored blackout windows, ready to be asked. One that cannot be read holds nothing back, and is put in quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import msgspec

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.blackout import Window, window_of
from workflow_scheduler.stores.portable.blackouts import every_blackout
from workflow_scheduler.stores.portable.rows import Malformed, quarantine

TABLE = "blackouts"


def read_window(types: Mapping[str, ModuleType], name: str, definition: str) -> Window | Malformed:
    """Return a stored window; recurring ones are computed with `types`."""
    try:
        return window_of(types, name, msgspec.json.decode(definition))
    except (SchedulerError, ValueError, TypeError, KeyError, msgspec.MsgspecError) as error:
        detail = error.detail if isinstance(error, SchedulerError) else f"{type(error).__name__}: {error}"
        return Malformed(TABLE, name, f"it holds nothing back, because it cannot be read: {detail}")


async def every_window(
    store: Store, types: Mapping[str, ModuleType], now: int, tenant_id: str | None = None
) -> dict[str, list[Window]]:
    """Return the windows of every tenant, or of one, and list those that cannot be read as quarantined."""
    found: dict[str, list[Window]] = {}
    broken: dict[str, list[Malformed]] = {}
    for tenant, name, definition in await every_blackout(store, tenant_id):
        window = read_window(types, name, definition)
        if isinstance(window, Malformed):
            broken.setdefault(tenant, []).append(window)
        else:
            found.setdefault(tenant, []).append(window)
    for tenant, rows in broken.items():
        await quarantine(store, tenant, rows, now)
    return found


def concerning(windows: Sequence[Window], workflow: str) -> tuple[Window, ...]:
    """Return the windows that hold for a workflow."""
    return tuple(window for window in windows if window.concerns(workflow))
