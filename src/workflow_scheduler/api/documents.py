"""What events, runs, decisions, dead letters and schedules look like in answers; the OpenAPI document is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """Base of the documented answers; an unreadable row has only `id` and `error`."""

    model_config = ConfigDict(extra="allow")


class RowError(Document):
    """What is wrong with a row that cannot be read."""

    code: str
    message: str


class Event(Document):
    """Something that happened."""

    id: str
    source: str
    type: str
    subject: str | None
    provider: str = Field(description="The trigger type that heard it.")
    time: str
    received_at: str
    data: Any
    event_key: str = Field(description="Its identity: unique within its source.")
    attributes: dict[str, Any] = Field(description="Facts of the transport, secrets masked.")
    duplicates: int = Field(description="How often the same event came again.")
    replay_of: str | None


class EventPage(BaseModel):
    """A page of events. It may be short while `next` is set: follow it to the end."""

    items: list[Event]
    next: str | None


class Predicate(Document):
    """One line of an explanation. `verdict` null means that it could not be decided."""

    name: str
    expected: Any
    actual: Any
    verdict: bool | None
    note: str | None


class Decision(Document):
    """What became of one event for one trigger."""

    event_id: str
    trigger_id: str
    trigger: str | None
    workflow_id: str
    workflow: str | None
    outcome: str
    reason: str
    predicates: list[Predicate]
    run_id: str | None
    run_status: str | None
    decided_at: str | None
    recorded: bool = Field(description="False: evaluated now for a trigger that was no candidate then.")
    summary: str


class DecisionPage(BaseModel):
    """A page of decisions."""

    items: list[Decision]
    next: str | None


class Explanation(Document):
    """What an event led to, and why not to more."""

    event: Event
    summary: str
    decisions: list[Decision]
    duplicates: int
    runs: list[dict[str, Any]]


class Why(Document):
    """Why a run started, or what became of a trigger at a time."""

    summary: str


class Job(Document):
    """A node of a run."""

    id: str
    status: str
    attempt: int
    started_at: str | None
    ended_at: str | None
    output: Any
    error: Any
    reused_from: str | None = Field(default=None, description="The run whose result a rerun kept.")


class Parallelism(Document):
    """How parallel the jobs of an ended run were; the last attempt of each job counts."""

    max: int = Field(description="Jobs under way at once, at most.")
    mean: float = Field(description="Jobs under way on average, from the first start to the last end.")
    elapsed_ms: float
    sequential_ms: float = Field(description="What the jobs had taken one after the other.")
    saved_ms: float


class Run(Document):
    """One execution of a workflow version."""

    id: str
    workflow_id: str
    workflow: str
    version: int
    status: str
    trigger_id: str
    trigger_type: str
    event_id: str
    scheduled_for: str | None
    backfill_id: str | None = None
    rerun_of: str | None = Field(default=None, description="The run that this one repeats.")
    input: Any
    output: Any
    error: Any
    priority: int = Field(description="Of runs that wait, the higher goes first.")
    created_at: str
    started_at: str | None
    ended_at: str | None
    jobs: list[Job] = []
    parallelism: Parallelism | None = Field(default=None, description="Of one run that has ended, where jobs ran.")


class Rerun(Run):
    """The new run of a rerun."""

    run_id: str
    rerun_of: str | None
    duplicate: bool = Field(description="Whether an earlier request with this key started it.")
    kept: list[str] = Field(description="Jobs whose results are kept.")
    again: list[str] = Field(description="Jobs that are run, or decided about, again.")
    changed: list[str] = Field(description="Those of them that the live version defines otherwise.")


class RunPage(BaseModel):
    """A page of runs. It may be short while `next` is set: follow it to the end."""

    items: list[Run]
    next: str | None


class LogLine(Document):
    """One line that a job printed."""

    seq: int
    job: str
    attempt: int
    at: str
    stream: str
    line: str


class LogPage(BaseModel):
    """Log lines in their order."""

    items: list[LogLine]
    next: str | None


class DeadLetter(Document):
    """Something that was given up on."""

    id: str
    kind: str
    status: str
    reason: str
    detail: str
    payload: Any
    attempts: int
    created_at: str
    settled_at: str | None


class DeadLetterPage(BaseModel):
    """A page of dead letters."""

    items: list[DeadLetter]
    next: str | None


class Bulk(Document):
    """What was done to many at once, or with `dry_run` how many there are."""

    dry_run: bool
    count: int
    more: bool


class Schedule(Document):
    """A time trigger of a workflow."""

    id: str
    name: str
    workflow_id: str
    workflow: str
    type: str
    cron: str | None
    every: str | float | None
    run_at: str | None
    rrule: str | None
    timezone: str | None
    input: Any
    paused: bool
    paused_reason: str | None
    paused_until: str | None
    paused_by: str | None
    completed: bool
    fires: int = Field(description="How many of its times started runs.")
    next_fire_at: str | None
    last_fired_at: str | None
    skips: list[str] = Field(description="Times to come that are skipped.")
    revision: int


class Skipped(Schedule):
    """A schedule, and the time that was skipped or taken back."""

    at: str


class SchedulePage(BaseModel):
    """A page of schedules."""

    items: list[Schedule]
    next: str | None


class Fire(Document):
    """A time of a schedule."""

    utc: str
    local: str
    note: str | None = Field(description="What a clock change or a calendar does to it.")
    outcome: str = Field(default="planned", description="`skipped` where a calendar leaves it out.")
    reason: str | None = Field(default=None, description="Why it is left out.")


class Preview(Document):
    """The next times of a schedule."""

    fires: list[Fire]


class UnusualFire(Document):
    """A wall time that a clock change removes (`gap`) or doubles (`fold`)."""

    kind: str
    local: str
    utc: str | None = Field(description="Null where nothing runs for it.")
    fold: int
    note: str


class ChangeDay(Document):
    """A local date on which the number of fires is not the calendar's."""

    date: str
    at: str
    shift_seconds: int
    planned: int
    fires: int
    note: str


class Lab(Document):
    """What clock changes do to an expression."""

    items: list[UnusualFire]
    days: list[ChangeDay]
    changes: int = Field(description="How often the clocks change in the range.")
    complete: bool = Field(description="False: more fires are unusual than are listed.")
    next: None


class Bucket(Document):
    """The fires of an hour or a minute that begins at `start`."""

    start: str
    fires: int


class Collision(Document):
    """An instant at which several schedules without jitter fire."""

    at: str
    fires: int
    schedules: list[dict[str, str]] = Field(description="The first 20 of them.")
    more: int
    summary: str


class Forecast(Document):
    """The fires that are planned. Nominal times are counted."""

    total: int
    schedules: int
    rules: int = Field(description="How many different rules they have.")
    resting: int = Field(description="Paused, disabled and completed schedules; they are not counted.")
    exact: bool
    sampled: int = Field(description="k: one of k rules was computed and stands for k.")
    note: str | None
    bucket_seconds: int
    items: list[Bucket]
    busiest_minutes: list[Bucket]
    collisions: list[Collision]
    next: None


class Occurrence(Document):
    """A time of a schedule and what became of it."""

    nominal_local: str
    utc: str
    timezone: str
    fold: int
    outcome: str
    reason: str | None
    note: str | None
    run_id: str | None
    backfills: list[dict[str, Any]] = Field(default=[], description="Runs that backfills made for it.")


class Sums(Document):
    """How many times of a range had which fate; `planned` is the sum of the others."""

    planned: int
    fired: int
    skipped: int
    missed: int
    coalesced: int
    superseded: int
    pending: int = Field(description="Due, and settled in a moment.")
    upcoming: int
    reasons: dict[str, dict[str, int]] = Field(description="Why, for those skipped and missed.")


class OccurrenceList(Document):
    """The times of a schedule in a range. `next` is the `cursor` of the following part."""

    items: list[Occurrence]
    next: str | None
    sums: Sums


class Triggered(Document):
    """A run that was asked for."""

    event_id: str
    run_id: str | None
    outcome: str | None


class Interaction(Document):
    """What a paused execution asks for; `form` is the JSON Schema of the answer, `decision` whether it approves."""

    interaction_id: str
    ask: str
    decision: bool
    form: dict[str, Any] | None


class Execution(Document):
    """A run as the engine protocol names it. `interactions` is what it asks for now, where one is shown."""

    execution_id: str
    workflow_id: str
    status: str
    started_at: str | None
    ended_at: str | None
    interactions: list[Interaction] | None = None


class ExecutionList(Document):
    """Executions, the newest first."""

    workflows: list[Execution]
    next: str | None
