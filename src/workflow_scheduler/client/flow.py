"""Workflows as decorated functions: running the function once, at definition time, builds the graph.

::

    @job(retry={"attempts": 3})
    def extract(day: str) -> dict[str, Any]: ...

    @workflow(triggers=[Cron("0 2 * * *")])
    def nightly(day: str) -> None:
        files = extract(day)["files"]
        load.map(files)

    nightly.document     # what the YAML says
    extract("2027-01-01")  # outside of a workflow a job is the function it was
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from workflow_scheduler.client.expressions import Ref, cel, job_output, jobs_read, plain
from workflow_scheduler.client.trigger import Triggers, triggers_document

P = ParamSpec("P")
R = TypeVar("R")
Need = Any  # a job's result, its name, or {"job": name, "condition": "on_failure"}


class JobOptions(TypedDict, total=False):
    """The keys of a job in a definition; `if_` and `while_` are its `if` and `while`."""

    name: str
    needs: Sequence[Need]
    run_if: str
    if_: Any
    retry: Mapping[str, Any]
    timeout: str | float
    allow_failure: bool
    max_parallel: int
    for_each: Any
    while_: Any
    max_iterations: int
    delay: str | float
    fail_fast: bool
    resources: Mapping[str, int] | Sequence[str]
    env: Mapping[str, str]
    description: str
    order_index: int
    isolation: str


class WorkflowOptions(TypedDict, total=False):
    """The keys of a definition beside its name, triggers and jobs."""

    description: str
    timezone: str
    engine: str
    concurrency: Mapping[str, Any]
    resources: Mapping[str, int]
    priority: int | str
    input: Mapping[str, Any]
    overlap: str | Mapping[str, Any]
    temporal: Mapping[str, Any]
    prefect: Mapping[str, Any]
    fail_fast: bool
    timeout: str | float
    env: Mapping[str, str]
    max_depth: int


_CONDITIONS = frozenset({"if_", "while_"})
_building: ContextVar[Graph | None] = ContextVar("building", default=None)


class Graph:
    """The jobs of one workflow under construction, in the order in which they were called."""

    def __init__(self) -> None:
        """Begin empty."""
        self.jobs: dict[str, dict[str, Any]] = {}

    def add(self, name: str, work: Mapping[str, Any], options: JobOptions) -> Ref:
        """Add a job under `name`, or `name_2` where that is taken, and return its output."""
        name, base, number = options.get("name") or name, options.get("name") or name, 1
        while name in self.jobs:
            number += 1
            name = f"{base}_{number}"
        job = job_document(work, options)
        needs = [_need(one) for one in options.get("needs", ())]
        named = {one if isinstance(one, str) else one["job"] for one in needs}
        needs += [one for one in jobs_read(_texts(job)) if one in self.jobs and one not in named]
        self.jobs[name] = ({"needs": needs} if needs else {}) | job
        return job_output(name)


def _texts(job: Mapping[str, Any]) -> list[Any]:
    return [part for key, part in job.items() if key not in {"description", "retry"}]


def _need(one: Need) -> Any:
    if isinstance(one, Ref):
        return jobs_read(str(one))[0]
    if isinstance(one, Mapping):
        return {**one, "job": _need(one["job"])}
    return one


def job_document(work: Mapping[str, Any], options: JobOptions) -> dict[str, Any]:
    """Return a job as a definition has it, without its needs."""
    job = dict(work)
    for key, value in options.items():
        if key in {"name", "needs", "isolation"} or value is None:
            continue
        job[key.removesuffix("_")] = cel(value) if key in _CONDITIONS else plain(value)
    return job


def add_job(kind: str, config: Mapping[str, Any], options: JobOptions) -> Any:
    """Add a job of any type to the workflow that is being defined, and return its output.

    Raises:
        RuntimeError: no workflow is being defined.

    """
    graph = _building.get()
    if graph is None:
        message = f"`{kind}` is a job of a workflow: call it inside a function decorated with @workflow"
        raise RuntimeError(message)
    given = plain(config)
    if kind == "run" and set(given) == {"command"}:
        return graph.add(kind, {"run": given["command"]}, options)
    return graph.add(kind, {"uses": kind, **({"with": given} if given else {})}, options)


class JobFunction(Generic[P, R]):
    """A function that is a `python` job inside workflows, and itself everywhere else."""

    def __init__(self, function: Callable[P, R], options: JobOptions) -> None:
        """Keep the function under the name that the service imports it by.

        Raises:
            ValueError: it is a method or stands inside another function, so that nothing can import it.

        """
        functools.update_wrapper(self, function)
        if "<locals>" in function.__qualname__:
            message = f"`{function.__qualname__}` cannot be imported: a job is a function of a module"
            raise ValueError(message)
        self.__workflow_job__ = function
        self._function = function
        self._options = options
        self.path = f"{_module(function)}:{function.__qualname__}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; inside a workflow, add the job and return its output to be."""
        if _building.get() is None:
            return self._function(*args, **kwargs)
        return cast("R", self._add(self._options, args, kwargs))

    def options(self, **options: Unpack[JobOptions]) -> JobFunction[P, R]:
        """Return the job with other options, for one call of it."""
        return JobFunction(self._function, {**self._options, **options})

    def map(self, items: Any, *args: Any, **kwargs: Any) -> list[R]:
        """Run the job for each of `items`, a list or the output of a job; `args` follow the item."""
        given = plain(items)
        return cast("list[R]", self._add(self._options, (Ref("item"), *args), kwargs, {"map": given}))

    def _add(
        self, options: JobOptions, args: Sequence[Any], kwargs: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> Ref:
        graph = _building.get()
        if graph is None:
            message = f"`{self.path}` is mapped in a workflow: call it inside a function decorated with @workflow"
            raise RuntimeError(message)
        config: dict[str, Any] = {"function": self.path}
        if args:
            config["args"] = plain(list(args))
        if kwargs:
            config["kwargs"] = plain(kwargs)
        if "isolation" in options:
            config["isolation"] = options["isolation"]
        return graph.add(self._function.__name__, {**(more or {}), "uses": "python", "with": config}, options)


def _module(function: Callable[..., Any]) -> str:
    """Return the module that the service imports; a script is known by the name of its file."""
    module = function.__module__
    if module != "__main__":
        return module
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return str(spec.name)
    return Path(inspect.getfile(function)).stem


@overload
def job(function: Callable[P, R], /) -> JobFunction[P, R]: ...
@overload
def job(**options: Unpack[JobOptions]) -> Callable[[Callable[P, R]], JobFunction[P, R]]: ...
def job(function: Callable[P, R] | None = None, /, **options: Unpack[JobOptions]) -> Any:
    """Make a function of a module a `python` job: `@job`, or `@job(retry=…, timeout=…, needs=…)`."""
    if function is not None:
        return JobFunction(function, {})
    return lambda given: JobFunction(given, options)


class Workflow:
    """A workflow that was defined by a function; `document` is its definition."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        """Keep the finished document."""
        self.name = name
        self.document: dict[str, Any] = dict(document)


def workflow(
    *, name: str | None = None, triggers: Triggers = (), **options: Unpack[WorkflowOptions]
) -> Callable[[Callable[..., Any]], Workflow]:
    """Make a function the definition of a workflow; its parameters are fields of the run's input.

    The parameters `input`, `event`, `env` and `run` are those of the run as a whole. The name is by default that of the
    function with `-` in place of `_`.
    """

    def defined(function: Callable[..., Any]) -> Workflow:
        called = name or function.__name__.replace("_", "-")
        graph = Graph()
        token = _building.set(graph)
        try:
            function(**{one: _parameter(one) for one in inspect.signature(function).parameters})
        finally:
            _building.reset(token)
        described = inspect.getdoc(function)
        given: dict[str, Any] = {"description": described} if described else {}
        return Workflow(called, workflow_document(called, triggers, graph.jobs, {**given, **options}))

    return defined


def _parameter(name: str) -> Ref:
    return Ref(name if name in {"input", "event", "env", "run"} else f"input.{name}")


def workflow_document(
    name: str, triggers: Triggers, jobs: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a definition."""
    heard = triggers_document(triggers)
    rest = {key: plain(value) for key, value in options.items() if value is not None}
    return {"version": 1, "name": name, **rest, **({"triggers": heard} if heard else {}), "jobs": dict(jobs)}
