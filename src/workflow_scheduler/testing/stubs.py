"""Jobs that a test answers for."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.errors import JobFailed
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.testing.stillness import Activity


class Stub(msgspec.Struct):
    """What a job does in a test: fail `failures` times with `error`, then return `output`.

    `output` may be a function of the job's configuration. `calls` are the configurations it was called with.
    """

    output: Any = None
    error: str = ""
    failures: int = 0
    calls: list[dict[str, Any]] = []

    def answer(self, config: Any) -> Any:
        """Take a call.

        Raises:
            JobFailed: this call is to fail.

        """
        given: dict[str, Any] = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        self.calls.append(given)
        if len(self.calls) <= self.failures:
            raise JobFailed(self.error or "the test lets this attempt fail")
        return self.output(given) if callable(self.output) else self.output


def watched_types(
    types_: Mapping[str, ModuleType], stubs: Mapping[str, Stub], activity: Activity
) -> dict[str, ModuleType]:
    """Return the job types, each with a `run` that asks the stubs first and tells when it is at work."""
    return {name: _watched(module, stubs, activity) for name, module in types_.items()}


def _watched(module: ModuleType, stubs: Mapping[str, Stub], activity: Activity) -> ModuleType:
    made = types.ModuleType(module.__name__, module.__doc__)
    made.__dict__.update(vars(module))
    run: Callable[[Any, JobContext], Any] = module.run

    def stub_of(context: JobContext) -> Stub | None:
        return stubs.get(context.job_id) or stubs.get(context.job_id.partition("[")[0])

    def inline(config: Any, context: JobContext) -> Any:
        stub = stub_of(context)
        return run(config, context) if stub is None else stub.answer(config)

    async def waiting(config: Any, context: JobContext) -> Any:
        stub = stub_of(context)
        if stub is not None:
            return stub.answer(config)
        return await activity.follow(f"job {context.job_id} of run {context.run_id}", run(config, context))

    made.__dict__["run"] = inline if module.inline else waiting
    return made
