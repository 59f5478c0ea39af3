"""Runs that rest: no instance has them, and any one takes them up when their time has come or they are told something.

A run rests when all of its jobs wait (core/dag/park.py). Its engine stores that with the owner `parked` and with the
next time at which something is due; from then on nothing in any process belongs to it. Whoever takes it up becomes its
owner under a higher fence, exactly as with the runs of an instance that is gone.
"""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.model.run import PARKED
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.claims import RUN_COLUMNS

_RESTS = f"owner = '{PARKED}' AND status = 'PAUSED'"
_DUE = f"SELECT tenant_id, id FROM runs WHERE {_RESTS} AND wake_at <= :until"
# What is told is rare, and removed when it is taken in: this begins with the wakes, not with the runs.
_TOLD = f"""SELECT r.tenant_id, r.id FROM wakes w JOIN runs r ON r.tenant_id = w.tenant_id AND r.id = w.run_id
            WHERE r.owner = '{PARKED}' AND r.status = 'PAUSED'"""


async def any_due(store: Store, until: int) -> bool:
    """Return whether anything is due at a resting run before `until` (microseconds), a wish to cancel it included."""
    return bool(await store.read(f"{_DUE} LIMIT 1", {"until": until}))


async def any_told(store: Store) -> bool:
    """Return whether a resting run was told something."""
    return bool(await store.read(f"{_TOLD} LIMIT 1"))


def take_due(me: str, until: int, limit: int) -> Work[list[Row]]:
    """Make up to `limit` resting runs at which something is due this instance's; return their rows (RUN_COLUMNS)."""
    return _take(f"{_DUE} ORDER BY wake_at LIMIT :limit", me, {"until": until, "limit": limit})


def take_told(me: str, limit: int) -> Work[list[Row]]:
    """Make up to `limit` resting runs that were told something this instance's; return their rows (RUN_COLUMNS)."""
    return _take(f"{_TOLD} LIMIT :limit", me, {"limit": limit})


def _take(chosen: str, me: str, params: dict[str, Any]) -> Work[list[Row]]:
    """Take rows; of two instances that choose the same one, the second finds on the row that it rests no more.

    No delivery is counted: nothing of such a run was at work in a process that died.
    """
    rows = yield Sql(
        "UPDATE runs SET owner = :me, fence = fence + 1, wake_at = NULL "
        f"WHERE {_RESTS} AND (tenant_id, id) IN ({chosen}) RETURNING {RUN_COLUMNS}",
        {"me": me, **params},
    )
    return rows
