"""What the service is asked, in the same words for the client that waits and for the asynchronous one."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from workflow_scheduler.client.flow import Workflow
from workflow_scheduler.client.http import TIMEOUT_SECONDS, segment

T = TypeVar("T")
Definition = Mapping[str, Any] | Workflow | str | Path
_STRUCTURED = "application/cloudevents+json"
WAIT_SECONDS = 30.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `key` makes a repetition harmless; `timeout` is in seconds."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    body: Any = None
    headers: Mapping[str, str] = {}
    timeout: float = TIMEOUT_SECONDS

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None:
            return None
        is_text = isinstance(self.body, str) and "content-type" in self.headers
        return str(self.body).encode() if is_text else msgspec.json.encode(self.body)

    @property
    def sent_headers(self) -> dict[str, str]:
        """The headers as they are sent."""
        return {**({} if self.body is None else {"content-type": "application/json"}), **self.headers}

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows what became of it."""
        return self.method in {"GET", "PUT", "DELETE"} or "Idempotency-Key" in self.headers


def definition_of(given: Definition) -> Any:
    """Return what is sent of a workflow: its document, or the text of a file or of YAML."""
    if isinstance(given, Workflow):
        return given.document
    if isinstance(given, Path):
        return given.read_text()
    return given


def name_of(given: Definition) -> str | None:
    """Return the name of a workflow that is no text."""
    if isinstance(given, Workflow):
        return given.name
    return str(given["name"]) if isinstance(given, Mapping) and "name" in given else None


class Operations(ABC, Generic[T]):
    """Every operation returns what the service answers, decoded; problems are the exceptions of `client.errors`.

    What is safe to repeat is sent again when the service cannot be reached or asks to wait: every POST carries an
    `Idempotency-Key`.
    """

    @abstractmethod
    def _do(self, call: Call) -> T:
        """Carry out a call."""

    def _get(self, path: str, **query: Any) -> T:
        return self._do(Call(method="GET", path=path, query=query))

    def _post(self, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> T:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self._do(Call(method="POST", path=path, body=body, query=query, headers=headers))

    # Workflows

    def deploy(self, workflow: Definition, *, name: str | None = None) -> T:
        """Make a workflow live; a text needs the `name` that is in it.

        Raises:
            ValueError: there is no name.
            DefinitionInvalid: it has mistakes; `errors` names the fields.

        """
        called = name or name_of(workflow)
        if called is None:
            message = "a definition that is a text is deployed under a name: deploy(text, name=…)"
            raise ValueError(message)
        path = f"/api/v1/deployment/workflows/{segment(called)}/deploy"
        return self._post(path, {"workflow_spec": definition_of(workflow)})

    def undeploy(self, workflow: str) -> T:
        """Take a workflow out of service."""
        return self._post(f"/api/v1/deployment/workflows/{segment(workflow)}/undeploy")

    def validate(self, workflow: Definition) -> T:
        """Say whether a definition is right, with every mistake."""
        given = definition_of(workflow)
        headers = {"content-type": "application/yaml"} if isinstance(given, str) else {}
        return self._do(Call(method="POST", path="/api/v1/workflows/validate", body=given, headers=headers))

    def workflow(self, workflow: str, *, form: str | None = None) -> T:
        """Show a workflow; `form="nodes"` gives its definition as nodes."""
        return self._get(f"/api/v1/workflows/{segment(workflow)}", form=form)

    def workflows(self, **query: Any) -> T:
        """List workflows."""
        return self._get("/api/v1/workflows", **query)

    def pause(self, workflow: str, *, reason: str | None = None, until: str | None = None) -> T:
        """Pause a workflow."""
        given = {"reason": reason, "until": until}
        body = {key: value for key, value in given.items() if value is not None}
        return self._post(f"/api/v1/workflows/{segment(workflow)}/pause", body)

    def resume(self, workflow: str, *, missed: str | None = None) -> T:
        """Resume a workflow."""
        return self._post(f"/api/v1/workflows/{segment(workflow)}/resume", {} if missed is None else {"missed": missed})

    # Runs

    def start(
        self,
        workflow: str,
        input: Any = None,  # noqa: A002 -- its name everywhere
        *,
        trigger: str | None = None,
        confirm: bool = False,
        key: str | None = None,
        priority: int | str | None = None,
    ) -> T:
        """Start one run of a workflow; equal `key`s start one."""
        body: dict[str, Any] = {"confirm": confirm}
        body |= {} if input is None else {"input": input}
        body |= {} if trigger is None else {"trigger": trigger}
        body |= {} if priority is None else {"priority": priority}
        return self._post(f"/api/v1/triggers/workflows/{segment(workflow)}/manual", body, key=key)

    def runs(self, **query: Any) -> T:
        """List runs: `workflow`, `status`, `trigger_type`, `event`, `limit`, `cursor`."""
        return self._get("/api/v1/runs", **query)

    def show_run(self, run_id: str) -> T:
        """Show a run with its jobs."""
        return self._get(f"/api/v1/runs/{segment(run_id)}")

    def logs(self, run_id: str, **query: Any) -> T:
        """Read what the jobs of a run printed."""
        return self._get(f"/api/v1/runs/{segment(run_id)}/logs", **query)

    def cancel(self, run_id: str) -> T:
        """Ask for the end of a run."""
        return self._post(f"/api/v1/runs/{segment(run_id)}/cancel")

    def await_run(self, run_id: str, seconds: float = WAIT_SECONDS) -> T:
        """Return the run when it has ended, or as it stands after `seconds` (at most 300)."""
        path = f"/api/v1/runs/{segment(run_id)}/wait"
        return self._do(Call(method="GET", path=path, query={"timeout": seconds}, timeout=seconds + TIMEOUT_SECONDS))

    # Events

    def send(
        self,
        type: str,  # noqa: A002 -- its name in CloudEvents
        data: Any = None,
        *,
        source: str = "/python",
        subject: str | None = None,
        id: str | None = None,  # noqa: A002 -- its name in CloudEvents
        wait: str | None = "decision",
    ) -> T:
        """Send a CloudEvent; an event of the same source and `id` counts once. `wait`: `decision`, `run` or None."""
        event = {"specversion": "1.0", "id": id or str(uuid.uuid4()), "source": source, "type": type, "data": data}
        event |= {} if subject is None else {"subject": subject}
        headers = {"content-type": _STRUCTURED, "Idempotency-Key": str(uuid.uuid4())}
        return self._do(
            Call(method="POST", path="/api/v1/events", query={"wait": wait}, body=event, headers=headers, timeout=90.0)
        )

    def events(self, **query: Any) -> T:
        """List events."""
        return self._get("/api/v1/events", **query)

    def explain(self, reference: str, **query: Any) -> T:
        """Say why an event, a run or a trigger did what it did; `at` is a time for triggers."""
        return self._get("/api/v1/explain", ref=reference, **query)

    def replay(self, events: Sequence[str] = (), **more: Any) -> T:
        """Let events happen again: by id, or by a filter."""
        return self._post("/api/v1/events/replay", {**({"ids": list(events)} if events else {}), **more})

    # Triggers and schedules

    def triggers(self, **query: Any) -> T:
        """List triggers."""
        return self._get("/api/v1/triggers", **query)

    def set_mode(self, trigger_id: str, mode: str, reason: str | None = None) -> T:
        """Switch a trigger: `enabled`, `disabled` or `suspended`."""
        return self._post(f"/api/v1/triggers/{segment(trigger_id)}/mode", {"mode": mode, "reason": reason})

    def schedules(self, **query: Any) -> T:
        """List schedules."""
        return self._get("/api/v1/schedules", **query)

    def create_schedule(self, workflow: str, name: str, **schedule: Any) -> T:
        """Add a schedule to a workflow: `cron`, `run_at` or `every`, with `timezone` and `input`."""
        return self._post("/api/v1/schedules", {"workflow": workflow, "name": name, **schedule})

    def occurrences(self, schedule_id: str, **query: Any) -> T:
        """List the times of a schedule and what became of them."""
        return self._get(f"/api/v1/schedules/{segment(schedule_id)}/occurrences", **query)

    def preview(self, **schedule: Any) -> T:
        """Show the next times of a cron expression: `cron`, `timezone`, `from_`, `count`."""
        return self._post("/api/v1/schedules/preview", {key.removesuffix("_"): one for key, one in schedule.items()})

    def backfills(self, **query: Any) -> T:
        """List backfills."""
        return self._get("/api/v1/backfills", **query)

    def create_backfill(self, **backfill: Any) -> T:
        """Run a range of a schedule's times afterwards: `trigger`, `from_`, `to`, `dry_run` and more."""
        return self._post("/api/v1/backfills", {key.removesuffix("_"): one for key, one in backfill.items()})

    # People and templates

    def waits(self, **query: Any) -> T:
        """List what waits for an answer."""
        return self._get("/api/v1/waits", **query)

    def answer(self, wait_id: str, response: Mapping[str, Any]) -> T:
        """Answer a wait."""
        return self._post(f"/api/v1/waits/{segment(wait_id)}", dict(response))

    def templates(self, **query: Any) -> T:
        """List templates."""
        return self._get("/api/v1/templates", **query)

    def create_template(
        self, name: str, workflow: Definition, *, input_schema: Mapping[str, Any] | None = None, **more: Any
    ) -> T:
        """Keep a workflow as a template; `more` are its `description` and `category`."""
        body = {"name": name, "definition": definition_of(workflow), "input_schema": input_schema, **more}
        return self._post("/api/v1/templates", body)

    def run_template(self, name: str, input: Any = None, *, key: str | None = None) -> T:  # noqa: A002
        """Run a template; its input is checked against its schema."""
        body = {} if input is None else {"input": input}
        return self._post(f"/api/v1/templates/{segment(name)}/run", body, key=key)
