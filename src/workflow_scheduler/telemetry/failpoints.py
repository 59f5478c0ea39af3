"""Failpoints: end the process with SIGKILL at a named moment, so that recovery can be proved from outside.

`WFS_FAILPOINT=inbox.commit.after:25` kills the process when that moment comes for the 25th time.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from workflow_scheduler.core.signals import Signals

VARIABLE = "WFS_FAILPOINT"


class Failpoints(Signals):
    """Counts one named moment and kills the process at the given count."""

    __slots__ = ("_left", "_name")

    def __init__(self, name: str, count: int) -> None:
        """Kill at the `count`-th time that `name` is emitted."""
        self._name = name
        self._left = count

    def emit(self, name: str, **facts: Any) -> None:
        """Count, and kill when it is time."""
        del facts
        if name == self._name:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def signals_from(environment: dict[str, str]) -> Signals:
    """Return the failpoint that the environment asks for, else signals that do nothing."""
    name, _, count = environment.get(VARIABLE, "").partition(":")
    return Failpoints(name, int(count or 1)) if name else Signals()
