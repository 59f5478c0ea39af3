"""What each engine can do, as rows for people: the words of core/ports/engine.py and the answers of the engines."""

from __future__ import annotations

import inspect
import re

from workflow_scheduler.core.ports.engine import Capabilities
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.engines.http import HttpEngine
from workflow_scheduler.engines.prefect import PrefectEngine
from workflow_scheduler.engines.temporal.driver import TemporalEngine

_LINE = re.compile(r"^- `(\w+)`: (.+)$", re.MULTILINE)


def capability_table() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the names of the engines, and for each capability what it means and `yes` or `no` of each engine."""
    kinds = (EmbeddedEngine, HttpEngine, TemporalEngine, PrefectEngine)
    rows = [
        (text.strip(), *("yes" if getattr(kind.capabilities, name) else "no" for kind in kinds))
        for name, text in _LINE.findall(inspect.getdoc(Capabilities) or "")
    ]
    return tuple(f"`{kind.name}`" for kind in kinds), rows
