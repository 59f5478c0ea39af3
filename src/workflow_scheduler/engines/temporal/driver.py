"""The engine `temporal` as the pipeline sees it: starts workflows, asks where they stand, cancels and tells them.

The workflow id is our run id. A start that is repeated, by whomever, finds the first one, also when that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from workflow_scheduler.core.dag.actions import EndRun
from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.dag.park import is_resting
from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import body
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus, Wake
from workflow_scheduler.core.ports.engine import Capabilities, StartResult, Task
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.engines.temporal import orders
from workflow_scheduler.engines.temporal.books import Books
from workflow_scheduler.engines.temporal.client import RPC_SECONDS, TemporalAddress, connect, limited, translated
from workflow_scheduler.engines.temporal.marks import mark_of
from workflow_scheduler.engines.temporal.orders import Outcome, RunOrder
from workflow_scheduler.engines.temporal.outline import outline_of

T = TypeVar("T")
ORDER_BYTES_MAX = 1_900_000
_RPC = timedelta(seconds=RPC_SECONDS)
_STATUSES = {
    WorkflowExecutionStatus.COMPLETED: RunStatus.SUCCEEDED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.FAILED,
}


class TemporalEngine:
    """The engine `temporal`."""

    name: Final = "temporal"
    capabilities: Final = Capabilities(
        durable=True,
        idempotent_start=True,
        cancel=True,
        resume=True,
        answer=True,
        job_detail=True,
        several_instances=True,
    )

    def __init__(self, address: TemporalAddress, job_types: Mapping[str, Any], books: Books, clock: Clock) -> None:
        """Speak to `address`; nothing is connected before the first call."""
        self._address = address
        self._job_types = job_types
        self._books = books
        self._clock = clock
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def start(self, task: Task) -> StartResult:
        """Start a run once; see core.ports.engine.Engine for the errors."""
        run, foreign = task.run, task.graph.definition.temporal
        if foreign is None:
            kind: str = orders.WORKFLOW
            value: Any = await self._order(task)
            queue = self._address.task_queue
        else:
            kind, queue = foreign.workflow_type, foreign.task_queue or self._address.task_queue
            value = msgspec.json.decode(run.input)
        client = await self._connected()
        try:
            await self._call(
                client.start_workflow(
                    kind,
                    value,
                    id=run.id,
                    task_queue=queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"workflow": run.workflow, "tenant": run.tenant_id, "version": run.version},
                    static_summary=f"{run.workflow} v{run.version}",
                    rpc_timeout=_RPC,
                )
            )
        except WorkflowAlreadyStartedError:
            return StartResult(run.id, already=True)
        return StartResult(run.id)

    async def _order(self, task: Task) -> RunOrder:
        run = task.run
        outline = outline_of(task.graph, self._job_types) | {"heartbeat_seconds": self._address.heartbeat_seconds}
        done = task.done or await self._books.jobs(run)
        order = RunOrder(run.tenant_id, run.id, outline, marks=[mark_of(record) for record in done])
        size = len(msgspec.json.encode(asdict(order)))
        if size > ORDER_BYTES_MAX:
            text = f"the graph of {len(task.graph.nodes)} jobs takes {size} bytes; Temporal takes {ORDER_BYTES_MAX}"
            raise Rejected(text, fix="Split the workflow, or use `engine: embedded`.")
        return order

    async def cancel(self, run: Run) -> None:
        """Ask for the end of a run; one that is unknown or has ended needs nothing."""
        try:
            await self._call((await self._handle(run)).cancel(rpc_timeout=_RPC))
        except _Missing:
            return

    async def tell(self, wake: Wake) -> None:
        """Tell a run that what one of its jobs waits for has come about; the worker reads the rest in our store."""
        handle = (await self._connected()).get_workflow_handle(wake.run_id)
        try:
            await self._call(handle.signal(orders.WAKE, args=[wake.job_id, wake.name], rpc_timeout=_RPC))
        except _Missing:
            return

    async def describe(self, run: Run) -> RunChange | None:
        """Return where a run stands, with its output or error once it has ended; None when there is no such run."""
        handle = await self._handle(run)
        try:
            found = await self._call(handle.describe(rpc_timeout=_RPC))
        except _Missing:
            return None
        status = _STATUSES.get(found.status or WorkflowExecutionStatus.RUNNING, RunStatus.RUNNING)
        started_at = run.started_at or _micros(found.start_time)
        if status is RunStatus.RUNNING:
            if is_resting(await self._books.under_way(run), self._clock.now()):
                status = RunStatus.PAUSED
            return _change(run, status, started_at=started_at, external_id=run.id)
        times = (started_at, _micros(found.close_time) if found.close_time else started_at)
        graph = await self._books.graph(run)
        if graph.definition.temporal is not None or graph is None:
            return await self._foreign_end(handle, run, status, times)
        return await self._end(handle, run, (found, status, times), graph)

    async def _end(
        self,
        handle: WorkflowHandle[Any, Any],
        run: Run,
        known: tuple[WorkflowExecutionDescription, RunStatus, tuple[int, int]],
        graph: Graph,
    ) -> RunChange:
        found, status, times = known
        outcome = None if status is RunStatus.CANCELLED else await self._outcome(handle)
        if outcome is None and status is not RunStatus.CANCELLED:
            text = f"the Temporal workflow ended as {found.status.name if found.status else 'unknown'}"
            return _change(
                run, RunStatus.FAILED, started_at=times[0], ended_at=times[1], external_id=run.id,
                error=body("workflow_failed", text),
            )  # fmt: skip
        outcome = outcome or Outcome(str(status), code="cancelled")
        failed = tuple(graph.index[job_id] for job_id in outcome.failed if job_id in graph.index)
        wanted = [graph.nodes[job].id for job in (graph.leaves if status is RunStatus.SUCCEEDED else failed[:1])]
        records = {graph.index[one.job_id]: one for one in await self._books.jobs(run, wanted)}
        change = ending.change(run, EndRun(status, failed, outcome.code), graph, records, times)
        return msgspec.structs.replace(change, external_id=run.id)

    async def _outcome(self, handle: WorkflowHandle[Any, Any]) -> Outcome | None:
        try:
            value = await self._call(handle.result(rpc_timeout=_RPC))
        except WorkflowFailureError as error:
            cause = error.cause
            value = cause.details[0] if isinstance(cause, ApplicationError) and cause.details else None
        try:
            return msgspec.convert(value, Outcome)
        except msgspec.ValidationError:
            return None

    async def _foreign_end(
        self, handle: WorkflowHandle[Any, Any], run: Run, status: RunStatus, times: tuple[int, int]
    ) -> RunChange:
        output = error = None
        try:
            output = _encoded(await self._call(handle.result(rpc_timeout=_RPC)))
        except WorkflowFailureError as failure:
            if status is RunStatus.FAILED:
                cause = failure.cause
                code = getattr(cause, "type", None) or type(cause).__name__
                error = body(str(code), str(cause))
        return _change(
            run, status, started_at=times[0], ended_at=times[1], external_id=run.id, output=output, error=error
        )

    async def check(self) -> None:
        """Return once the server has answered.

        Raises:
            EngineUnavailable: it does not, or does not know the namespace.

        """
        client = await connect(self._address)
        await self._call(
            client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self._address.namespace), timeout=_RPC
            )
        )

    async def close(self) -> None:
        """Let go of the connection; runs go on."""
        self._client = None

    async def _handle(self, run: Run) -> WorkflowHandle[Any, Any]:
        return (await self._connected()).get_workflow_handle(run.id)

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None:
                self._client = await connect(self._address, lazy=True)
            return self._client

    async def _call(self, call: Awaitable[T]) -> T:
        try:
            async with limited(self._address):
                return await call
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                raise _Missing from error
            raise translated(self._address, error) from error
        except RuntimeError as error:  # a lazy client that cannot connect
            raise translated(self._address, RPCError(str(error), RPCStatusCode.UNAVAILABLE, b"")) from error


class _Missing(Exception):
    """The server knows no such workflow, or it has ended."""


def _change(run: Run, status: RunStatus, **values: Any) -> RunChange:
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, **values)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * SECOND_US)


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except Exception as error:  # noqa: BLE001 - a value of another one's workflow can be anything
        return msgspec.json.encode({"unreadable": f"{type(error).__name__}: {error}"})
