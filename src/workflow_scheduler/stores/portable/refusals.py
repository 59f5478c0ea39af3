"""When a push trigger last refused a request, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import SECOND_US

EVERY_US = SECOND_US
TRIGGERS_MAX = 10_000
TOGETHER_MAX = 100
_WHY_MAX = 500


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The last request that a trigger refused; `at` in microseconds UTC."""

    at: int
    why: str


class Refusals:
    """Notes in the database, beside the triggers: a request that was refused leaves no event that could be explained.

    At most one note per trigger and second, and TOGETHER_MAX for one request, so that who may not be heard cannot keep
    the database busy either.
    """

    def __init__(self, store: Store) -> None:
        """Remember in `store`."""
        self._store = store
        self._written: dict[tuple[str, str], int] = {}

    async def note(self, triggers: Sequence[tuple[str, str]], why: str, now: int) -> None:
        """Remember that triggers (tenant, id) refused a request at `now` (microseconds UTC)."""
        due = [one for one in sorted(triggers) if now - self._written.get(one, now - EVERY_US) >= EVERY_US]
        del due[TOGETHER_MAX:]
        if not due:
            return
        if len(self._written) >= TRIGGERS_MAX:
            self._written.clear()
        self._written |= dict.fromkeys(due, now)
        await self._store.transact(_note(due, why[:_WHY_MAX], now))


async def last_refusal(store: Store, tenant_id: str, trigger_id: str) -> Refusal | None:
    """Return the last request that a trigger refused, None when it refused none."""
    rows = await store.read(
        "SELECT refused_at, refused_why FROM trigger_index"
        " WHERE tenant_id = :tenant AND id = :trigger AND refused_at IS NOT NULL",
        {"tenant": tenant_id, "trigger": trigger_id},
    )
    return Refusal(int(rows[0][0]), str(rows[0][1])) if rows else None


def _note(triggers: Sequence[tuple[str, str]], why: str, now: int) -> Work[None]:
    for tenant_id, trigger_id in triggers:
        yield Sql(
            "UPDATE trigger_index SET refused_at = :now, refused_why = :why"
            " WHERE tenant_id = :tenant AND id = :trigger",
            {"tenant": tenant_id, "trigger": trigger_id, "why": why, "now": now},
        )
