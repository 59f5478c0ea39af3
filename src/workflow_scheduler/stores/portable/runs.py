"""Runs, their jobs and their logs, as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.run import FINAL, JobRecord, LogLine, Run, RunStatus
from workflow_scheduler.core.ports.store import Row, Store
from workflow_scheduler.stores.portable.rows import Malformed, numbered, quarantine, read_row, read_rows
from workflow_scheduler.stores.portable.scan import Scan, between, page

COLUMNS = (
    "id", "tenant_id", "workflow_id", "workflow", "version", "trigger_id", "trigger_type", "event_id",
    "event_key", "engine", "status", "owner", "fence", "deliveries", "input", "output", "error",
    "scheduled_for", "created_at", "started_at", "ended_at", "next_attempt_at", "external_id", "depth",
    "cause_run_id", "replay_of", "traceparent", "user_id", "cancel_requested", "backfill_id", "overlap_key",
    "priority", "rerun_of",
)  # fmt: skip
JOB_COLUMNS = (
    "job_id", "tenant_id", "run_id", "status", "attempt", "started_at", "ended_at", "output", "error",
    "wake_at", "reused_from",
)  # fmt: skip
LOG_COLUMNS = (
    "seq", "tenant_id", "run_id", "job_id", "attempt", "at", "stream", "line",
)  # fmt: skip
_RUNS = ", ".join(COLUMNS)
_JOBS = ", ".join(JOB_COLUMNS)
_LOGS = ", ".join(LOG_COLUMNS)
PAGE_JOBS = 1_000
_OPEN = "'QUEUED', 'RUNNING', 'PAUSED'"
_FAILED = "'FAILED', 'CANCELLED'"


class JobRow(JobRecord, frozen=True, kw_only=True, gc=False):
    """A stored job. The fence that it was written under is not kept in its row.

    A rerun has `reused_from`, the run in which the job was executed, in the jobs that it kept.
    """

    fence: int = 0
    reused_from: str | None = None


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list. Times are microseconds, of creation; None leaves a field out."""

    workflow_id: str | None = None
    status: RunStatus | None = None
    trigger_type: str | None = None
    trigger_id: str | None = None
    event_id: str | None = None
    backfill_id: str | None = None
    since: int | None = None
    until: int | None = None


class RunRepository:
    """Reads the runs of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def get(self, tenant_id: str, run_id: str, now: int) -> Run | Malformed:
        """Return one run.

        Raises:
            NotFound: the tenant has no such run.

        """
        rows = await self._store.read(
            f"SELECT {_RUNS} FROM runs WHERE tenant_id = :tenant AND id = :id",
            {"tenant": tenant_id, "id": run_id},
        )
        if not rows:
            raise NotFound(f"There is no run `{run_id}`.", fix="List the runs: GET /api/v1/runs")
        found = read_rows(Run, COLUMNS, rows, "runs")
        await quarantine(self._store, tenant_id, found, now)
        return found[0]

    async def several(self, tenant_id: str, run_ids: Sequence[str]) -> dict[str, Run]:
        """Return the readable ones of these runs, by id."""
        if not run_ids:
            return {}
        names, params = numbered("id", run_ids)
        rows = await self._store.read(
            f"SELECT {_RUNS} FROM runs WHERE tenant_id = :tenant AND id IN ({names})",
            {"tenant": tenant_id, **params},
        )
        found = read_rows(Run, COLUMNS, rows, "runs")
        return {run.id: run for run in found if isinstance(run, Run)}

    async def started_by_key(self, tenant_id: str, workflow_id: str, key: str) -> list[Run]:
        """Return the run that a manual start of a workflow made for an idempotency key, or the run with that id."""
        rows = await self._store.read(
            """SELECT d.run_id FROM events e
                JOIN decisions d ON d.tenant_id = e.tenant_id AND d.event_id = e.id
                WHERE e.tenant_id = :tenant AND e.source = :source AND e.event_key = :key AND d.run_id IS NOT NULL""",
            {"tenant": tenant_id, "source": f"/manual/{workflow_id}", "key": key},
        )
        found = await self.several(tenant_id, [str(row[0]) for row in rows] or [key])
        return [run for run in found.values() if run.workflow_id == workflow_id]

    async def page(
        self, tenant_id: str, wanted: RunFilter, limit: int, cursor: str | None, now: int
    ) -> tuple[list[Run | Malformed], str | None]:
        """Return the newest runs first, and the cursor of the next page."""
        if wanted.event_id is not None:
            rows, after = await self._of_event(tenant_id, wanted, limit, cursor)
        else:
            rows, after = await page(self._store, self._scan(tenant_id, wanted, cursor), limit)
        found = read_rows(Run, COLUMNS, rows, "runs")
        await quarantine(self._store, tenant_id, found, now)
        return found, after

    def _scan(self, tenant_id: str, wanted: RunFilter, cursor: str | None) -> Scan:
        fixed, hint, ids_first = ["tenant_id = :tenant"], "", False
        filters: list[str] = []
        params: dict[str, Any] = {"tenant": tenant_id}
        if wanted.backfill_id is not None:
            fixed.append("backfill_id = :backfill")
            params["backfill"] = wanted.backfill_id
        if wanted.workflow_id is not None:
            (fixed if wanted.backfill_id is None else filters).append("workflow_id = :workflow")
            params["workflow"] = wanted.workflow_id
        if wanted.status is not None:
            status = f"status = '{RunStatus(wanted.status).value}'"
            if wanted.workflow_id is None and wanted.backfill_id is None and wanted.status != RunStatus.SUCCEEDED:
                # Few runs are open or failed: their partial indexes hold only those, and are used where the query
                # repeats their condition to the letter.
                index, holds = ("runs_failed", _FAILED) if wanted.status in FINAL else ("runs_open", _OPEN)
                fixed += [status, f"status IN ({holds})"]
                ids_first = index == "runs_open"
                hint = f"INDEXED BY {index}" if self._store.dialect == "sqlite" else ""
            else:
                filters.append(status)
        for column, value in (("trigger_type", wanted.trigger_type), ("trigger_id", wanted.trigger_id)):
            if value is not None:
                filters.append(f"{column} = :{column}")
                params[column] = value
        if wanted.since is not None:
            # Ids never go back, not even when the clock does: an id may name a later time than the row.
            fixed.append("created_at >= :created")
            params["created"] = wanted.since
        ids = between(cursor, wanted.since, wanted.until)
        return Scan(
            table="runs",
            columns=COLUMNS,
            fixed=fixed,
            filters=filters,
            params=params,
            ids=ids,
            hint=hint,
            ids_first=ids_first,
        )

    async def _of_event(
        self, tenant_id: str, wanted: RunFilter, limit: int, cursor: str | None
    ) -> tuple[list[Row], str | None]:
        ids = between(cursor, wanted.since, wanted.until)
        where = ["d.tenant_id = :tenant", "d.event_id = :event", "d.run_id < :before", "d.run_id >= :since"]
        params: dict[str, Any] = {"tenant": tenant_id, "event": wanted.event_id}
        for column in ("workflow_id", "status", "trigger_type", "trigger_id", "backfill_id"):
            value = getattr(wanted, column)
            if value is not None:
                where.append(f"r.{column} = :{column}")
                params[column] = str(value)
        columns = ", ".join(f"r.{column}" for column in COLUMNS)
        rows = await self._store.read(
            f"""SELECT {columns} FROM decisions d
                JOIN runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id
                WHERE {" AND ".join(where)} ORDER BY d.run_id DESC LIMIT :limit""",
            {**params, "before": ids.before, "since": ids.since, "limit": limit + 1},
        )
        return rows[:limit], str(rows[limit - 1][0]) if len(rows) > limit else None

    async def jobs(self, tenant_id: str, run_ids: Sequence[str], limit: int | None = None) -> list[JobRow | Malformed]:
        """Return the stored jobs of these runs, grouped by run (newest run first) in order of their start."""
        if not run_ids:
            return []
        names, params = numbered("run", run_ids)
        bound = "" if limit is None else "LIMIT :limit"
        rows = await self._store.read(
            f"""SELECT {_JOBS} FROM jobs WHERE tenant_id = :tenant AND run_id IN ({names})
                ORDER BY run_id DESC {bound}""",
            {"tenant": tenant_id, **params, **({} if limit is None else {"limit": limit})},
        )
        return read_rows(JobRow, JOB_COLUMNS, rows, "jobs", key=(2, 0))

    async def logs(
        self, tenant_id: str, run_id: str, *, after: int, limit: int, job_id: str | None = None
    ) -> tuple[list[LogLine], int | None]:
        """Return the log lines of a run after the sequence number `after`, and the number to go on from."""
        params: dict[str, Any] = {"tenant": tenant_id, "run": run_id, "after": after, "limit": limit + 1}
        only = ""
        if job_id is not None:
            only, params["job"] = "AND job_id = :job", job_id
        rows = await self._store.read(
            f"""SELECT {_LOGS} FROM job_logs WHERE tenant_id = :tenant AND run_id = :run AND seq > :after {only}
                ORDER BY seq LIMIT :limit""",
            params,
        )
        lines = [_line(row) for row in rows[:limit]]
        return lines, lines[-1].seq if len(rows) > limit else None

    async def count_open(self, tenant_id: str, workflow_id: str) -> int:
        """Return how many runs of a workflow have not ended."""
        rows = await self._store.read(
            """SELECT count(*) FROM runs WHERE tenant_id = :tenant AND workflow_id = :workflow
               AND status IN ('QUEUED', 'RUNNING', 'PAUSED')""",
            {"tenant": tenant_id, "workflow": workflow_id},
        )
        return int(rows[0][0])

    async def workflow_id(self, tenant_id: str, name_or_id: str) -> str:
        """Return the id of a workflow given by id or name; an unknown one is returned as it is, so it lists nothing."""
        rows = await self._store.read(
            """SELECT id FROM workflows WHERE tenant_id = :tenant AND id = :it
               UNION ALL SELECT id FROM workflows WHERE tenant_id = :tenant AND name = :it""",
            {"tenant": tenant_id, "it": name_or_id},
        )
        return str(rows[0][0]) if rows else name_or_id

    async def has_workflow(self, tenant_id: str, workflow_id: str) -> bool:
        """Return whether the tenant has a workflow of this id."""
        statement = "SELECT 1 FROM workflows WHERE tenant_id = :tenant AND id = :id"
        return bool(await self._store.read(statement, {"tenant": tenant_id, "id": workflow_id}))


def _line(row: Row) -> LogLine:
    """Return a log line; one that cannot be read says so in its place, because the order matters to the reader."""
    try:
        return read_row(LogLine, LOG_COLUMNS, row)
    except (msgspec.ValidationError, ValueError) as error:
        text = f"this line cannot be read: {error}"
        return LogLine(
            tenant_id=str(row[1]),
            run_id=str(row[2]),
            job_id=str(row[3]),
            attempt=0,
            seq=row[0],
            at=0,
            stream="system",
            line=text,
        )
