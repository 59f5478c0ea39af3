"""Triggers: configured instances of a trigger type, owned by one workflow."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec

from workflow_scheduler.core.overlap import Overlap
from workflow_scheduler.core.shaping.shape import Shape


class Mode(StrEnum):
    """enabled: fires; disabled: does not; suspended: events are accepted and held."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    SUSPENDED = "suspended"


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """One live trigger. `id` is logical: it survives redeployment of the same workflow and trigger name.

    `config` is the validated configuration of its type, as plain JSON values, without the keys that every trigger
    shares (`type condition on_unknown enabled input overlap resume priority`), which stand beside it. `overlap` is None
    where runs may overlap and nobody counts them; it may be the workflow's limit of runs at once. `defaults` is the
    `input` of the definition, over which that of a run is laid. `awaits` says that runs of the workflow may wait for
    people, and `resume` that its events may answer them although their kind never does. `shape` is None where each
    event starts a run.
    """

    id: str
    tenant_id: str
    workflow_id: str
    workflow: str
    workflow_version: int
    name: str
    type: str
    config: dict[str, Any]
    index_key: str | None = None
    mode: Mode = Mode.ENABLED
    mode_reason: str | None = None
    condition: str | None = None
    on_unknown: str = "skip"
    input: Any = None
    defaults: dict[str, Any] | None = None
    workflow_paused: bool = False
    engine: str = "embedded"
    max_depth: int = 10
    overlap: Overlap | None = None
    priority: int = 0
    updated_at: int = 0
    resume: bool = False
    awaits: bool = False
    shape: Shape | None = None
    pattern: dict[str, Any] | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The durable due row of a time trigger. `next_fire_at` is due time with jitter, `next_nominal` without.

    `revision` grows with every edit; a fire is written only where revision and next_fire_at are still the ones read.
    Every time before `next_nominal` is settled. `resume_until` and `resume_as` speak of a pause that is over,
    `fires` counts the fires that started runs, and `tzdata` is the version of the time zone data behind the next time.
    """

    tenant_id: str
    trigger_id: str
    workflow_id: str
    kind: str
    revision: int
    next_fire_at: int | None
    next_nominal: int | None
    last_fired_at: int | None = None
    last_nominal: int | None = None
    anchor: int = 0
    paused: bool = False
    paused_reason: str | None = None
    completed: bool = False
    paused_until: int | None = None
    resume_until: int | None = None
    resume_as: Literal["none", "latest", "all"] | None = None
    fires: int = 0
    tzdata: str = ""


class Occurrence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One nominal time of a schedule and what became of it."""

    tenant_id: str
    trigger_id: str
    nominal: int
    nominal_local: str
    timezone: str
    fold: int
    tzdata: str
    outcome: str
    reason: str | None = None
    note: str | None = None
    run_id: str | None = None
    event_id: str | None = None
    recorded_at: int = 0
