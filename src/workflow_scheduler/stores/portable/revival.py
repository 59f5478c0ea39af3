"""Making the run of a dead letter go on: the same run under the same id, so that it cannot double."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Sql, Work
from workflow_scheduler.stores.portable import turns
from workflow_scheduler.stores.portable.claims import RUN_COLUMNS, run_from_row


def revive(letter: dict[str, Any], owner: str, payload: bytes | None, dialect: str) -> Work[Run]:
    """Settle a dead letter (tenant id now) and make its run QUEUED again, under a higher fence.

    A run that must not overlap waits for its turn while another one is under way, whatever its trigger's policy says:
    somebody wants it to run.

    Raises:
        NotFound: there is no such dead letter.
        Conflict: it is settled already, or its run is not in a failed state.

    """
    rows = yield Sql(
        "UPDATE dead_letters SET status = 'redriven', settled_at = :now "
        "WHERE tenant_id = :tenant AND id = :id AND status = 'dead' RETURNING run_id",
        letter,
    )
    if not rows:
        known = yield Sql(
            "SELECT status FROM dead_letters WHERE tenant_id = :tenant AND id = :id",
            {"tenant": letter["tenant"], "id": letter["id"]},
        )
        if known:
            raise Conflict(f"This dead letter is {known[0][0]} already.")
        raise NotFound("There is no such dead letter.", fix="List them with `workflow-scheduler dead ls`.")
    key = {"tenant": letter["tenant"], "run": rows[0][0]}
    is_busy = yield from _is_busy(key, dialect)
    revived = yield Sql(
        "UPDATE runs SET status = 'QUEUED', owner = :owner, fence = fence + 1, deliveries = 1, error = NULL, "
        "ended_at = NULL, started_at = NULL, external_id = NULL, next_attempt_at = NULL, cancel_requested = 0, "
        "created_at = :now, input = COALESCE(:payload, input) "
        f"WHERE tenant_id = :tenant AND id = :run AND status IN ('FAILED', 'CANCELLED') RETURNING {RUN_COLUMNS}",
        {**key, "owner": None if is_busy else owner, "now": letter["now"], "payload": payload},
    )
    if not revived:
        raise Conflict("The run of this dead letter is not in a failed state any more.")
    # What a job finished stays finished; what failed or was under way is done again.
    yield Sql("DELETE FROM jobs WHERE tenant_id = :tenant AND run_id = :run AND status <> 'SUCCEEDED'", key)
    return run_from_row(revived[0])


def _is_busy(run: dict[str, Any], dialect: str) -> Work[bool]:
    """Lock the overlap key of a run, where it has one; return whether it would have to wait."""
    rows = yield Sql("SELECT overlap_key FROM runs WHERE tenant_id = :tenant AND id = :run", run)
    if not rows or rows[0][0] is None:
        return False
    key = (run["tenant"], str(rows[0][0]))
    yield from turns.lock(dialect, key)
    return (yield from turns.is_full(key))
