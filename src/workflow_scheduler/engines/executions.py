"""What an engine that speaks /v2 says about executions, read with patience: field names and spellings vary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from workflow_scheduler.core.errors import EngineUnavailable
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import Pause, Standing
from workflow_scheduler.core.time.clock import SECOND_US, from_iso

_MILLISECONDS_FROM = 10**11
_MICROSECONDS_FROM = 10**14
_STATUSES = {
    RunStatus.SUCCEEDED: ("succeeded", "success", "completed", "complete", "done", "finished"),
    RunStatus.FAILED: ("failed", "failure", "error", "errored", "timeout", "timed_out", "crashed"),
    RunStatus.CANCELLED: ("cancelled", "canceled", "terminated", "aborted", "skipped"),
    RunStatus.PAUSED: ("paused", "waiting", "suspended", "waiting_for_human"),
}
_NULL = msgspec.Raw(b"null")
_BY_WORD = {word: status for status, words in _STATUSES.items() for word in words}


class Interaction(msgspec.Struct, kw_only=True):
    """What a paused execution asks for; our own service says all of this, others perhaps only the id."""

    interaction_id: str | int
    ask: str | None = None
    decision: bool = False
    form: dict[str, Any] | None = None


class Execution(msgspec.Struct, kw_only=True):
    """One execution. `ended_at` has three names in the wild; the first that is there counts."""

    execution_id: str | int | None = None
    id: str | int | None = None
    run_id: str | None = None
    idempotency_key: str | None = None
    status: str | None = None
    started_at: str | int | float | None = None
    ended_at: str | int | float | None = None
    finished_at: str | int | float | None = None
    completed_at: str | int | float | None = None
    output: msgspec.Raw = _NULL
    result: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    error_message: msgspec.Raw = _NULL
    interaction_id: str | int | None = None
    interactions: list[Interaction] = []

    @property
    def status_here(self) -> RunStatus:
        """What its status means; one that the engine has not begun counts as running: it is not ours now."""
        return _BY_WORD.get((self.status or "").strip().lower().replace("-", "_"), RunStatus.RUNNING)

    @property
    def open_interactions(self) -> list[Interaction]:
        """What it asks for now, as far as the engine tells."""
        if self.interactions or self.interaction_id is None:
            return self.interactions
        return [Interaction(interaction_id=self.interaction_id)]

    @property
    def external_id(self) -> str | None:
        """The engine's own name for it."""
        found = self.execution_id if self.execution_id is not None else self.id
        return None if found is None else str(found)

    def belongs_to(self, run: Run) -> bool:
        """Return whether this is the execution of `run`."""
        return run.id in (self.run_id, self.idempotency_key, self.external_id)


class _Listing(msgspec.Struct):
    workflows: list[Execution] | None = None
    executions: list[Execution] | None = None
    items: list[Execution] | None = None
    next: str | None = None


def read_execution(body: bytes) -> Execution:
    """Return the execution in an answer.

    Raises:
        EngineUnavailable: it is not one; a proxy or a broken engine answered.

    """
    try:
        return msgspec.json.decode(body, type=Execution)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise EngineUnavailable(f"the engine's answer is not an execution: {error}") from error


def read_listing(body: bytes) -> tuple[Iterable[Execution], str | None]:
    """Return the executions of a list and the cursor of its next page.

    Raises:
        EngineUnavailable: it is not a list of executions.

    """
    try:
        listing = msgspec.json.decode(body, type=_Listing)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise EngineUnavailable(f"the engine's answer is not a list of executions: {error}") from error
    return listing.workflows or listing.executions or listing.items or (), listing.next


def change(execution: Execution, run: Run) -> RunChange:
    """Return where `run` stands."""
    status = execution.status_here
    ended = next((at for at in (execution.ended_at, execution.finished_at, execution.completed_at) if at), None)
    return RunChange(
        tenant_id=run.tenant_id,
        run_id=run.id,
        fence=run.fence,
        status=status,
        started_at=_instant(execution.started_at),
        ended_at=_instant(ended),
        output=_json(execution.output) or _json(execution.result),
        error=_error(execution) if status is RunStatus.FAILED else None,
        external_id=execution.external_id or run.id,
    )


def pauses(execution: Execution) -> list[Pause]:
    """Return what a paused execution asks for; where the engine does not say, that it is paused."""
    if execution.status_here is not RunStatus.PAUSED:
        return []
    text = f"The execution {execution.external_id} is paused and waits for an answer."
    found = [
        Pause(key=str(one.interaction_id), ask=one.ask or text, decides=one.decision, form=one.form)
        for one in execution.open_interactions
    ]
    return found or [Pause(ask=text)]


def standing(execution: Execution) -> Standing | None:
    """Return an execution that is paused and has a name; None for others."""
    if execution.status_here is not RunStatus.PAUSED or execution.external_id is None:
        return None
    return Standing(
        id=execution.external_id,
        names=tuple(one for one in (execution.external_id, execution.run_id, execution.idempotency_key) if one),
        interactions=tuple(str(one.interaction_id) for one in execution.open_interactions),
        started_at=_instant(execution.started_at),
    )


def _json(raw: msgspec.Raw) -> bytes | None:
    return None if raw == _NULL else bytes(raw)


def _error(execution: Execution) -> bytes:
    """Return `{"code", "message"}` whatever the engine's error looks like."""
    raw = _json(execution.error) or _json(execution.error_message)
    found: Any = msgspec.json.decode(raw) if raw else None
    message = found.get("message") or found.get("detail") if isinstance(found, dict) else found
    code = found.get("code") if isinstance(found, dict) else None
    text = message if isinstance(message, str) else raw.decode() if raw else "the engine reports a failure"
    return msgspec.json.encode({"code": str(code or "engine_failed"), "message": text})


def _instant(value: str | float | None) -> int | None:
    """Return microseconds of an ISO text or of a number of seconds, milliseconds or microseconds."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return from_iso(value)
        except (ValueError, OverflowError):
            return None
    if value >= _MICROSECONDS_FROM:
        return int(value)
    return int(value * 1000) if value >= _MILLISECONDS_FROM else int(value * SECOND_US)
