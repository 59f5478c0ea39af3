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

from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from workflow_scheduler.core.errors import (
    EgressRefused,
    EngineUnavailable,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    RetryAfter,
    SchedulerError,
    TooLarge,
)
from workflow_scheduler.core.model.run import Run, RunChange
from workflow_scheduler.core.ports.engine import Capabilities, StartResult, Task
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.core.time.retry_after import retry_after_seconds
from workflow_scheduler.engines.breaker import Breaker
from workflow_scheduler.engines.executions import Execution, change, read_execution, read_listing
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient

START_SECONDS = 10.0
ASK_SECONDS = 10.0
REPLY_BYTES_MAX = 16 << 20
PAGES_MAX = 20
_MISSING = frozenset({404, 410})
_UNKNOWN = frozenset({408, 425})
_SHOWN = 300


class Client(Protocol):
    """Sends requests and can be closed; an HttpClient."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send, as core.ports.resources.Outbound says."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


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
    return HttpClient(EgressGuard([urlsplit(address.base_url).hostname or ""]))


class HttpEngine:
    """The engine `http`; it owns `client` and closes it."""

    name = "http"
    capabilities = Capabilities(
        durable=True, idempotent_start=True, cancel=True, resume=False, job_detail=False, several_instances=True
    )

    def __init__(
        self, address: EngineAddress, client: Client, vault: Vault, clock: Clock, *, breaker: Breaker | None = None
    ) -> None:
        """Speak to `address`; `vault` opens the callers' tokens that runs carry."""
        self._address = address
        self._client = client
        self._vault = vault
        self._clock = clock
        self._breaker = breaker or Breaker()

    async def start(self, task: Task) -> StartResult:
        """Hand the run over; see core.ports.engine.Engine for the errors."""
        run = task.run
        path = f"/v2/workflows/{quote(run.workflow_id, safe='')}/execute"
        reply = await self._call("POST", path, run, body=_start_body(task), seconds=self._address.start_seconds)
        if 200 <= reply.status < 300:  # noqa: PLR2004 - success
            return StartResult(_started_id(reply) or run.id)
        if reply.status == 409:  # noqa: PLR2004 - it has the run already
            return StartResult(_started_id(reply) or run.id, already=True)
        raise _refusal(reply, self._clock.now())

    async def cancel(self, run: Run) -> None:
        """Ask the engine to stop the run; one that it does not know or that has ended needs nothing.

        Raises:
            EngineUnavailable: the engine did not take the request.

        """
        found = await self._locate(run)
        if found is None:
            return
        path = f"/v2/executions/{quote(found.external_id or run.id, safe='')}/cancel"
        reply = await self._ask("POST", path, run)
        if reply.status >= 400 and reply.status not in {*_MISSING, 409}:  # noqa: PLR2004 - errors
            raise EngineUnavailable(f"the engine answered {reply.status} to the cancellation")

    async def describe(self, run: Run) -> RunChange | None:
        """Return where the run stands, or None when the engine has no execution of it.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        found = await self._locate(run)
        return None if found is None else change(found, run)

    async def close(self) -> None:
        """Close the connections; the engine goes on with its runs."""
        await self._client.close()

    async def _locate(self, run: Run) -> Execution | None:
        """Find the execution: by the engine's id, by our run id, then in the workflow's list."""
        for identity in dict.fromkeys(one for one in (run.external_id, run.id) if one):
            reply = await self._ask("GET", f"/v2/executions/{quote(identity, safe='')}", run)
            if reply.status not in _MISSING:
                found = read_execution(reply.body)
                if identity == run.external_id or found.belongs_to(run):
                    return found
        return await self._search(run)

    async def _search(self, run: Run) -> Execution | None:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            query = {"run_id": run.id, "idempotency_key": run.id, **({"cursor": cursor} if cursor else {})}
            path = f"/v2/workflows/{quote(run.workflow_id, safe='')}/executions?{urlencode(query)}"
            reply = await self._ask("GET", path, run)
            if reply.status in _MISSING:
                return None
            executions, cursor = read_listing(reply.body)
            for execution in executions:
                if execution.belongs_to(run):
                    return execution
            if cursor is None:
                return None
        return None

    async def _ask(self, method: str, path: str, run: Run) -> HttpReply:
        """Make a call that may be repeated; anything but an answer is EngineUnavailable."""
        try:
            reply = await self._call(method, path, run, body=None, seconds=self._address.ask_seconds)
        except (OutcomeUnknown, Rejected) as error:
            raise EngineUnavailable(error.detail) from error
        bad = reply.status >= 400 and reply.status not in {*_MISSING, 409}  # noqa: PLR2004 - errors
        if bad or 300 <= reply.status < 400:  # noqa: PLR2004 - redirects
            wait = retry_after_seconds(reply.headers.get("retry-after"), self._clock.now())
            raise EngineUnavailable(f"the engine answered {_shown(reply)}", retry_after_seconds=wait)
        return reply

    async def _call(self, method: str, path: str, run: Run, *, body: bytes | None, seconds: float) -> HttpReply:
        wait_us = self._breaker.wait_us(self._clock.now())
        if wait_us:
            raise EngineUnavailable(
                "the engine failed several times in a row and is left alone for a while",
                retry_after_seconds=wait_us / SECOND_US,
            )
        request = HttpRequest(
            method=method,
            url=self._address.base_url.rstrip("/") + path,
            headers=self._headers(run, body),
            body=body,
            timeout_seconds=seconds,
            reply_bytes_max=REPLY_BYTES_MAX,
            redirects_max=0,
        )
        try:
            reply = await self._client.send(request)
        except SchedulerError as error:
            self._breaker.failed(self._clock.now())
            raise _failure(error) from error
        if reply.status >= 500:  # noqa: PLR2004 - the engine's own errors
            self._breaker.failed(self._clock.now())
        else:
            self._breaker.succeeded()
        return reply

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


def _refusal(reply: HttpReply, now: int) -> SchedulerError:
    detail = f"the engine answered {_shown(reply)}"
    if reply.status in (429, 503):
        return RetryAfter(detail, retry_after_seconds=retry_after_seconds(reply.headers.get("retry-after"), now))
    if reply.status in _UNKNOWN or reply.status >= 500:  # noqa: PLR2004 - the engine's own errors
        return OutcomeUnknown(detail)
    if 300 <= reply.status < 400:  # noqa: PLR2004 - redirects
        return Rejected(detail, fix="Set WORKFLOW_ENGINE_URL to the address that it redirects to.")
    return Rejected(detail)


def _failure(error: SchedulerError) -> SchedulerError:
    if isinstance(error, (NotConnected, EgressRefused)):
        return EngineUnavailable(error.detail, fix=error.fix)
    if isinstance(error, TooLarge):
        return OutcomeUnknown(error.detail)
    return error


def _shown(reply: HttpReply) -> str:
    text = reply.body[:_SHOWN].decode("utf-8", "replace").strip()
    return f"{reply.status}: {text}" if text else str(reply.status)
