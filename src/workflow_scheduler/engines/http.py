"""Hand runs to an engine that speaks the /v2 protocol over HTTP.

The run id is the idempotency key of the start. The start call has a short time-out of its own and holds nothing
afterwards: a run of hours is followed by asking. What a failed start means is decided by what may have happened:

- no connection: surely not started, tried again later (EngineUnavailable);
- 429, 503: the engine asks to wait (RetryAfter);
- 408, 5xx, a lost connection, a time-out: it may have been started (OutcomeUnknown), so it is looked up with
  `describe` before the next attempt;
- 409: it was started before, which is success;
- any other refusal is for good (Rejected).

An engine that ignores the idempotency key and commits a start only after our time-out and look-up may start it
twice: that is the limit of what a caller can promise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from workflow_scheduler.core.errors import EngineUnavailable, LateResponse
from workflow_scheduler.core.model.run import Run, RunChange
from workflow_scheduler.core.ports.engine import Capabilities, Pause, Reply, Standing, StartResult, Task
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines import calls, executions
from workflow_scheduler.engines.breaker import Breaker
from workflow_scheduler.engines.calls import MISSING, Calls, Client, Request, shown
from workflow_scheduler.engines.executions import Execution, change, read_execution
from workflow_scheduler.outbound.http import HttpClient

START_SECONDS = 10.0
ASK_SECONDS = 10.0
PAGES_MAX = 20
STANDING_PAGES_MAX = 3


class EngineAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the engine is. `token` is sent where a run carries no caller's token of its own; times are seconds."""

    base_url: str
    token: str | None = None
    start_seconds: float = START_SECONDS
    ask_seconds: float = ASK_SECONDS


class _EventData(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")


def engine_client(address: EngineAddress) -> HttpClient:
    """Return a client that may reach the engine wherever it stands, also on a private address."""
    return calls.engine_client(address.base_url)


class HttpEngine:
    """The engine `http`; it owns `client` and closes it."""

    name = "http"
    capabilities = Capabilities(
        durable=True,
        idempotent_start=True,
        cancel=True,
        resume=False,
        answer=True,
        job_detail=False,
        several_instances=True,
    )

    def __init__(
        self, address: EngineAddress, client: Client, vault: Vault, clock: Clock, *, breaker: Breaker | None = None
    ) -> None:
        """Speak to `address`; `vault` opens the callers' tokens that runs carry."""
        self._address = address
        self._calls = Calls(address.base_url, "WORKFLOW_ENGINE_URL", client, clock, breaker or Breaker())
        self._vault = vault

    async def start(self, task: Task) -> StartResult:
        """Hand the run over; see core.ports.engine.Engine for the errors."""
        run = task.run
        path = f"/v2/workflows/{quote(run.workflow_id, safe='')}/execute"
        body = _start_body(task)
        reply = await self._calls.send(
            Request(
                method="POST", path=path, headers=self._headers(run, body), body=body,
                seconds=self._address.start_seconds,
            )
        )  # fmt: skip
        if 200 <= reply.status < 300:  # noqa: PLR2004 - success
            return StartResult(_started_id(reply) or run.id)
        if reply.status == 409:  # noqa: PLR2004 - it has the run already
            return StartResult(_started_id(reply) or run.id, already=True)
        raise self._calls.refusal(reply)

    async def cancel(self, run: Run) -> None:
        """Ask the engine to stop the run; one that it does not know or that has ended needs nothing.

        Raises:
            EngineUnavailable: the engine did not take the request.

        """
        found = await self._locate(run)
        if found is None:
            return
        path = f"/v2/executions/{quote(found.external_id or run.id, safe='')}/cancel"
        await self._ask("POST", path, run)

    async def describe(self, run: Run) -> RunChange | None:
        """Return where the run stands, or None when the engine has no execution of it.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        found = await self._locate(run)
        return None if found is None else change(found, run)

    async def pauses(self, run: Run) -> list[Pause]:
        """Return what the run waits for.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        found = await self._locate(run)
        return [] if found is None else executions.pauses(found)

    async def resume(self, run: Run, pause: Pause, reply: Reply) -> None:
        """Let the run go on: with the data of the event that was the answer, else with what people said.

        Raises:
            LateResponse: it does not wait for this any more.
            Rejected: the engine does not take the answer.
            EngineUnavailable, OutcomeUnknown, RetryAfter: nobody knows whether it has; ask again.

        """
        found = await self._locate(run)
        if found is None or not any(one.key == pause.key for one in executions.pauses(found)):
            raise LateResponse("the execution does not wait for this any more")
        said = {"approved": reply.approved, "answer": reply.answer, "comment": reply.comment}
        data = {key: value for key, value in said.items() if value is not None}
        given = reply.event if reply.event is not None else data
        await self._resume(run, found.external_id or run.id, pause.key or None, given, reply.by)

    async def standing(self, run: Run) -> list[Standing]:
        """Return paused executions of the run's workflow, whoever started them: those of the first pages.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        listed = self._listed(run, {"status": "PAUSED"}, STANDING_PAGES_MAX)
        return [found async for execution in listed if (found := executions.standing(execution)) is not None]

    async def hand(self, run: Run, execution_id: str, interaction_id: str | None, event: bytes) -> None:
        """Let a paused execution go on with the data of an event; errors as for `resume`."""
        await self._resume(run, execution_id, interaction_id, _trigger_data(event), None)

    async def _resume(self, run: Run, execution_id: str, interaction_id: str | None, data: Any, by: str | None) -> None:
        order = {"resume_data": data, "interaction_id": interaction_id, **({"answered_by": by} if by else {})}
        path = f"/v2/executions/{quote(execution_id, safe='')}/resume"
        body = msgspec.json.encode(order)
        reply = await self._calls.send(
            Request(
                method="POST", path=path, headers=self._headers(run, body), body=body,
                seconds=self._address.ask_seconds,
            )
        )  # fmt: skip
        if reply.status in MISSING or reply.status == 409:  # noqa: PLR2004 - it is not paused
            raise LateResponse(f"the engine answered {shown(reply)}")
        if reply.status >= 300:  # noqa: PLR2004 - redirects and errors
            raise self._calls.refusal(reply)

    async def close(self) -> None:
        """Close the connections; the engine goes on with its runs."""
        await self._calls.close()

    async def _locate(self, run: Run) -> Execution | None:
        """Find the execution: by the engine's id, by our run id, then in the workflow's list."""
        for identity in dict.fromkeys(one for one in (run.external_id, run.id) if one):
            reply = await self._ask("GET", f"/v2/executions/{quote(identity, safe='')}", run)
            if reply.status not in MISSING:
                found = read_execution(reply.body)
                if identity == run.external_id or found.belongs_to(run):
                    return found
        return await self._search(run)

    async def _search(self, run: Run) -> Execution | None:
        async for execution in self._listed(run, {"run_id": run.id, "idempotency_key": run.id}):
            if execution.belongs_to(run):
                return execution
        return None

    async def _listed(self, run: Run, query: Mapping[str, str], pages: int = PAGES_MAX) -> AsyncIterator[Execution]:
        """Yield executions of the workflow; an engine that does not know the filter gives them all."""
        cursor: str | None = None
        for _ in range(pages):
            place = {**query, **({"cursor": cursor} if cursor else {})}
            path = f"/v2/workflows/{quote(run.workflow_id, safe='')}/executions?{urlencode(place)}"
            reply = await self._ask("GET", path, run)
            if reply.status in MISSING:
                return
            page, cursor = executions.read_listing(reply.body)
            for execution in page:
                yield execution
            if cursor is None:
                return

    async def _ask(self, method: str, path: str, run: Run) -> HttpReply:
        headers = self._headers(run, None)
        return await self._calls.ask(
            Request(method=method, path=path, headers=headers, seconds=self._address.ask_seconds)
        )

    def _headers(self, run: Run, body: bytes | None) -> dict[str, str]:
        headers = {"Idempotency-Key": run.id, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if run.traceparent:
            headers["traceparent"] = run.traceparent
        token = self._vault.open(run.bearer, run.event_id).decode() if run.bearer else self._address.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _start_body(task: Task) -> bytes:
    run = task.run
    body: dict[str, Any] = {
        "run_id": run.id,
        "workflow_id": run.workflow_id,
        "workflow": run.workflow,
        "workflow_version": run.version,
        "tenant_id": run.tenant_id,
        "user_id": run.user_id,
        "trigger_id": run.trigger_id,
        "trigger_type": run.trigger_type,
        "trigger_data": _trigger_data(task.event),
        "input": msgspec.Raw(run.input),
        "event": msgspec.Raw(task.event),
        "definition": task.graph.definition.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }
    return msgspec.json.encode(body)


def _trigger_data(event: bytes) -> msgspec.Raw:
    found = msgspec.json.decode(event, type=_EventData | None)
    return _EventData().data if found is None else found.data


def _started_id(reply: HttpReply) -> str | None:
    """Return the engine's id for the execution; an answer without one is found by the run id later."""
    try:
        return read_execution(reply.body).external_id
    except EngineUnavailable:
        return None
