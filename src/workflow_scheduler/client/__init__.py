"""The Python SDK: workflows as decorated functions or built step by step, and a client of the service.

Everything is imported when it is first used: `import workflow_scheduler.client` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_scheduler.client.asynchronous import AsyncClient
    from workflow_scheduler.client.builder import Task, WorkflowBuilder, task
    from workflow_scheduler.client.expressions import Ref
    from workflow_scheduler.client.flow import JobFunction, Workflow, job, workflow
    from workflow_scheduler.client.jobs import approval, shell, sleep, uses
    from workflow_scheduler.client.service import Client
    from workflow_scheduler.client.trigger import Trigger
    from workflow_scheduler.client.triggers import *  # noqa: F403 -- the classes are made from the trigger types

_PLACES = {
    "AsyncClient": "asynchronous",
    "Client": "service",
    "JobFunction": "flow",
    "Ref": "expressions",
    "Task": "builder",
    "Trigger": "trigger",
    "Workflow": "flow",
    "WorkflowBuilder": "builder",
    "approval": "jobs",
    "job": "flow",
    "shell": "jobs",
    "sleep": "jobs",
    "task": "builder",
    "uses": "jobs",
    "workflow": "flow",
}

__all__ = (
    "AsyncClient",
    "Client",
    "JobFunction",
    "Ref",
    "Task",
    "Trigger",
    "Workflow",
    "WorkflowBuilder",
    "approval",
    "job",
    "shell",
    "sleep",
    "task",
    "uses",
    "workflow",
)


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"workflow_scheduler.client.{_PLACES[name]}"), name)
    if name[:1].isupper():
        triggers = importlib.import_module("workflow_scheduler.client.triggers")
        if name in triggers.__all__:
            return getattr(triggers, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
