"""The compiled form of a workflow's jobs: checked once at save, immutable, indexed by integers.

`compile_graph` refuses what could never run: cycles (with the path), needs that do not exist (with a suggestion), jobs
that need themselves, jobs whose `run_if` can never hold, unknown job types, `${…}` and `if` expressions that do not
parse or read jobs that need not have ended by then. All errors come at once, each with its field
(`jobs.load.needs[0]`).

A workflow in which no job has `needs` and every job has `order_index` runs in that order, one job after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import msgspec

from workflow_scheduler.core.dag.conditions import EdgeRules, edge_rules
from workflow_scheduler.core.dag.pools import check_resources
from workflow_scheduler.core.dag.references import check_references
from workflow_scheduler.core.dag.repeat import Repeat
from workflow_scheduler.core.dag.repeats import check_own_variables, compile_repeat
from workflow_scheduler.core.dag.run_if import NEVER_WITHOUT_NEEDS, WANTS_SUCCESS
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError, ValidationFailed, did_you_mean
from workflow_scheduler.core.match import template
from workflow_scheduler.core.match.condition import Condition
from workflow_scheduler.core.match.template import Template, Use
from workflow_scheduler.core.model.workflow import Definition, Job, Retry

JOBS_MAX: Final = 10_000
SHELL_FIELDS: Final = ("command",)
RAW_FIELDS: Final = ("code",)
POSIX_SHELLS: Final = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"})
_SECOND_US = 1_000_000


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One job: its place in the graph and everything about it that does not change from run to run.

    `config` and `env` are templates; `env` holds the definition's environment overlaid by the job's own.
    `timeout_us` is in microseconds.
    """

    index: int
    id: str
    type: str
    needs: tuple[int, ...]
    dependents: tuple[int, ...]
    run_if: str
    wants_success: bool
    condition: Condition | None
    config: Template
    env: Template
    retry: Retry
    timeout_us: int | None
    allow_failure: bool
    repeat: Repeat | None = None
    resources: Mapping[str, int] = MappingProxyType({})


class Graph(msgspec.Struct, frozen=True, kw_only=True, eq=False, weakref=True):
    """A checked DAG. Adjacency is by index into `nodes`, which stand in the order of the definition.

    `needs_count[i]` is the number of jobs that node i needs. Run output: the output of the one job that no other job
    needs, or an object `{job: output}` when there are several such `leaves`. `edges` says for the needs with a
    condition of their own, by (needed job, job), how each end counts; `repeats` whether any job is repeated, `pooled`
    whether any asks for resources.
    """

    definition: Definition
    nodes: tuple[Node, ...]
    index: Mapping[str, int]
    roots: tuple[int, ...]
    leaves: tuple[int, ...]
    needs_count: tuple[int, ...]
    max_parallel: int
    fail_fast: bool
    timeout_us: int | None
    repeats: bool = False
    pooled: bool = False
    edges: EdgeRules = {}


class _Texts(msgspec.Struct, frozen=True, eq=False):
    """What was parsed of one job."""

    config: Template
    env: Template
    condition: Condition | None
    uses: tuple[Use, ...]
    repeat: Repeat | None


def compile_graph(definition: Definition, job_types: Mapping[str, Any] | None = None) -> Graph:
    """Check the jobs of `definition` and return their graph.

    `job_types` are the known job types by name; when it is given, other types are refused. A job type may say with
    `shell_fields` which of its fields are shell commands (`command` by default): values filled into those are quoted;
    and with `raw_fields` which are program text (`code` by default) that is taken as it is, without `${…}`: data must
    not become program code.

    Raises:
        DefinitionInvalid: a rule is broken; `errors` names every field concerned.

    """
    jobs = definition.jobs
    if len(jobs) > JOBS_MAX:
        message = f"{len(jobs)} jobs are more than the limit of {JOBS_MAX}; split the workflow"
        raise DefinitionInvalid(message, errors=[FieldError("jobs", message)])
    errors: list[FieldError] = []
    index = {job_id: place for place, job_id in enumerate(jobs)}
    needs = _sequence(jobs) or _needs(jobs, index, errors)
    _check_types(jobs, job_types, errors)
    _check_rules(jobs, needs, errors)
    check_resources(definition, errors)
    edges = edge_rules(jobs, index, errors)
    if not any(error.field.startswith("jobs.") and ".needs[" in error.field for error in errors):
        _check_cycles(list(jobs), needs, errors)
    compiled = [_templates(definition, job_id, job, job_types or {}, errors) for job_id, job in jobs.items()]
    if not errors:
        check_references(index, needs, [text.uses for text in compiled], errors)
    if errors:
        raise DefinitionInvalid(_summary(errors), errors=errors)
    return _assemble(definition, needs, compiled, edges)


def _summary(errors: list[FieldError]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0].field}: {errors[0].message}{more}"


def _sequence(jobs: Mapping[str, Job]) -> list[tuple[int, ...]] | None:
    """Return the chain given by `order_index`, or None when the jobs do not ask for one."""
    if len(jobs) < 2 or any(job.needs or job.order_index is None for job in jobs.values()):  # noqa: PLR2004 - a chain
        return None
    places = {job_id: place for place, job_id in enumerate(jobs)}
    order = sorted(jobs, key=lambda job_id: (jobs[job_id].order_index or 0, places[job_id]))
    needs: list[tuple[int, ...]] = [()] * len(jobs)
    for before, after in pairwise(order):
        needs[places[after]] = (places[before],)
    return needs


def _needs(jobs: Mapping[str, Job], index: Mapping[str, int], errors: list[FieldError]) -> list[tuple[int, ...]]:
    needs: list[tuple[int, ...]] = []
    for job_id, job in jobs.items():
        seen: list[int] = []
        for place, need in enumerate(job.needs):
            wanted = need if isinstance(need, str) else need.job
            field = f"jobs.{job_id}.needs[{place}]"
            if wanted == job_id:
                errors.append(FieldError(field, f"job `{job_id}` needs itself; remove this line"))
            elif wanted not in index:
                near = did_you_mean(wanted, index)
                hint = f", did you mean `{near}`?" if near else "; define it or remove this line"
                errors.append(FieldError(field, f"there is no job `{wanted}`{hint}", suggestion=near))
            elif index[wanted] in seen:
                errors.append(FieldError(field, f"`{wanted}` is listed twice; remove one"))
            else:
                seen.append(index[wanted])
        needs.append(tuple(seen))
    return needs


def _check_types(jobs: Mapping[str, Job], known: Mapping[str, Any] | None, errors: list[FieldError]) -> None:
    for job_id, job in jobs.items():
        if job.run is not None and job.uses not in {None, "run"}:
            errors.append(FieldError(f"jobs.{job_id}.run", "`run` and `uses` exclude each other; keep one of them"))
        elif job.run is None and job.uses is None:
            errors.append(FieldError(f"jobs.{job_id}", "the job does nothing; give it `run: COMMAND` or `uses: TYPE`"))
        elif known is not None and job.type not in known:
            near = did_you_mean(job.type, known)
            hint = f", did you mean `{near}`?" if near else f"; known are {', '.join(sorted(known))}"
            message = f"there is no job type `{job.type}`{hint}"
            errors.append(FieldError(f"jobs.{job_id}.uses", message, suggestion=near))


def _check_rules(jobs: Mapping[str, Job], needs: list[tuple[int, ...]], errors: list[FieldError]) -> None:
    for (job_id, job), needed in zip(jobs.items(), needs, strict=True):
        if not needed and not job.needs and job.run_if in NEVER_WITHOUT_NEEDS:
            message = f"job `{job_id}` can never run: `{job.run_if}` looks at needed jobs and it has no `needs`"
            errors.append(FieldError(f"jobs.{job_id}.run_if", message))


def _check_cycles(names: list[str], needs: list[tuple[int, ...]], errors: list[FieldError]) -> None:
    left = [len(needed) for needed in needs]
    dependents = _dependents(needs)
    free = [place for place, count in enumerate(left) if count == 0]
    done = 0
    while free:
        done += 1
        for dependent in dependents[free.pop()]:
            left[dependent] -= 1
            if left[dependent] == 0:
                free.append(dependent)
    if done == len(names):
        return
    cycle = _cycle(needs, [count > 0 for count in left])
    path = " → ".join(names[place] for place in cycle)
    field = f"jobs.{names[cycle[0]]}.needs"
    errors.append(FieldError(field, f"the jobs need each other in a circle: {path}; remove one of these needs"))


def _cycle(needs: list[tuple[int, ...]], stuck: list[bool]) -> list[int]:
    """Return one cycle, its first member repeated at the end, each member needing the one after it."""
    place = stuck.index(True)
    seen: dict[int, int] = {}
    walk: list[int] = []
    while place not in seen:
        seen[place] = len(walk)
        walk.append(place)
        place = next(needed for needed in needs[place] if stuck[needed])
    circle = walk[seen[place] :]
    first = circle.index(min(circle))
    circle = circle[first:] + circle[:first]
    return [*circle, circle[0]]


def _dependents(needs: list[tuple[int, ...]]) -> list[list[int]]:
    dependents: list[list[int]] = [[] for _ in needs]
    for place, needed in enumerate(needs):
        for upstream in needed:
            dependents[upstream].append(place)
    return dependents


def _templates(
    definition: Definition, job_id: str, job: Job, job_types: Mapping[str, Any], errors: list[FieldError]
) -> _Texts:
    config = dict(job.with_)
    if job.run is not None:
        if "command" in config:
            errors.append(FieldError(f"jobs.{job_id}.with.command", "the command is given by `run` already; keep one"))
        config["command"] = job.run
    module = job_types.get(job.type)
    shell = getattr(module, "shell_fields", SHELL_FIELDS)
    raw = RAW_FIELDS if module is None else getattr(module, "raw_fields", ())
    compiled = []
    names = {} if job.run is None else {"command": f"jobs.{job_id}.run"}
    for value, field in ((config, f"jobs.{job_id}.with"), ({**definition.env, **job.env}, f"jobs.{job_id}.env")):
        known: dict[str, Any] = {}
        if value is config:
            known = {"shell_fields": shell, "raw_fields": raw, "names": names}
            known["html_fields"] = getattr(module, "html_fields", ())
        try:
            compiled.append(template.parse(value, field, **known))
        except ValidationFailed as error:
            errors.extend(error.errors)
            compiled.append(template.EMPTY)
    _check_shell(job_id, config, compiled[0], errors)
    condition = None
    uses = [*compiled[0].uses, *compiled[1].uses]
    if job.condition is not None:
        try:
            condition = template.check(job.condition, f"jobs.{job_id}.if")
            uses.append(Use(f"jobs.{job_id}.if", condition.expression.paths))
        except ValidationFailed as error:
            errors.extend(error.errors)
    check_own_variables(job_id, job, uses, errors)
    repeat, read = compile_repeat(job_id, job, errors)
    return _Texts(compiled[0], compiled[1], condition, (*uses, *read), repeat)


def _check_shell(job_id: str, config: Mapping[str, Any], parsed: Template, errors: list[FieldError]) -> None:
    """Refuse to fill values into a command for a program whose quoting is not that of a POSIX shell."""
    program = config.get("shell")
    if program is None or parsed.static or "${" not in str(config.get("command")):
        return
    if not isinstance(program, str) or program.rsplit("/", 1)[-1] not in POSIX_SHELLS:
        message = f"values can be quoted for POSIX shells only, not for `{program}`; hand them over in `env`"
        errors.append(FieldError(f"jobs.{job_id}.with.shell", message))


def _assemble(definition: Definition, needs: list[tuple[int, ...]], compiled: list[_Texts], edges: EdgeRules) -> Graph:
    dependents = _dependents(needs)
    nodes = tuple(
        Node(
            index=place,
            id=job_id,
            type=job.type,
            needs=needs[place],
            dependents=tuple(dependents[place]),
            run_if=job.run_if,
            wants_success=job.run_if in WANTS_SUCCESS and not any(edges.get((up, place)) for up in needs[place]),
            condition=compiled[place].condition,
            config=compiled[place].config,
            env=compiled[place].env,
            retry=job.retry,
            timeout_us=None if job.timeout is None else round(job.timeout * _SECOND_US),
            allow_failure=job.allow_failure,
            repeat=compiled[place].repeat,
            resources=job.resources,
        )
        for place, (job_id, job) in enumerate(definition.jobs.items())
    )
    return Graph(
        definition=definition,
        nodes=nodes,
        index=MappingProxyType({node.id: node.index for node in nodes}),
        roots=tuple(node.index for node in nodes if not node.needs),
        leaves=tuple(node.index for node in nodes if not node.dependents),
        needs_count=tuple(len(node.needs) for node in nodes),
        max_parallel=definition.concurrency.max_parallel_jobs,
        fail_fast=definition.fail_fast,
        timeout_us=None if definition.timeout is None else round(definition.timeout * _SECOND_US),
        repeats=any(node.repeat is not None for node in nodes),
        pooled=any(node.resources for node in nodes),
        edges=edges,
    )
