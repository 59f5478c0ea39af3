"""What workflows, deployments and triggers look like in answers; the OpenAPI document is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class LastDecision(_Open):
    """The newest decision about a trigger."""

    event_id: str
    outcome: str
    reason: str
    run_id: str | None
    decided_at: str


class Trigger(_Open):
    """A trigger. `deployment_status` is active, inactive (undeployed) or pending (not deployed yet)."""

    id: str
    workflow_id: str
    workflow: str
    name: str
    type: str
    mode: str
    config: Any
    index_key: str | None
    next_fire_at: str | None
    last_decision: LastDecision | None
    deployment_status: str
    revision: int
    overlap: Any
    priority: int
    waiting: int


class Flushed(_Open):
    """How many waiting runs were given up, how many wait still, and the ids of those that were to be kept."""

    flushed: int
    waiting: int
    kept: list[str]


class JoinRound(_Open):
    """Ends that have arrived and wait for others. `correlation` is the value they have in common, `key` names it."""

    correlation: Any
    key: str
    opened_at: str
    updated_at: str
    due_at: str | None
    window: dict[str, str] | None
    arrived: list[dict[str, Any]]
    missing: list[str]
    summary: str


class Joins(_Open):
    """What a trigger that waits for several workflows has got so far. `rule` is all, at_least or when, else null."""

    trigger_id: str
    rule: str | None
    members: list[str]
    optional: list[str]
    correlate_by: str | None
    on_miss: str | None
    items: list[JoinRound]


class JoinsReset(_Open):
    """How many open rounds were forgotten."""

    trigger_id: str
    reset: int


class TriggerPage(BaseModel):
    """A page of triggers."""

    items: list[Trigger]
    next: str | None


class Workflow(_Open):
    """A workflow. `version` is the latest one, `live_version` the one that runs."""

    id: str
    name: str
    version: int
    live_version: int | None
    deployment_status: str
    paused: bool
    definition: Any
    triggers: list[Trigger]
    revision: int


class WorkflowPage(BaseModel):
    """A page of workflows."""

    items: list[Workflow]
    next: str | None


class Version(_Open):
    """A version of a definition."""

    version: int
    live: bool
    hash: str
    format: str
    created_at: str
    created_by: str | None


class VersionPage(BaseModel):
    """A page of versions."""

    items: list[Version]
    next: str | None


class Issue(_Open):
    """A mistake and its place."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None


class Validation(_Open):
    """Whether a definition is right. `problems` would stop a deployment although it is."""

    valid: bool
    errors: list[Issue]


class Loss(BaseModel):
    """What of a file is not expressed: its path and line there, and what becomes of it."""

    path: str
    message: str
    line: int | None


class ImportItem(_Open):
    """A workflow that was read; `main` is false for one that only another one calls."""

    name: str
    source: str
    definition: dict[str, Any]
    notes: list[str]
    lost: list[Loss]
    main: bool


class Imports(_Open):
    """What a file of another system holds."""

    items: list[ImportItem]


class Change(_Open):
    """One difference; `op` is added, removed or changed."""

    path: list[str]
    op: str


class Diff(BaseModel):
    """What one version changed against another."""

    model_config = ConfigDict(extra="allow")

    workflow: str
    to: int
    changes: list[Change]


class Deployment(_Open):
    """An entry of the deployment history; `step` is where it stands or failed."""

    id: str
    workflow_id: str
    version: int | None
    action: str
    status: str
    step: str | None
    error: str | None
    changes: Any
    actor: str | None
    started_at: str
    ended_at: str | None


class DeploymentPage(BaseModel):
    """A page of the deployment history."""

    items: list[Deployment]
    next: str | None


class Status(_Open):
    """Where a workflow stands."""

    workflow_id: str
    workflow: str
    deployment_status: str
    version: int
    live_version: int | None
    latest_version: int
    error: str | None
    deployment: Deployment | None
    warnings: list[str] = []


class Plan(_Open):
    """What a deployment would change; `action` is create, update or none."""

    workflow: str
    action: str
    triggers: dict[str, Any]
    jobs: dict[str, Any]
    settings: list[Change]
    warnings: list[str]
    problems: list[dict[str, Any]]


class TriggerTypes(BaseModel):
    """The catalogue of trigger types."""

    items: list[dict[str, Any]]
    next: str | None


class Trial(_Open):
    """A dry run."""

    trigger_id: str
    dry_run: bool
    decisions: list[dict[str, Any]]


class Started(_Open):
    """A manual start."""

    run_id: str | None
    event_id: str
    explain: str
    duplicate: bool


class SimulationResult(_Open):
    """How often the trigger would start a run, as it is and as it would be, and where they differ.

    `would_start` lists the events that would start one (`new`: the live version would not), `missed` counts runs that
    a window which is over would start, `together` those that groups of events would start when their time comes, and
    `later` those that `throttle` would hold back.
    """

    trigger_id: str
    dry_run: bool
    events: int
    more: bool
    live: dict[str, int]
    proposed: dict[str, int]
    missed: dict[str, int]
    together: dict[str, int]
    later: dict[str, int]
    would_start: list[dict[str, Any]]
    differences: list[dict[str, Any]]


class SourceHealth(_Open):
    """How a polled or streaming source does; several triggers may share one (`shared_by`)."""

    key: str
    status: str
    connected: bool
    connected_since: str | None
    down_since: str | None
    last_alive_at: str | None
    last_event_at: str | None
    lag: int | None
    failures: int
    next_attempt_at: str | None
    credentials_expire_at: str | None
    error: dict[str, Any] | None


class Refused(_Open):
    """The last request that a push trigger refused: nothing of it became an event."""

    at: str
    why: str


class TriggerHealth(_Open):
    """`status` is healthy, failing, late, completed, paused, disabled, suspended, undeployed or broken.

    For triggers that are polled or stream it may be starting, waiting, down, unattended, expiring or ended as well, and
    `source` tells how the connection to their peer does.
    """

    trigger_id: str
    status: str
    summary: str
    late_seconds: float
    decisions_24h: dict[str, int]
    runs: list[dict[str, Any]]
    source: SourceHealth | None = None
    refused: Refused | None = None
