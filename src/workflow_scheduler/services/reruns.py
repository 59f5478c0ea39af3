"""Reruns: an ended run again, whole or from its failed jobs, with its own input or another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.dag.rerun import Kept, keep, nothing
from workflow_scheduler.core.errors import Conflict, FieldError, NotFound, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.inbound.storable import check_storable
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import FINAL, JobRecord, Run, RunStatus
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.engine import Engine
from workflow_scheduler.core.ports.rerun import Rerun, Rerunning
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.services.replay import replayed_event
from workflow_scheduler.stores.portable.events import EventRepository, StoredEvent
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.runs import RunRepository

_NAMED_MAX = 20


class RerunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is to be run again. `input` is JSON; None keeps that of the first run. `key` makes it happen once."""

    from_failed: bool = False
    input: bytes | None = None
    version: Literal["same", "live"] = "same"
    key: str | None = None


class StartsReruns(Protocol):
    """Stores and starts reruns (the rerun source)."""

    async def start(self, rerun: Rerun) -> Rerunning:
        """Return after the durable commit."""
        ...


class Graphs(Protocol):
    """Gives compiled workflow versions."""

    async def find(self, tenant_id: str, workflow_id: str, version: int) -> Graph:
        """Return the graph of a version; NotFound when it is not stored."""
        ...


class Reruns:
    """Starts reruns."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        catalog: Catalog,
        graphs: Graphs,
        source: StartsReruns,
        engines: Mapping[str, Engine],
    ) -> None:
        """Read from `store`, start through `source`."""
        self._clock = clock
        self._catalog = catalog
        self._graphs = graphs
        self._source = source
        self._engines = engines
        self._runs = RunRepository(store)
        self._events = EventRepository(store)

    async def rerun(self, principal: Principal, run_id: str, request: RerunRequest) -> dict[str, Any]:
        """Start a run again as a new run, and return its id and which jobs keep their results.

        Raises:
            NotFound: the tenant has no such run.
            Conflict: it has not ended, nothing of it failed (`from_failed`), or the version is not there.
            ValidationFailed: its engine does not say what became of single jobs (`from_failed`).

        """
        tenant, now = principal.tenant_id, self._clock.now()
        first = await self._runs.get(tenant, run_id, now)
        if isinstance(first, Malformed):
            raise Conflict(f"The stored row of run `{run_id}` cannot be read: {first.detail}")
        if first.status not in FINAL:
            raise Conflict(
                f"Run `{run_id}` has not ended ({first.status.value}).",
                fix=f"Wait for its end, or cancel it: POST /api/v1/runs/{run_id}/cancel",
            )
        version = first.version if request.version == "same" else await self._live(first)
        graph = await self._graph(first, version)
        engine = first.engine if version == first.version else graph.definition.engine
        kept = await self._kept(first, graph, (version, engine), request) if request.from_failed else nothing(graph)
        event = await self._event(principal, first, request, now)
        run = self._run(principal, first, event, (version, engine))
        run = run if request.input is None else replace(run, input=request.input)
        decision = _decision(event, run, kept, request)
        rerun = Rerun(event=event, decision=decision, run=run, records=kept.records, bearer=principal.bearer)
        answer = await self._source.start(rerun)
        return {
            "run_id": answer.run_id,
            "rerun_of": first.id,
            "duplicate": answer.duplicate,
            "version": version,
            "kept": list(kept.jobs),
            "again": list(kept.again),
            "changed": list(kept.changed),
        }

    async def _live(self, first: Run) -> int:
        ref = await self._catalog.workflow(first.tenant_id, first.workflow_id)
        if ref is None or ref.live_version is None:
            raise Conflict(
                f"The workflow `{first.workflow}` is not deployed.", fix='Deploy it, or rerun with `"version": "same"`.'
            )
        return ref.live_version

    async def _graph(self, first: Run, version: int) -> Graph:
        try:
            return await self._graphs.find(first.tenant_id, first.workflow_id, version)
        except NotFound:
            raise Conflict(f"Version {version} of the workflow `{first.workflow}` is stored no more.") from None

    async def _kept(self, first: Run, graph: Graph, how: tuple[int, str], request: RerunRequest) -> Kept:
        version, engine = how
        known = self._engines.get(first.engine)
        if known is None or not known.capabilities.job_detail or engine != first.engine:
            message = f"the engine `{first.engine}` does not say what became of single jobs; rerun the run whole"
            raise ValidationFailed(message, errors=[FieldError("from_failed", message)])
        if first.status is RunStatus.SUCCEEDED:
            raise Conflict(f"Run `{first.id}` succeeded: no job of it failed.", fix="Rerun it whole.")
        jobs = await self._runs.jobs(first.tenant_id, [first.id])
        records = [job for job in jobs if isinstance(job, JobRecord)]
        before = None if version == first.version else await self._graph(first, first.version)
        return keep(graph, records, before=before, edited=request.input is not None)

    async def _event(self, principal: Principal, first: Run, request: RerunRequest, now: int) -> Event:
        """Return the event of the first run once more, as the event of this rerun."""
        found = await self._events.several(first.tenant_id, [first.event_id], now)
        if found and isinstance(found[0], StoredEvent):
            event = replayed_event(found[0], principal.user_id, now)
        else:
            event = Event(
                id=mint(now), tenant_id=first.tenant_id, provider=first.trigger_type, source="", type="rerun",
                event_key="", time=first.created_at, received_at=now, data=b"null", subject=first.workflow_id,
                user_id=principal.user_id,
            )  # fmt: skip
        facts = msgspec.json.decode(event.attributes)
        attributes = {**facts, "rerun_of": first.id} if isinstance(facts, dict) else {"rerun_of": first.id}
        event = replace(
            event,
            source=f"/runs/{first.id}/rerun",
            event_key=request.key or event.id,
            attributes=msgspec.json.encode(attributes),
            target_trigger_id=first.trigger_id,
            index_keys=(),
            sub_keys=("",),
            depth=first.depth,
            cause_run_id=first.cause_run_id,
            traceparent=first.traceparent,
        )
        check_storable(event)
        return event

    def _run(self, principal: Principal, first: Run, event: Event, how: tuple[int, str]) -> Run:
        return Run(
            id=mint(event.received_at),
            tenant_id=first.tenant_id,
            workflow_id=first.workflow_id,
            workflow=first.workflow,
            version=how[0],
            trigger_id=first.trigger_id,
            trigger_type=first.trigger_type,
            event_id=event.id,
            event_key=f"rerun:{first.id}:{event.event_key}",
            created_at=event.received_at,
            engine=how[1],
            next_attempt_at=None if how[1] == "embedded" else event.received_at + SECOND_US,
            input=first.input,
            scheduled_for=first.scheduled_for,
            depth=first.depth,
            cause_run_id=first.cause_run_id,
            replay_of=event.replay_of,
            rerun_of=first.id,
            traceparent=first.traceparent,
            user_id=principal.user_id,
            overlap_key=first.overlap_key,
            priority=first.priority,
        )


def _decision(event: Event, run: Run, kept: Kept, request: RerunRequest) -> Decision:
    """Return the record of why this run starts: which run it repeats, and what of it."""
    again = list(kept.again[:_NAMED_MAX])
    what = "the failed jobs and those after them" if request.from_failed else "the whole run"
    note = f"{len(kept.jobs)} jobs keep their results"
    if kept.changed:
        note += f"; changed since: {', '.join(kept.changed[:_NAMED_MAX])}"
    line = Predicate("rerun", what, {"run": run.rerun_of, "again": again, "jobs": len(kept.again)}, True, note)  # noqa: FBT003
    return Decision(
        tenant_id=run.tenant_id,
        event_id=event.id,
        trigger_id=run.trigger_id,
        workflow_id=run.workflow_id,
        outcome=Outcome.RUN_STARTED,
        reason=Reason.RERUN,
        decided_at=event.received_at,
        predicates=msgspec.json.encode([line]),
        run_id=run.id,
    )
