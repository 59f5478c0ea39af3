"""Runs that are an execution which somebody else started on an engine elsewhere.

A run is marked before the engine is asked, so that after a crash the same execution is asked again and no other one.
Its decision says so from then on; where the engine knows better, both are taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.stores.portable.rows import numbered

_OPEN = "status IN ('QUEUED', 'RUNNING', 'PAUSED')"
_MINE = f"tenant_id = :tenant AND id = :id AND fence = :fence AND {_OPEN}"


async def known(store: Store, tenant_id: str, names: Sequence[str]) -> frozenset[str]:
    """Return which of these ids of executions belong to open runs, by their own id or by the engine's."""
    if not names:
        return frozenset()
    places, params = numbered("name", names)
    rows = await store.read(
        f"SELECT external_id FROM runs WHERE tenant_id = :tenant AND external_id IN ({places}) AND {_OPEN} "
        f"UNION SELECT id FROM runs WHERE tenant_id = :tenant AND id IN ({places})",
        {"tenant": tenant_id, **params},
    )
    return frozenset(row[0] for row in rows)


def mark(run: Run, execution_id: str, predicates: bytes) -> Work[bool]:
    """Note which execution a queued run is to be; False when the run is another instance's, or the execution taken."""
    taken = yield Sql(
        f"SELECT id FROM runs WHERE tenant_id = :tenant AND external_id = :execution AND id <> :id AND {_OPEN}",
        {"tenant": run.tenant_id, "execution": execution_id, "id": run.id},
    )
    if taken:
        return False
    rows = yield Sql(
        f"UPDATE runs SET external_id = :execution WHERE {_MINE} AND external_id IS NULL RETURNING id",
        _place(run, execution=execution_id),
    )
    if rows:
        yield _decide(run, Outcome.RUN_RESUMED, Reason.WAIT_ANSWERED, predicates)
    return bool(rows)


def unmark(run: Run, predicates: bytes) -> Work[None]:
    """Take the mark back: the run is to be started after all."""
    yield Sql(f"UPDATE runs SET external_id = NULL WHERE {_MINE}", _place(run))
    yield note(run, predicates)


def note(run: Run, predicates: bytes) -> Sql:
    """Return the statement that says in the decision why the run is started all the same."""
    return _decide(run, Outcome.RUN_STARTED, Reason.MATCHED, predicates)


def predicates_of(run: Run) -> Work[bytes]:
    """Return the lines of the run's decision, as JSON."""
    rows = yield Sql(
        "SELECT predicates FROM decisions WHERE tenant_id = :tenant AND event_id = :event AND trigger_id = :trigger",
        {"tenant": run.tenant_id, "event": run.event_id, "trigger": run.trigger_id},
    )
    return bytes(rows[0][0]) if rows else b"[]"


def _place(run: Run, **more: Any) -> dict[str, Any]:
    return {"tenant": run.tenant_id, "id": run.id, "fence": run.fence, **more}


def _decide(run: Run, outcome: Outcome, reason: Reason, predicates: bytes) -> Sql:
    return Sql(
        "UPDATE decisions SET outcome = :outcome, reason = :reason, predicates = :predicates "
        "WHERE tenant_id = :tenant AND event_id = :event AND trigger_id = :trigger AND run_id = :run",
        {
            "tenant": run.tenant_id, "event": run.event_id, "trigger": run.trigger_id, "run": run.id,
            "outcome": outcome, "reason": reason, "predicates": predicates,
        },
    )  # fmt: skip
