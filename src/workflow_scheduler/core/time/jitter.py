"""Jitter: spreads fires that share a nominal time, the same way on every instance and after every restart."""

from __future__ import annotations

from hashlib import sha256


def jitter(trigger_id: str, nominal: int, room: int) -> int:
    """Return the delay in [0, room) of the fire at `nominal`; all in microseconds. No room, no delay."""
    if room <= 0:
        return 0
    digest = sha256(f"{trigger_id}:{nominal}".encode()).digest()
    return int.from_bytes(digest[:8]) * room >> 64
