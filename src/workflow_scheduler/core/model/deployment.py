"""Stored workflows, their versions and deployments, and the plan of a publication.

Deployment statuses and their transitions::

    UNDEPLOYED --deploy--> DEPLOYING --published--> DEPLOYED --undeploy--> UNDEPLOYED
                             |   ^                     |
                      failed |   | deploy, rollback    | deploy, rollback
                             v   |                     v
                    DEPLOYMENT_FAILED              DEPLOYING

A failed deployment of a workflow that was live leaves its old version live.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.exclusion import Excluded
from workflow_scheduler.core.time.timer import Due


class DeploymentStatus(StrEnum):
    """Where a workflow stands."""

    UNDEPLOYED = "UNDEPLOYED"
    DEPLOYING = "DEPLOYING"
    DEPLOYED = "DEPLOYED"
    DEPLOYMENT_FAILED = "DEPLOYMENT_FAILED"


DEPLOYMENT_TRANSITIONS: dict[DeploymentStatus, frozenset[DeploymentStatus]] = {
    DeploymentStatus.UNDEPLOYED: frozenset({DeploymentStatus.DEPLOYING}),
    DeploymentStatus.DEPLOYING: frozenset({DeploymentStatus.DEPLOYED, DeploymentStatus.DEPLOYMENT_FAILED}),
    DeploymentStatus.DEPLOYED: frozenset({DeploymentStatus.DEPLOYING, DeploymentStatus.UNDEPLOYED}),
    DeploymentStatus.DEPLOYMENT_FAILED: frozenset({DeploymentStatus.DEPLOYING, DeploymentStatus.UNDEPLOYED}),
}


class WorkflowRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored workflow. `live_version` is what runs, `latest_version` the newest definition; times in microseconds."""

    id: str
    tenant_id: str
    name: str
    latest_version: int
    live_version: int | None
    deployment_status: DeploymentStatus
    deployment_error: str | None
    paused: bool
    paused_reason: str | None
    paused_until: int | None
    paused_by: str | None
    revision: int
    created_at: int
    updated_at: int


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of a definition: its JSON text, the text it was made from, and the hash of its content."""

    version: int
    definition: str
    source: str | None
    source_format: str
    hash: str
    created_at: int
    created_by: str | None


class DeploymentRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry of a workflow's deployment history. `step` is where it stands or failed; `changes` is JSON text."""

    id: str
    workflow_id: str
    version: int | None
    action: str
    status: str
    step: str | None
    error: str | None
    changes: str
    actor: str | None
    started_at: int
    ended_at: int | None


class TriggerRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored trigger with the due row it may have. `config` and `shared` are JSON text, times microseconds."""

    id: str
    workflow_id: str
    workflow: str
    workflow_version: int
    name: str
    type: str
    config: str
    shared: str
    index_key: str | None
    deployment_status: str
    mode: str
    mode_reason: str | None
    revision: int
    error: str | None
    created_at: int
    updated_at: int
    workflow_paused: bool = False
    next_fire_at: int | None = None
    next_nominal: int | None = None
    last_fired_at: int | None = None
    schedule_paused: bool = False
    completed: bool = False
    paused_reason: str | None = None


class OldTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The rule of a due row that a publication replaces or takes up again; `nominal` is its first unsettled time.

    `cause` is why the times that passed did not run. `replaced` tells that another rule takes its place while it was
    live; `stays` then tells of an instant (microseconds) whether the new rule names it as well.
    """

    trigger_id: str
    type: str
    config: str
    skips: str
    anchor: int
    nominal: int
    cause: Reason
    replaced: bool
    stays: Callable[[int], bool]


class Claim(msgspec.Struct, frozen=True):
    """A public address that a trigger takes.

    `agrees` tells, given the stored configuration (JSON text) of another trigger, whether both may have the address.
    """

    key: str
    agrees: Callable[[str], bool]


class PlannedSource(msgspec.Struct, frozen=True):
    """What a trigger wants to be heard: the key of the source and its shape (`poll` or `stream`)."""

    key: str
    shape: str


class PlannedTrigger(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger as it is to be stored.

    `keys` are its rows in the matcher's look-up. `next_due` is there for time triggers: called with (after, anchor)
    it returns the first due time later than `after`. `max_fires` is how many runs it may start in all.
    `left_out` says why one of its times does not run, `deferred` which blackout window it waits for. `source` is there
    for triggers that are polled or stream.
    """

    id: str
    name: str
    type: str
    config: str
    shared: str
    enabled: bool
    index_key: str | None = None
    keys: tuple[tuple[str, str], ...] = ()
    claim: Claim | None = None
    next_due: Callable[[int, int], Due | None] | None = None
    max_fires: int | None = None
    absence: int | None = None
    left_out: Callable[[int], Excluded | None] | None = None
    deferred: Callable[[int], str | None] | None = None
    source: PlannedSource | None = None


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one publishing transaction needs to know. `now` is in microseconds.

    `calls` are the names of the workflows that its jobs run, `awaits` says that some job waits for people, and
    `closed` returns the records of an old rule's times.
    `calendars` are the versions of the calendars with which due times are computed.
    """

    tenant_id: str
    workflow_id: str
    workflow: str
    version: int
    deployment_id: str
    triggers: tuple[PlannedTrigger, ...]
    changes: str
    now: int
    tzdata: str
    calls: tuple[str, ...] = ()
    awaits: bool = False
    closed: Callable[[OldTimes], Sequence[Occurrence]] = lambda _: ()
    calendars: dict[str, int] = {}
