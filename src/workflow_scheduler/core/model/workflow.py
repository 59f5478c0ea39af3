"""The definition of a workflow, as users write it (interface.md section 3), after parsing and before compiling."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from workflow_scheduler.core.model.priority import Priority
from workflow_scheduler.core.overlap import LIMIT_DEFAULT, LIMIT_MAX, Overlap, Policy, Scope

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
JOB_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"


def duration_seconds(value: object) -> object:
    """Turn `90s`, `15m`, `2h`, `7d` (or a plain number of seconds) into seconds; leave anything else to pydantic."""
    if isinstance(value, str):
        match = _DURATION.match(value.strip())
        if match is None:
            message = f"`{value}` is not a duration; write a number and a unit, for example 90s, 15m, 2h or 7d"
            raise ValueError(message)
        return float(match[1]) * _UNIT_SECONDS[match[2]]
    return value


Duration = Annotated[
    float,
    BeforeValidator(duration_seconds, json_schema_input_type=str | float),
    Field(ge=0, description="A duration: 90s, 15m, 2h or 7d."),
]
RunIf = Literal["all_success", "at_least_one_success", "all_done", "none_failed", "all_failed", "at_least_one_failed"]


PoolName = Annotated[str, Field(pattern=JOB_PATTERN)]
CAPACITY_MAX = 1_000_000
POOLS_MAX = 100
Pools = Annotated[
    dict[PoolName, Annotated[int, Field(ge=1, le=CAPACITY_MAX)]],
    Field(max_length=POOLS_MAX, description="Pools by name, and how much each has."),
]


def _one_of_each(value: object) -> object:
    """Read a list of pool names as one of each."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, 1)
    return value


class Part(BaseModel):
    """Base of every part of a definition: closed and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Retry(Part):
    """How often and when a failed job is tried again."""

    attempts: int = Field(default=1, ge=1, le=100, description="Attempts in all, the first included.")
    backoff: Literal["fixed", "linear", "exponential"] = "fixed"
    delay: Duration = 1.0
    max_delay: Duration = 300.0
    jitter: bool = False
    on: tuple[str, ...] = Field(default=(), description="Error codes to retry; empty means every retryable error.")


class Need(Part):
    """A job that is needed, and how it must have ended."""

    job: str
    condition: Literal["on_success", "on_failure", "on_completion"] = "on_success"


class Job(Part):
    """One node of the DAG. `run: CMD` is short for `uses: run` with `with: {command: CMD}`.

    `map` and `for_each` run it for each item of a list, `while` as long as a condition holds.
    """

    needs: tuple[str | Need, ...] = Field(
        default=(),
        description="Jobs that come before: names, or {job, condition: on_success|on_failure|on_completion}.",
    )
    run_if: RunIf = "all_success"
    condition: str | None = Field(default=None, alias="if", description="CEL; the job is skipped when it is false.")
    run: str | None = Field(default=None, description="A shell command; short for `uses: run`.")
    uses: str | None = Field(default=None, description="The job type.")
    with_: dict[str, Any] = Field(default_factory=dict, alias="with", description="Configuration of the job type.")
    retry: Retry = Retry()
    timeout: Duration | None = None
    allow_failure: bool = False
    map: str | list[Any] | None = Field(
        default=None, description="A list, or ${…} that gives one: the job runs once for each `item`, side by side."
    )
    max_parallel: int | None = Field(default=None, ge=1, description="Instances of a `map` under way at once.")
    for_each: str | list[Any] | None = Field(
        default=None, description="A list, or ${…} that gives one: the job runs once for each `item`, one by one."
    )
    loop_while: str | None = Field(
        default=None, alias="while", description="CEL; the job is repeated while it is true. Needs `max_iterations`."
    )
    max_iterations: int | None = Field(default=None, ge=1, le=100_000, description="Bound of a loop.")
    delay: Duration | None = Field(default=None, description="Pause between two iterations of a loop.")
    fail_fast: bool | None = Field(
        default=None, description="Whether the first failed instance stops the others; loops do so, `map` does not."
    )
    resources: Annotated[Pools, BeforeValidator(_one_of_each, json_schema_input_type=Pools | list[PoolName])] = Field(
        default_factory=dict,
        description="What the job takes of pools of the workflow or the tenant while it runs: {db: 2}, or [db].",
    )
    env: dict[str, str] = Field(default_factory=dict)
    description: str = ""
    order_index: int | None = None

    @property
    def type(self) -> str:
        """The name of the job type."""
        return self.uses or "run"


class Concurrency(Part):
    """Limits: runs of this workflow at once, and jobs of one run at once."""

    max_runs: int | None = Field(
        default=None, ge=1, le=100_000, description="Runs of this workflow at once, or of each value of `key`."
    )
    key: str | None = Field(default=None, description="CEL over the event; `max_runs` holds for each value of it.")
    on_limit: Literal["queue", "skip"] = Field(
        default="queue", description="What becomes of a run beyond `max_runs`: it waits for its turn, or is left out."
    )
    max_parallel_jobs: int = Field(default=5, ge=1, le=10_000)

    @model_validator(mode="after")
    def _bounded(self) -> Concurrency:
        if self.max_runs is None and (self.key is not None or self.on_limit == "skip"):
            message = "`key` and `on_limit` go with `max_runs`; say how many runs there may be at once"
            raise ValueError(message)
        return self


class OverlapRule(Part):
    """What becomes of a fire while an earlier run is still under way; `overlap: skip` is short for `{policy: skip}`."""

    policy: Policy = Field(description="What a fire does while an earlier run is under way.")
    scope: Scope = Field(
        default="trigger", description="Which runs count: of this trigger, of the workflow, or with the same `key`."
    )
    key: str | None = Field(default=None, description="CEL over the event; runs with the same value do not overlap.")
    limit: int = Field(default=LIMIT_DEFAULT, ge=1, le=LIMIT_MAX, description="How many may wait under `queue_all`.")

    @model_validator(mode="before")
    @classmethod
    def _scope_of_key(cls, value: Any) -> Any:
        """Read a `key` without a scope as the scope `key`."""
        if isinstance(value, dict) and value.get("key") is not None and "scope" not in value:
            return {**value, "scope": "key"}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> OverlapRule:
        if self.scope == "key" and self.key is None:
            message = "the scope `key` needs `key`: CEL over the event, for example event.data.customer"
            raise ValueError(message)
        if self.scope != "key" and self.key is not None:
            message = f"`key` goes with the scope `key`, not with `{self.scope}`"
            raise ValueError(message)
        if self.policy != "queue_all" and "limit" in self.model_fields_set:
            message = f"`limit` goes with the policy `queue_all`, not with `{self.policy}`"
            raise ValueError(message)
        return self


class TemporalStart(Part):
    """A workflow of others on a Temporal server, started instead of our own jobs."""

    workflow_type: str = Field(min_length=1, max_length=1000, description="The type to start; it gets the run's input.")
    task_queue: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Queue of its workers; WFS_TEMPORAL_TASK_QUEUE without.",
    )


class PrefectStart(Part):
    """A deployment on a Prefect server, of which each run is a flow run."""

    deployment: str = Field(
        min_length=1, max_length=1000, description="FLOW/DEPLOYMENT, as `prefect deployment ls` shows it, or its id."
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="Its parameters, with `${…}` over `input event run env`; the run's input without.",
    )
    tags: list[str] = Field(default_factory=list, max_length=100, description="Tags of the flow run, beside ours.")

    @field_validator("deployment")
    @classmethod
    def _named(cls, value: str) -> str:
        flow, slash, deployment = value.partition("/")
        if not (slash and flow.strip() and deployment.strip()) and _UUID.fullmatch(value) is None:
            message = f"`{value}` is neither FLOW/DEPLOYMENT nor the id of a deployment"
            raise ValueError(message)
        return value


def _overlap_form(value: object) -> object:
    return {"policy": value} if isinstance(value, str) else value


OverlapField = Annotated[OverlapRule, BeforeValidator(_overlap_form, json_schema_input_type=Policy | OverlapRule)]


class Definition(Part):
    """A workflow definition, version 1 of the format. `triggers` stay plain here; their types validate them."""

    version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    description: str = ""
    timezone: str | None = None
    engine: str = "embedded"
    temporal: TemporalStart | None = Field(
        default=None, description="With `engine: temporal`: a workflow type of yours to start; then there are no jobs."
    )
    prefect: PrefectStart | None = Field(
        default=None, description="With `engine: prefect`: the deployment to start; then there are no jobs."
    )
    concurrency: Concurrency = Concurrency()
    resources: Pools = Field(
        default_factory=dict, description="Pools that the jobs of all runs of this workflow share."
    )
    overlap: OverlapField | None = Field(default=None, description="The `overlap` of triggers that have none.")
    priority: Priority = 0
    fail_fast: bool = False
    timeout: Duration | None = None
    env: dict[str, str] = Field(default_factory=dict)
    input: dict[str, Any] = Field(
        default_factory=dict, description="What the input of a run is taken from where the run's own lacks it."
    )
    max_depth: int = Field(default=10, ge=1, le=100)
    triggers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    jobs: dict[str, Job] = Field(default_factory=dict)


def overlap_of(own: OverlapRule | None, definition: Definition) -> Overlap | None:
    """Return the rule of a trigger with the rule `own`, or None where its runs may overlap and nobody counts them.

    Where one trigger counts the runs of the whole workflow, those of triggers without a rule are counted as well.
    """
    rule = own or definition.overlap
    if rule is not None and rule.policy != "allow":
        return Overlap(rule.policy, rule.scope, rule.key, rule.limit)
    given = [trigger.get("overlap") for trigger in definition.triggers.values()]
    is_counted = any(isinstance(one, dict) and one.get("scope") == "workflow" for one in given)
    if is_counted or (definition.overlap is not None and definition.overlap.scope == "workflow"):
        return Overlap("allow", "workflow")
    return None


def limit_of(definition: Definition, *, several: bool) -> Overlap | None:
    """Return the rule by which the runs of a workflow are counted in the store, or None where that is not needed.

    A plain `max_runs` of the embedded engine is counted in the process where no `several` instances share the store.
    Where `overlap` lets one run at a time through, `max_runs` is left to the process as well.
    """
    rule = definition.concurrency
    if rule.max_runs is None or overlaps(definition):
        return None
    if rule.key is None and rule.on_limit == "queue" and definition.engine == "embedded" and not several:
        return None
    policy: Policy = "skip" if rule.on_limit == "skip" else "queue_all"
    return Overlap(policy, "workflow" if rule.key is None else "key", rule.key, places=rule.max_runs)


def overlaps(definition: Definition) -> bool:
    """Return whether the workflow or any of its triggers has a rule of overlap other than `allow`."""
    given = [trigger.get("overlap") for trigger in definition.triggers.values()]
    policies = [one.get("policy") if isinstance(one, dict) else one for one in given]
    own = "allow" if definition.overlap is None else definition.overlap.policy
    return any(policy not in {None, "allow"} for policy in (own, *policies))
