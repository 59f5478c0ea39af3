"""The other job types inside a decorated workflow: each call adds a job and returns its output to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from workflow_scheduler.client.flow import JobOptions, add_job


def uses(kind: str, config: Mapping[str, Any] | None = None, /, **options: Unpack[JobOptions]) -> Any:
    """Add a job of any type: `uses("sql", {"connection": "shop", "query": "…"}, name="count")`."""
    return add_job(kind, config or {}, options)


def shell(command: str, /, **options: Unpack[JobOptions]) -> Any:
    """Add a `run` job: a shell command."""
    return add_job("run", {"command": command}, options)


def approval(
    *,
    ask: str,
    to: str | Sequence[str],
    within: str | float | None = None,
    on_timeout: str | None = None,
    more: Mapping[str, Any] | None = None,
    **options: Unpack[JobOptions],
) -> Any:
    """Add an `approval` job: the run waits until one of `to` answers `ask`, at most `within`.

    `more` holds the other fields of the job type.
    """
    given = {"ask": ask, "to": [to] if isinstance(to, str) else list(to), "timeout": within, "on_timeout": on_timeout}
    config = {key: value for key, value in given.items() if value is not None}
    return add_job("approval", {**config, **(more or {})}, options)


def sleep(duration: str | float, /, **options: Unpack[JobOptions]) -> Any:
    """Add a `sleep_for` job."""
    return add_job("sleep_for", {"duration": duration}, options)
