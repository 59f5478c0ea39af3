"""What the pipeline reads about triggers and workflows."""

from __future__ import annotations

from typing import Protocol

import msgspec

from workflow_scheduler.core.model.trigger import Schedule, Trigger
from workflow_scheduler.core.model.workflow import Definition


class WorkflowRef(msgspec.Struct, frozen=True, gc=False):
    """The live state of a workflow: which version runs, on which engine, and whether it is paused."""

    tenant_id: str
    id: str
    name: str
    live_version: int | None
    latest_version: int
    paused: bool


class DueRow(msgspec.Struct, frozen=True, gc=False):
    """A schedule that is due, with the trigger that owns it."""

    schedule: Schedule
    trigger: Trigger


DueKey = tuple[int, str, str]
"""The place of a due row in the order of time: next_fire_at, tenant, trigger."""
FIRST_DUE: DueKey = (-1, "", "")


class Catalog(Protocol):
    """Indexed look-ups; the cost of each grows with what it returns, never with what is stored.

    Rows that cannot be read are left out and noted in `malformed`: (tenant, kind, id) -> what is wrong.
    """

    malformed: dict[tuple[str, str, str], str]

    async def by_key(self, tenant_id: str, provider: str, index_key: str, limit: int) -> list[Trigger]:
        """Return up to `limit` triggers under an index key, whatever their sub key."""
        ...

    async def by_sub_key(self, tenant_id: str, provider: str, index_key: str, sub_key: str) -> list[Trigger]:
        """Return the triggers under an index key and sub key."""
        ...

    async def trigger(self, tenant_id: str, trigger_id: str) -> Trigger | None:
        """Return one trigger that is live."""
        ...

    async def of_workflow(self, tenant_id: str, workflow_id: str, provider: str) -> list[Trigger]:
        """Return the live triggers of one type of a workflow."""
        ...

    async def of_source(self, tenant_id: str, provider: str, source_key: str) -> Trigger | None:
        """Return the live trigger by whose configuration a source is heard; None when nobody needs it.

        Of several with the same key that are not disabled, it is the one with the least id.
        """
        ...

    async def awaits(self, tenant_id: str) -> bool:
        """Return whether runs of any workflow of the tenant may wait for people."""
        ...

    async def routes(self, provider: str, index_key: str) -> list[Trigger]:
        """Return the triggers of every tenant under a public index key (webhook paths, see core/match/keys)."""
        ...

    async def distinct_keys(self, provider: str, prefix: str) -> list[str]:
        """Return the distinct index keys of a type that begin with `prefix`, over all tenants."""
        ...

    async def workflow(self, tenant_id: str, reference: str) -> WorkflowRef | None:
        """Return a workflow by id or name."""
        ...

    async def definition(self, tenant_id: str, workflow_id: str, version: int) -> Definition | None:
        """Return the definition of one version."""
        ...

    async def due(self, now: int, limit: int, after: DueKey = FIRST_DUE) -> list[DueRow]:
        """Return up to `limit` schedules whose time has come, the oldest first, later in that order than `after`."""
        ...

    async def due_of(self, tenant_id: str, trigger_id: str, now: int) -> DueRow | None:
        """Return one schedule if its time has come."""
        ...

    async def next_due(self) -> int | None:
        """Return when the next schedule is due."""
        ...
