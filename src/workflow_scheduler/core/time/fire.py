"""Nominal times of schedules."""

from __future__ import annotations

import msgspec


class Fire(msgspec.Struct, frozen=True, gc=False):
    """One nominal time: its UTC instant (microseconds), local wall time, fold, and a note at a clock change."""

    utc: int
    local: str
    fold: int = 0
    note: str | None = None
