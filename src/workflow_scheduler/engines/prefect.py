"""Start deployments of a Prefect server and follow their flow runs, over its REST API.

Prefect itself is not needed here, and no connection is held: a flow run of hours is followed by asking. Our run id is
the flow run's idempotency key, so that a start that is repeated, by whomever, finds the first one. What a failed start
means is decided by what may have happened, as `engines.calls` says; what Prefect refuses (parameters that the flow does
not take, a deployment that is not there) is refused for good.
"""

from __future__ import annotations

import base64
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.errors import EngineUnavailable, LateResponse, OutcomeUnknown, Rejected
from workflow_scheduler.core.execution.scope import Scope
from workflow_scheduler.core.match.template import Template, parse
from workflow_scheduler.core.model.run import FINAL, LogLine, Run, RunChange
from workflow_scheduler.core.model.workflow import PrefectStart
from workflow_scheduler.core.ports.engine import Capabilities, Pause, Reply, StartResult, Task
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines import flow_runs
from workflow_scheduler.engines.breaker import Breaker
from workflow_scheduler.engines.calls import BUSY, MISSING, Calls, Client, Request, shown
from workflow_scheduler.engines.flow_runs import FlowRun
from workflow_scheduler.engines.pace import Pace

SETTING: Final = "WFS_PREFECT_API_URL"
SECONDS: Final = 10.0
LOG_PAGE: Final = 200  # as many as the server gives at once
LOG_LINES_MAX: Final = 5_000
ARTIFACTS_MAX: Final = 100
BUSY_SECONDS: Final = (0.1, 0.3, 0.6)
_WRITES: Final = ("/create_flow_run", "/set_state", "/resume")
_CREDENTIALS: Final = frozenset({401, 403})


class PrefectAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server's API is: `http://HOST:4200/api`, or that of a workspace of Prefect Cloud.

    `api_key` is sent as a bearer token, `auth` (`user:password`) as basic authentication; the key comes first.
    """

    api_url: str
    api_key: str | None = None
    auth: str | None = None
    seconds: float = SECONDS

    @property
    def authorization(self) -> str | None:
        """The value of the header, where there are credentials."""
        if self.api_key:
            return f"Bearer {self.api_key}"
        return f"Basic {base64.b64encode(self.auth.encode()).decode()}" if self.auth else None


class PrefectEngine:
    """The engine `prefect`; it owns `client` and closes it."""

    name: Final = "prefect"
    capabilities: Final = Capabilities(
        durable=True, idempotent_start=True, cancel=True, resume=False, answer=True, job_detail=False,
        several_instances=True,
    )  # fmt: skip

    def __init__(
        self, address: PrefectAddress, client: Client, clock: Clock, public_url: str = "",
        *, breaker: Breaker | None = None,
    ) -> None:  # fmt: skip
        """Speak to `address`; `public_url` is that of this service, for `${run.url}`."""
        self._address = address
        self._calls = Calls(address.api_url, SETTING, client, clock, breaker or Breaker())
        self._clock = clock
        self._public_url = public_url
        self._pace = Pace()
        self._deployments: dict[str, str] = {}
        self._templates: WeakKeyDictionary[Graph, Template] = WeakKeyDictionary()

    async def start(self, task: Task) -> StartResult:
        """Create the flow run once; see core.ports.engine.Engine for the errors."""
        run, wanted = task.run, task.graph.definition.prefect
        if wanted is None:
            raise Rejected("the workflow names no deployment", fix="Add `prefect: {deployment: FLOW/DEPLOYMENT}`.")
        order = {
            "parameters": self._parameters(task, wanted),
            "idempotency_key": run.id,
            "tags": sorted({"workflow-scheduler", f"run:{run.id}", f"tenant:{run.tenant_id}", *wanted.tags}),
        }
        deployment = await self._deployment(wanted.deployment)
        reply = await self._create(deployment, order)
        if reply.status in MISSING and self._deployments.pop(wanted.deployment, None) is not None:
            # It was made anew under its name since we looked it up.
            reply = await self._create(await self._deployment(wanted.deployment), order)
        if 200 <= reply.status < 300:  # noqa: PLR2004 - success
            found: FlowRun = flow_runs.read(reply.body, FlowRun)
            return StartResult(found.id, already=reply.status == 200)  # noqa: PLR2004 - 201 is a new one
        if reply.status in _CREDENTIALS:
            raise EngineUnavailable(
                f"the Prefect server does not accept this service: {shown(reply)}",
                fix="Set WFS_PREFECT_API_KEY, or WFS_PREFECT_AUTH, as the server wants it.",
            )
        raise self._calls.refusal(reply)

    async def cancel(self, run: Run) -> None:
        """Ask for the end of the flow run; one that is unknown or has ended needs nothing.

        Whatever works on it stops it, which is followed; one that nothing works on yet ends at once.

        Raises:
            EngineUnavailable: the server did not take the request.

        """
        found = await self._locate(run)
        if found is None or flow_runs.status_of(found) in FINAL or found.kind == "CANCELLING":
            return
        wish = {"state": {"type": "CANCELLING", "message": f"run {run.id} was cancelled"}, "force": False}
        await self._ask("POST", f"/flow_runs/{found.id}/set_state", wish)

    async def describe(self, run: Run) -> RunChange | None:
        """Return where the flow run stands, or None when there is none of this run.

        Raises:
            EngineUnavailable: the server did not answer the question.

        """
        found = await self._locate(run)
        if found is None:
            return None
        if flow_runs.status_of(found) not in FINAL:
            return flow_runs.change(found, run)
        wanted = {
            "artifacts": {"flow_run_id": {"any_": [found.id]}}, "sort": "CREATED_DESC", "limit": ARTIFACTS_MAX,
        }  # fmt: skip
        reply = await self._ask("POST", "/artifacts/filter", wanted)
        artifacts = flow_runs.read(reply.body, list[flow_runs.Artifact]) if reply.status not in MISSING else []
        url = f"{self._address.api_url.rstrip('/')}/flow_runs/{found.id}"
        return flow_runs.change(found, run, flow_runs.output_of(found, artifacts[::-1], url))

    async def logs(self, run: Run) -> list[LogLine]:
        """Return the first LOG_LINES_MAX lines that the flow run has logged.

        Raises:
            EngineUnavailable: the server did not answer the question.

        """
        found = await self._locate(run)
        lines: list[flow_runs.Line] = []
        while found is not None and len(lines) < LOG_LINES_MAX:
            wanted = {
                "logs": {"flow_run_id": {"any_": [found.id]}}, "sort": "TIMESTAMP_ASC",
                "offset": len(lines), "limit": LOG_PAGE,
            }  # fmt: skip
            reply = await self._ask("POST", "/logs/filter", wanted)
            page = flow_runs.read(reply.body, list[flow_runs.Line]) if reply.status not in MISSING else []
            lines += page
            if len(page) < LOG_PAGE:
                break
        return flow_runs.log_lines(run, lines)

    async def pauses(self, run: Run) -> list[Pause]:
        """Return what the flow run waits for: one thing while it is paused.

        Raises:
            EngineUnavailable: the server did not answer the question.

        """
        found = await self._locate(run)
        if found is None or found.state is None or found.kind != "PAUSED":
            return []
        keys = found.state.state_details.run_input_keyset or {}
        form = await self._input(found, keys.get("schema"))
        ask = await self._input(found, keys.get("description"))
        text = ask if isinstance(ask, str) and ask else f"The flow run {found.name} is paused. Shall it go on?"
        form = form if isinstance(form, dict) else None
        return [Pause(key=found.state.id or found.id, ask=text, decides=form is None, form=form)]

    async def resume(self, run: Run, pause: Pause, reply: Reply) -> None:
        """Let a paused flow run go on: with its input, or where it wants none by approval; a rejection cancels it.

        Raises:
            LateResponse: it does not stand at this pause any more.
            Rejected: the server does not take the answer; the flow run stays paused.
            EngineUnavailable: the server did not take the request.

        """
        found = await self._locate(run)
        if found is None or found.state is None or found.state.id != pause.key:
            raise LateResponse("the flow run is not paused any more, or has been paused again since")
        if pause.decides and not reply.approved:
            await self.cancel(run)
            return
        if not pause.decides and not isinstance(reply.answer, dict):
            raise Rejected("the flow run wants an object as its input")
        given = {"run_input": None if pause.decides else reply.answer}
        done = await self._ask("POST", f"/flow_runs/{found.id}/resume", given)
        if done.status in MISSING:
            raise LateResponse("the flow run has been removed")
        result: flow_runs.Orchestrated = flow_runs.read(done.body, flow_runs.Orchestrated)
        if result.status == "REJECT":
            raise Rejected(f"the Prefect server refuses the answer: {result.reason}")
        if result.status != "ACCEPT":
            raise LateResponse(f"the Prefect server says: {result.reason}")

    async def close(self) -> None:
        """Close the connections; flow runs go on."""
        await self._calls.close()

    def _parameters(self, task: Task, wanted: PrefectStart) -> dict[str, Any]:
        """Return the flow's parameters: those of the definition filled in, else the run's input.

        Raises:
            Rejected: there are no such parameters.

        """
        if wanted.parameters is None:
            value = msgspec.json.decode(task.run.input)
            if value is not None and not isinstance(value, dict):
                raise Rejected(
                    "a flow takes parameters by name, and the input of the run is no object",
                    fix='Give them names: `prefect: {parameters: {NAME: "${input}"}}`.',
                )
            return value or {}
        template = self._templates.get(task.graph)
        if template is None:
            template = self._templates[task.graph] = parse(wanted.parameters, "prefect.parameters")
        scope = Scope(task, self._clock.now(), task.graph, {}, self._public_url)
        filled: dict[str, Any] = template.render(scope.variables(task.graph.definition.env))
        return filled

    async def _create(self, deployment: str, order: dict[str, Any]) -> HttpReply:
        """Create the flow run; a server that is busy is asked again soon, and by fewer calls at once.

        The idempotency key makes that safe.
        """
        request = self._request("POST", f"/deployments/{deployment}/create_flow_run", order)
        async with self._pace.turn():
            for pause in (*BUSY_SECONDS, None):
                try:
                    reply = await self._calls.send(request)
                except OutcomeUnknown:
                    self._pace.fell_behind()
                    raise
                if reply.status not in BUSY:
                    self._pace.kept_up()
                    break
                self._pace.fell_behind()
                if pause is None or "retry-after" in reply.headers:
                    break
                await self._clock.sleep(pause)
            return reply

    async def _deployment(self, name: str) -> str:
        """Return the id of a deployment; `name` is that id, or FLOW/DEPLOYMENT.

        Raises:
            Rejected: there is no such deployment.
            EngineUnavailable: the server did not answer the question.

        """
        if _is_uuid(name):
            return name
        known = self._deployments.get(name)
        if known is None:
            flow, _, deployment = name.partition("/")
            path = f"/deployments/name/{quote(flow, safe='')}/{quote(deployment, safe='')}"
            reply = await self._ask("GET", path)
            if reply.status in MISSING:
                raise Rejected(
                    f"the Prefect server has no deployment `{name}`",
                    fix="Deploy the flow, then redrive the run: wfs dead replay",
                )
            known = self._deployments[name] = flow_runs.read(reply.body, FlowRun).id
        return known

    async def _locate(self, run: Run) -> FlowRun | None:
        """Find the flow run by its id, where that is known, else by the idempotency key."""
        if run.external_id:
            reply = await self._ask("GET", f"/flow_runs/{quote(run.external_id, safe='')}")
            if reply.status not in MISSING:
                found: FlowRun = flow_runs.read(reply.body, FlowRun)
                return found
        wanted = {"flow_runs": {"idempotency_key": {"any_": [run.id]}}, "limit": 1, "sort": "ID_DESC"}
        reply = await self._ask("POST", "/flow_runs/filter", wanted)
        if reply.status in MISSING:
            raise EngineUnavailable("the Prefect server does not know its own API", fix=f"Set {SETTING} to …/api.")
        listed: list[FlowRun] = flow_runs.read(reply.body, list[FlowRun])
        return listed[0] if listed else None

    async def _input(self, found: FlowRun, key: str | None) -> Any:
        """Return what a flow run has stored under a key for whoever answers it."""
        if key is None:
            return None
        reply = await self._ask("GET", f"/flow_runs/{found.id}/input/{quote(key, safe='')}")
        return None if reply.status in MISSING or not reply.body else flow_runs.read(reply.body, Any)

    async def _ask(self, method: str, path: str, value: Any = None) -> HttpReply:
        return await self._calls.ask(self._request(method, path, value))

    def _request(self, method: str, path: str, value: Any = None) -> Request:
        headers = {"Accept": "application/json"}
        if path.endswith(_WRITES):
            # After a 503 the server cuts the connection without saying so; no other request must be sent over it.
            headers["Connection"] = "close"
        body = None
        if value is not None:
            body = msgspec.json.encode(value)
            headers["Content-Type"] = "application/json"
        if self._address.authorization:
            headers["Authorization"] = self._address.authorization
        return Request(method=method, path=path, headers=headers, body=body, seconds=self._address.seconds)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
