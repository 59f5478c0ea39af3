"""The blackout windows in memory, read anew when the index epoch has moved."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.blackout import Window
from workflow_scheduler.stores.portable.windows import concerning, every_window


class Windows:
    """The windows of all tenants; writing one moves the index epoch, so that no fire overtakes it."""

    def __init__(self, store: Store, types: Mapping[str, ModuleType]) -> None:
        """Read from `store`; recurring windows are computed with `types`."""
        self._store = store
        self._types = types
        self._epoch = -1
        self._windows: dict[str, list[Window]] = {}

    async def refresh(self, epoch: int, now: int) -> None:
        """Read the windows again where the epoch is not the one they were read at; `now` in microseconds."""
        if epoch != self._epoch:
            self._windows, self._epoch = await every_window(self._store, self._types, now), epoch

    def of(self, tenant_id: str, workflow: str) -> tuple[Window, ...]:
        """Return the windows that hold for a workflow."""
        windows = self._windows.get(tenant_id)
        return concerning(windows, workflow) if windows else ()
