"""UUIDv7 ids (RFC 9562): ordered by time, so that new rows land at the end of every index."""

from __future__ import annotations

import os
import uuid

_NAMESPACE = uuid.UUID("6f0d1a52-7d0c-5c1e-9a35-3c1b8f2f7a11")


class IdSource:
    """Mints UUIDv7 strings that strictly increase within one process.

    The millisecond comes from the caller's `now_us`; the 12-bit field and the 62 random bits below it
    act as a counter with a random start per millisecond, so two instances never collide in practice.
    """

    __slots__ = ("_low", "_ms")

    def __init__(self) -> None:
        """Start with no history."""
        self._ms = -1
        self._low = 0

    def mint(self, now_us: int) -> str:
        """Return a new id for the instant `now_us` (microseconds since the epoch, UTC)."""
        ms = now_us // 1000
        if ms > self._ms:
            self._ms = ms
            self._low = int.from_bytes(os.urandom(9)) & ((1 << 72) - 1)
        else:
            self._low += 1 + (self._low & 0xFFFF)
        low = self._low
        variant = 0x8000000000000000 | low & 0x3FFFFFFFFFFFFFFF
        digits = f"{self._ms & 0xFFFFFFFFFFFF:012x}{0x7000 | (low >> 62) & 0xFFF:04x}{variant:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_process_ids = IdSource()
mint = _process_ids.mint


def logical_id(*parts: str) -> str:
    """Return the stable id (UUIDv5) of a thing named by `parts`; the same parts always give the same id."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))
