"""Runs: list, show with jobs, cause and provenance, logs, cancel, wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec.structs import replace

from workflow_scheduler.core.errors import Conflict, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import FINAL, Run, RunStatus
from workflow_scheduler.core.model.wait import Wait, WaitStatus
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.shapes import (
    job_shape,
    log_shape,
    malformed_shape,
    parallelism_shape,
    run_shape,
    shaped,
)
from workflow_scheduler.stores.portable import turns, waits
from workflow_scheduler.stores.portable.decisions import DecisionRepository
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.runs import PAGE_JOBS, JobRow, RunFilter, RunRepository

WAIT_SECONDS_MAX = 300.0


class Cancels(Protocol):
    """Cancels runs (the launcher)."""

    async def cancel(self, tenant_id: str, run_id: str) -> None:
        """Ask for the end of a run; returns when the request is durable."""
        ...


class Waits(Protocol):
    """Waits for runs (the tracker)."""

    async def wait(self, tenant_id: str, run_id: str, seconds: float) -> bool:
        """Return True when the run has ended, False when `seconds` have passed before that."""
        ...


class Causes(Protocol):
    """Tells why a run started (the explainer)."""

    async def cause(self, tenant_id: str, run: Run) -> dict[str, Any]:
        """Return the event, trigger and decision that made a run, with a sentence."""
        ...


def execution_shape(run: Run) -> dict[str, Any]:
    """Return a run in the words of the engine protocol; `started_at` is there from its creation on."""
    shape = run_shape(run)
    return {
        "execution_id": run.id,
        "id": run.id,
        "idempotency_key": run.event_key,
        "run_id": run.event_key if run.trigger_type == "manual" else run.id,
        "workflow_id": run.workflow_id,
        "workflow": run.workflow,
        "workflow_version": run.version,
        "status": run.status.value,
        "started_at": shape["started_at"] or shape["created_at"],
        "ended_at": shape["ended_at"],
        "input": shape["input"],
        "output": shape["output"],
        "error": shape["error"],
    }


def interaction_shape(wait: Wait) -> dict[str, Any]:
    """Return what a paused run asks for in the words of the engine protocol."""
    asked = wait.request
    return {"interaction_id": wait.id, "ask": asked.ask, "decision": asked.decides, "form": asked.form}


def _run_id(job: JobRow | Malformed) -> str:
    return job.run_id if isinstance(job, JobRow) else job.id.partition("/")[0]


class Runs:
    """What can be asked and done about runs."""

    def __init__(self, store: Store, clock: Clock, launcher: Cancels, tracker: Waits, causes: Causes) -> None:
        """Read from `store`; cancel through the launcher, wait through the tracker, explain through `causes`."""
        self._store = store
        self._clock = clock
        self._launcher = launcher
        self._tracker = tracker
        self._causes = causes
        self._runs = RunRepository(store)
        self._decisions = DecisionRepository(store)

    async def page(
        self,
        principal: Principal,
        *,
        workflow: str | None = None,
        wanted: RunFilter | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return runs, the newest first. `workflow` is an id or a name and goes with the other filters of `wanted`.

        A page may hold fewer than `limit` items while `next` is set; follow it to the end.
        """
        tenant, now = principal.tenant_id, self._clock.now()
        filters = wanted or RunFilter()
        if workflow is not None:
            workflow_id = await self._runs.workflow_id(tenant, workflow)
            filters = replace(filters, workflow_id=workflow_id)
        runs, after = await self._runs.page(tenant, filters, limit, cursor, now)
        items, broken = shaped(runs, "runs", lambda run: run.id, run_shape)
        await quarantine(self._store, tenant, broken, now)
        await self._add_jobs(tenant, items)
        triggers = sorted({item["trigger_id"] for item in items if "status" in item})
        names = await self._decisions.triggers(tenant, triggers)
        for item in items:
            named = names.get(item.get("trigger_id", ""))
            item["trigger"] = named.name if named else None
        return Page(items, after)

    async def _add_jobs(self, tenant_id: str, items: list[dict[str, Any]]) -> None:
        """Put the jobs into the runs of a page, as far as `PAGE_JOBS` reaches; beyond it runs say so."""
        ids = [item["id"] for item in items if "status" in item]
        jobs = await self._runs.jobs(tenant_id, ids, PAGE_JOBS + 1)
        cut: str | None = None
        if len(jobs) > PAGE_JOBS:
            cut = _run_id(jobs[-1])
        by_run: dict[str, list[JobRow | Malformed]] = {}
        for job in jobs:
            by_run.setdefault(_run_id(job), []).append(job)
        for item in items:
            if "status" not in item:
                continue
            if cut is not None and item["id"] <= cut:
                item["jobs_omitted"] = True
            else:
                item["jobs"] = self._job_shapes(by_run.get(item["id"], []))

    def _job_shapes(self, jobs: list[JobRow | Malformed]) -> list[dict[str, Any]]:
        items, _ = shaped(jobs, "jobs", lambda job: f"{job.run_id}/{job.job_id}", job_shape)
        return sorted(items, key=lambda job: (job.get("started_at") is None, job.get("started_at") or "", job["id"]))

    async def show(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """Return one run with its jobs, its cause and its provenance.

        Raises:
            NotFound: the tenant has no such run.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        run = await self._runs.get(tenant, run_id, now)
        if isinstance(run, Malformed):
            return malformed_shape(run)
        items, broken = shaped([run], "runs", lambda one: one.id, run_shape)
        await quarantine(self._store, tenant, broken, now)
        shown = items[0]
        jobs = await self._runs.jobs(tenant, [run_id])
        shown["jobs"] = self._job_shapes(jobs)
        shown["parallelism"] = parallelism_shape(jobs) if run.status in FINAL else None
        cause = await self._causes.cause(tenant, run)
        shown["waits_for"] = await turns.under_way(self._store, run) if run.waits else []
        shown["trigger"] = cause["trigger"]["name"]
        shown["cause"] = cause
        shown["provenance"] = {
            "event_id": run.event_id,
            "event_key": run.event_key,
            "trigger_id": run.trigger_id,
            "cause_run_id": run.cause_run_id,
            "replay_of": run.replay_of,
            "backfill_id": run.backfill_id,
            "rerun_of": run.rerun_of,
            "depth": run.depth,
            "user_id": run.user_id,
            "traceparent": run.traceparent,
        }
        return shown

    async def find(self, principal: Principal, run_id: str) -> Run:
        """Return the stored run.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: its row cannot be read.

        """
        run = await self._runs.get(principal.tenant_id, run_id, self._clock.now())
        if isinstance(run, Malformed):
            raise Conflict(f"The stored row of run `{run_id}` cannot be read: {run.detail}")
        return run

    async def logs(
        self, principal: Principal, run_id: str, *, after: str | None = None, limit: int = 500, job: str | None = None
    ) -> Page:
        """Return log lines of a run in their order; the cursor is the sequence number of the last line.

        Raises:
            NotFound: the tenant has no such run.
            ValidationFailed: the cursor is not a number.

        """
        await self._runs.get(principal.tenant_id, run_id, self._clock.now())
        start = -1
        if after is not None:
            if not after.lstrip("-").isascii() or not after.lstrip("-").isdigit() or len(after) > 18:  # noqa: PLR2004
                raise ValidationFailed("The cursor of a log is the sequence number of a line.")
            start = int(after)
        lines, following = await self._runs.logs(principal.tenant_id, run_id, after=start, limit=limit, job_id=job)
        items, _ = shaped(lines, "job_logs", lambda line: str(line.seq), log_shape)
        return Page(items, None if following is None else str(following))

    async def cancel(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """Cancel a run; one that is cancelled already is returned as it is.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: the run has ended otherwise.

        """
        run = await self.find(principal, run_id)
        if run.status in FINAL:
            if run.status is RunStatus.CANCELLED:
                return await self.show(principal, run_id)
            raise Conflict(f"Run `{run_id}` has ended already ({run.status.value}); there is nothing to cancel.")
        await self._launcher.cancel(principal.tenant_id, run_id)
        return await self.show(principal, run_id)

    async def wait(self, principal: Principal, run_id: str, seconds: float = 30.0) -> dict[str, Any]:
        """Return the run once it has ended, or as it stands after `seconds` (at most 300); `ended` says which.

        Raises:
            NotFound: the tenant has no such run.

        """
        run = await self.find(principal, run_id)
        if run.status not in FINAL:
            await self._tracker.wait(principal.tenant_id, run_id, max(0.0, min(seconds, WAIT_SECONDS_MAX)))
        shown = await self.show(principal, run_id)
        shown["ended"] = shown.get("status") in {status.value for status in FINAL}
        return shown

    async def output(self, principal: Principal, run_id: str) -> Any:
        """Return the output of a run that has ended.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: the run has not ended.

        """
        shown = await self.show(principal, run_id)
        if shown.get("status") not in {status.value for status in FINAL}:
            raise Conflict(f"Run `{run_id}` has not ended yet.", fix=f"Wait for it: GET /api/v1/runs/{run_id}/wait")
        return shown["output"]

    async def execution(self, principal: Principal, run_id: str) -> dict[str, Any]:
        """Return one run in the words of the engine protocol, with its jobs and what it asks for.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: its row cannot be read.

        """
        run = await self.find(principal, run_id)
        jobs = self._job_shapes(await self._runs.jobs(principal.tenant_id, [run_id]))
        asked = await waits.of_run(self._store, principal.tenant_id, run_id) if run.status is RunStatus.PAUSED else []
        open_ones = [interaction_shape(wait) for wait in asked if wait.status is WaitStatus.OPEN]
        return {**execution_shape(run), "jobs": jobs, "interactions": open_ones}

    async def executions(
        self,
        principal: Principal,
        workflow: str,
        *,
        status: RunStatus | None = None,
        key: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return the runs of a workflow in the words of the engine protocol, or the one started with `key`.

        Raises:
            NotFound: the tenant has no such workflow, and no runs of a deleted one.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        workflow_id = await self._runs.workflow_id(tenant, workflow)
        if key is not None:
            started = await self._runs.started_by_key(tenant, workflow_id, key)
            runs: Sequence[Run | Malformed] = [run for run in started if status in (None, run.status)]
            after = None
        else:
            wanted = RunFilter(workflow_id=workflow_id, status=status)
            runs, after = await self._runs.page(tenant, wanted, limit, cursor, now)
        if not runs and after is None and not await self._runs.has_workflow(tenant, workflow_id):
            raise NotFound(f"there is no workflow `{workflow}`", fix="list the workflows: GET /api/v1/workflows")
        items, broken = shaped(runs, "runs", lambda run: run.id, execution_shape)
        await quarantine(self._store, tenant, broken, now)
        return Page([{"execution_id": item["id"], **item} for item in items], after)
