"""Parking: how a job says that it waits for a time and needs nothing until then."""

from __future__ import annotations

from typing import Any

import msgspec


class SleepUntil(msgspec.Struct, frozen=True):
    """What a job type's `run` returns to be parked until `wake_at` (microseconds UTC).

    The engine stores the time with the job, holds no worker, and ends the job successfully with `output` once the
    time has come, also after a restart. A time that is past ends the job at once.
    """

    wake_at: int
    output: Any = None
