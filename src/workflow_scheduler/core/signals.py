"""Named moments of the data plane, for tests and failpoints.

Production code emits them to a `Signals` that does nothing. A test hands in a subclass that wakes whoever waits for a
name, and the chaos suite one that ends the process there. Names are `room.thing.moment`, for example
`engine.checkpoint.before`.
"""

from __future__ import annotations

from typing import Any


class Signals:
    """Receives named moments; this one ignores them."""

    __slots__ = ()

    def emit(self, name: str, **facts: Any) -> None:
        """Tell that `name` happens now. Must not block and must not raise."""
