"""The composition root: the only place that wires concrete parts together.

`Application` owns everything that lives as long as the service: the store, the pipeline's loops, the engines, and the
services that the API offers. It grows floor by floor, each a class on top of the one before: `Pipeline`, `Engines`,
`Services`. `start` returns when the service is ready: schema checked, this instance registered, its loops running.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from workflow_scheduler.app.plugins import job_types, open_store, trigger_types

if TYPE_CHECKING:
    from workflow_scheduler.app.application import Application

__all__ = ("Application", "job_types", "open_store", "trigger_types")


def __getattr__(name: str) -> Any:
    # The command line looks at plug-ins only: it must not wait for the web framework that `Application` brings along.
    if name == "Application":
        return importlib.import_module("workflow_scheduler.app.application").Application
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
