"""The blackout windows in memory, read anew when the index epoch has moved."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import msgspec

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.blackout import Window, window_of
from workflow_scheduler.stores.portable.blackouts import every_blackout


class Windows:
    """The windows of all tenants; writing one moves the index epoch, so that no fire overtakes it."""

    def __init__(self, store: Store, types: Mapping[str, ModuleType]) -> None:
        """Read from `store`; recurring windows are computed with `types`."""
        self._store = store
        self._types = types
        self._epoch = -1
        self._windows: dict[str, list[Window]] = {}

    async def refresh(self, epoch: int) -> None:
        """Read the windows again where the epoch is not the one they were read at."""
        if epoch == self._epoch:
            return
        found: dict[str, list[Window]] = {}
        for tenant_id, name, definition in await every_blackout(self._store):
            try:
                window = window_of(self._types, name, msgspec.json.decode(definition))
            except (SchedulerError, ValueError, msgspec.MsgspecError):
                continue  # a window that cannot be read holds nothing back
            found.setdefault(tenant_id, []).append(window)
        self._windows, self._epoch = found, epoch

    def of(self, tenant_id: str, workflow: str) -> tuple[Window, ...]:
        """Return the windows that hold for a workflow."""
        windows = self._windows.get(tenant_id)
        return tuple(window for window in windows if window.concerns(workflow)) if windows else ()
