"""What happens in the demo, step by step: each step makes something happen and checks what became of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from workflow_scheduler.cli.deployment import deployed
from workflow_scheduler.cli.run import wait_for
from workflow_scheduler.cli.samples import NAMES, PUSH
from workflow_scheduler.cli.session import Session
from workflow_scheduler.client.http import Answer, problem, segment
from workflow_scheduler.core.errors import JobFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.time.clock import SystemClock, from_iso

RUN_SECONDS = 60.0
CRON_SECONDS = 90.0
_LOOK_SECONDS = 0.2
_ACCEPTED = 202
_SECRET = "demo_github"  # noqa: S105 -- the name of a secret
_WEBHOOK = "/api/v1/public/webhook/orders"

Wait = Callable[[float], None]


class Told(msgspec.Struct, frozen=True):
    """One thing that happened: its title, the run and why it started, or why nothing did."""

    title: str
    why: str
    run: dict[str, Any] | None = None
    explanation: dict[str, Any] | None = None


class Story:
    """Tells the demo against one service."""

    def __init__(self, session: Session, folder: Path) -> None:
        """Use the sample workflows in `folder`."""
        self._session = session
        self._client = session.client
        self._folder = folder
        self._key = secrets.token_bytes(32).hex()
        self._clock = SystemClock()

    def deploy(self) -> list[dict[str, Any]]:
        """Set the secret that pushes are signed with, and deploy the five samples; return their status."""
        self._client.post("/api/v1/secrets", {"name": _SECRET, "value": self._key})
        found = []
        for name in NAMES:
            found += list(deployed(self._session, str(self._folder / f"{name}.yaml")))
        return found

    def by_hand(self) -> Told:
        """Start a workflow by hand."""
        path = "/api/v1/triggers/workflows/report/manual"
        started = self._client.post(path, {"input": {"region": "eu"}})
        return self._told("a manual call starts `report`", started["run_id"])

    def webhook(self) -> Told:
        """Post a large order to a plain webhook."""
        return self._started("a webhook takes a large order", self._order(250))

    def dependency(self) -> Told:
        """Wait for the workflow that starts when `orders` has succeeded."""
        run = self._first_run("invoice", RUN_SECONDS)
        return self._told("the end of `orders` starts `invoice`", run["id"])

    def push(self) -> Told:
        """Post a signed push to the main branch, as GitHub sends it."""
        return self._started("a signed GitHub push to main", self._push("main"))

    def small_order(self) -> Told:
        """Post an order for which the condition is false."""
        return self._nothing("a webhook takes a small order", self._order(20))

    def other_branch(self) -> Told:
        """Post a signed push to a branch that nobody asked for."""
        return self._nothing("a signed GitHub push to experiment/x", self._push("experiment/x"))

    def cron(self, wait: Wait) -> Told:
        """Wait for the next minute: `heartbeat` is due then. `wait` is told the seconds that are left."""
        due = next(one for one in self._session.every("/api/v1/schedules") if one["workflow"] == "heartbeat")
        left = (from_iso(due["next_fire_at"]) - self._clock.now()) / 1_000_000 if due["next_fire_at"] else 0.0
        if not self._runs("heartbeat"):
            wait(max(0.0, left))
        run = self._first_run("heartbeat", CRON_SECONDS)
        return self._told("the clock fires `heartbeat`", run["id"])

    def _order(self, amount: int) -> str:
        body = {"id": mint(self._clock.now()), "amount": amount, "currency": "EUR"}
        headers = {"content-type": "application/json"}
        return self._event(self._client.send("POST", _WEBHOOK, content=json.dumps(body).encode(), headers=headers))

    def _push(self, branch: str) -> str:
        payload = json.loads((self._folder / PUSH).read_text())
        content = json.dumps(payload | {"ref": f"refs/heads/{branch}"}).encode()
        digest = hmac.new(self._key.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": mint(self._clock.now()),
            "x-hub-signature-256": f"sha256={digest}",
        }
        return self._event(self._client.send("POST", "/api/v1/github/webhook", content=content, headers=headers))

    def _event(self, answer: Answer) -> str:
        if answer.status != _ACCEPTED:
            raise problem(answer)
        return str(answer.value()["event_id"])

    def _explained(self, event: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/api/v1/events/{segment(event)}/explain")
        return found

    def _started(self, title: str, event: str) -> Told:
        runs = self._explained(event)["runs"]
        if len(runs) != 1:
            raise JobFailed(f"{title}: one run was expected, {len(runs)} were started")
        return self._told(title, runs[0]["id"])

    def _nothing(self, title: str, event: str) -> Told:
        found = self._explained(event)
        if found["runs"]:
            raise JobFailed(f"{title}: no run was expected, {len(found['runs'])} were started")
        return Told(title, found["summary"], explanation=found)

    def _told(self, title: str, run_id: str | None) -> Told:
        """Wait for the end of a run and return it with the reason of its start.

        Raises:
            JobFailed: nothing was started, or the run did not succeed.

        """
        if run_id is None:
            raise JobFailed(f"{title}: no run was started")
        run = wait_for(self._session, run_id, RUN_SECONDS)
        if run["status"] != "SUCCEEDED":
            raise JobFailed(f"{title}: run {run_id} is {run['status']}", fix=f"its error: {run['error']}")
        why = self._client.get(f"/api/v1/runs/{segment(run_id)}/explain")["summary"]
        return Told(title, why, run=run)

    def _runs(self, workflow: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._session.collect("/api/v1/runs", 10, workflow=workflow)["items"]
        return found

    def _first_run(self, workflow: str, seconds: float) -> dict[str, Any]:
        deadline = self._clock.monotonic() + seconds
        while not (found := self._runs(workflow)):
            if self._clock.monotonic() >= deadline:
                raise JobFailed(f"`{workflow}` was not started within {seconds:g} s")
            pause(_LOOK_SECONDS)
        return found[-1]


def pause(seconds: float) -> None:
    """Wait, at the command line only: nothing else goes on in this process."""
    import asyncio

    asyncio.run(SystemClock().sleep(seconds))
