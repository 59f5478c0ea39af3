"""What a Prefect server says about flow runs, as the pipeline understands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from workflow_scheduler.core.errors import EngineUnavailable
from workflow_scheduler.core.execution.failure import body
from workflow_scheduler.core.model.run import LogLine, Run, RunChange, RunStatus
from workflow_scheduler.core.time.clock import from_iso

JOB: Final = "flow"
"""The job id under which the log of a flow run is kept; its tasks stay opaque."""
STATUSES: Final[Mapping[str, RunStatus]] = {
    "SCHEDULED": RunStatus.RUNNING,  # Prefect has it: also while it is late, or waits for a retry
    "PENDING": RunStatus.RUNNING,
    "RUNNING": RunStatus.RUNNING,
    "CANCELLING": RunStatus.RUNNING,
    "PAUSED": RunStatus.PAUSED,
    "COMPLETED": RunStatus.SUCCEEDED,
    "FAILED": RunStatus.FAILED,
    "CRASHED": RunStatus.FAILED,
    "CANCELLED": RunStatus.CANCELLED,
}
LINE_CHARS_MAX: Final = 16_000
_ERROR_LEVEL = 40  # of Python's logging


class Details(msgspec.Struct, kw_only=True):
    """What a state says beside its name. `pause_key` tells one pause of a flow run from the others."""

    pause_key: str | None = None
    pause_reschedule: bool | None = None
    run_input_keyset: dict[str, str] | None = None


class State(msgspec.Struct, kw_only=True):
    """The state of a flow run. `name` says more than `type`: a failure by time-out is FAILED, `TimedOut`."""

    type: str
    id: str | None = None
    name: str | None = None
    message: str | None = None
    timestamp: str | None = None
    state_details: Details = msgspec.field(default_factory=Details)


class FlowRun(msgspec.Struct, kw_only=True):
    """A flow run. Fields that are not needed are left out."""

    id: str
    name: str = ""
    deployment_id: str | None = None
    idempotency_key: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    state: State | None = None

    @property
    def kind(self) -> str:
        """The type of its state; one that has none yet is SCHEDULED."""
        return "SCHEDULED" if self.state is None else self.state.type


class Artifact(msgspec.Struct, kw_only=True):
    """What a flow run published; `data` is JSON, and for a table JSON within a text."""

    key: str | None = None
    type: str | None = None
    data: Any = None


class Line(msgspec.Struct, kw_only=True):
    """A line of a flow run's log."""

    level: int
    message: str
    timestamp: str


class Orchestrated(msgspec.Struct, kw_only=True):
    """The answer to a wish for another state: ACCEPT, or why not."""

    status: str
    details: dict[str, Any] = {}

    @property
    def reason(self) -> str:
        """Why the server did not do it."""
        return str(self.details.get("reason") or self.status)


def read(content: bytes, kind: Any) -> Any:
    """Return what an answer holds.

    Raises:
        EngineUnavailable: it holds something else; a proxy or a broken server answered.

    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise EngineUnavailable(f"the Prefect server's answer cannot be read: {error}") from error


def status_of(flow_run: FlowRun) -> RunStatus:
    """Return what a flow run's state means here.

    Raises:
        EngineUnavailable: it is none that this version of the program knows.

    """
    status = STATUSES.get(flow_run.kind)
    if status is None:
        raise EngineUnavailable(f"the Prefect server names a state that is not known here: {flow_run.kind}")
    return status


def change(flow_run: FlowRun, run: Run, output: bytes | None = None) -> RunChange:
    """Return where `run` stands."""
    status = status_of(flow_run)
    return RunChange(
        tenant_id=run.tenant_id,
        run_id=run.id,
        fence=run.fence,
        status=status,
        started_at=_instant(flow_run.start_time),
        ended_at=_ended(flow_run, status),
        output=output,
        error=_error(flow_run) if status is RunStatus.FAILED else None,
        external_id=flow_run.id,
    )


def output_of(flow_run: FlowRun, artifacts: Sequence[Artifact], url: str) -> bytes:
    """Return the output of a run that has ended: which flow run it was, and what it published under a key."""
    published = {one.key: _data(one) for one in artifacts if one.key}
    state = flow_run.state
    return msgspec.json.encode(
        {
            "flow_run_id": flow_run.id,
            "flow_run": flow_run.name,
            "state": None if state is None else state.name,
            "message": None if state is None else state.message,
            "artifacts": published,
            "url": url,
        }
    )


def log_lines(run: Run, lines: Sequence[Line]) -> list[LogLine]:
    """Return the log of a flow run as that of the one job that it is here."""
    found: list[LogLine] = []
    seq = 0
    for line in lines:
        at = _instant(line.timestamp) or seq
        stream = "stderr" if line.level >= _ERROR_LEVEL else "stdout"
        for text in line.message.replace("\0", "\ufffd").splitlines():
            seq = max(seq + 1, at)
            found.append(
                LogLine(
                    tenant_id=run.tenant_id, run_id=run.id, job_id=JOB, attempt=1, seq=seq, at=at, stream=stream,
                    line=text[:LINE_CHARS_MAX],
                )
            )  # fmt: skip
    return found


def _ended(flow_run: FlowRun, status: RunStatus) -> int | None:
    if status not in {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED}:
        return None
    at = _instant(flow_run.end_time)
    return at if at is not None or flow_run.state is None else _instant(flow_run.state.timestamp)


def _error(flow_run: FlowRun) -> bytes:
    """Return `{"code", "message"}`: the code is the name of the state, as in `prefect_timedout`."""
    state = flow_run.state
    name = (state.name if state and state.name else flow_run.kind).lower().replace(" ", "_")
    text = (state.message if state else None) or f"the flow run ended as {name}"
    return body(f"prefect_{name}", text)


def _data(artifact: Artifact) -> Any:
    if artifact.type == "table" and isinstance(artifact.data, str):
        try:
            return msgspec.json.decode(artifact.data)
        except msgspec.MsgspecError:
            return artifact.data
    return artifact.data


def _instant(text: str | None) -> int | None:
    try:
        return None if text is None else from_iso(text)
    except (ValueError, OverflowError):
        return None
