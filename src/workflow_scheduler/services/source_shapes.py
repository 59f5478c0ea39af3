"""How the source of a polled or streaming trigger does, as it is shown."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.model.expiry import WEEK_US
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.services.definition_shapes import moment
from workflow_scheduler.stores.portable import sources
from workflow_scheduler.stores.portable.sources import SourceRow

UNATTENDED_US = 60 * SECOND_US
_TROUBLE = frozenset({sources.BACKING_OFF, sources.OPEN, sources.REFUSED})
_NAMES = {sources.OPEN: "circuit_open"}


def source_shape(row: SourceRow, sharing: int, now: int) -> dict[str, Any]:
    """Return a source as it is shown; `sharing` is the number of live triggers that are fed by it, `now` microseconds.

    Its status is new, connected, waiting (the peer asked to wait), backing_off, circuit_open (many failures, one
    attempt now and then), refused, ended, idle (nobody needs it), or unattended (no instance looks after it).
    """
    free = row.owner is None and row.next_at is not None
    unattended = free and row.next_at is not None and now - row.next_at > UNATTENDED_US
    working = row.owner is not None and row.status == sources.CONNECTED
    error = None
    if row.error is not None:
        error = {"code": row.error_code, "message": row.error, "remedy": row.remedy, "at": moment(row.error_at)}
    return {
        "key": row.key,
        "shape": row.shape,
        "status": "unattended" if unattended else _NAMES.get(row.status, row.status),
        "connected": working or (row.shape == "poll" and row.status == sources.CONNECTED),
        "connected_since": moment(row.connected_at) if row.down_since is None else None,
        "down_since": moment(row.down_since),
        "last_alive_at": moment(row.alive_at),
        "last_event_at": moment(row.event_at),
        "lag": row.lag,
        "failures": row.failures,
        "next_attempt_at": moment(row.next_at),
        "credentials_expire_at": moment(row.expires_at),
        "credentials_expire_soon": row.expires_at is not None and row.expires_at - now <= WEEK_US,
        "shared_by": sharing,
        "held_by": row.owner,
        "error": error,
    }


def source_status(source: dict[str, Any]) -> tuple[str, str]:
    """Return the status of a trigger that has nothing wrong but what its source has, and a sentence about it."""
    status, error = source["status"], source["error"]
    said = "The source has ended" if error is None else error["message"]
    remedy = "" if error is None or not error["remedy"] else f" {error['remedy']}"
    again = f" Tried again at {source['next_attempt_at']}." if source["next_attempt_at"] else ""
    down = error is not None and status in (*_TROUBLE, "circuit_open")
    states = (
        (status == "unattended", status, "No instance looks after the source: is one with the role `sources` running?"),
        (down, "down", f"{_sentence(said)}{remedy}{again}"),
        (status == sources.WAITING, "waiting", f"The peer asks to wait.{again}"),
        (status == sources.ENDED, "ended", f"{_sentence(said)}{remedy}"),
        (status in (sources.NEW, sources.IDLE), "starting", "The source has not been heard yet."),
        (
            source["credentials_expire_soon"],
            "expiring",
            f"The credentials end at {source['credentials_expire_at']}: renew them before.",
        ),
    )
    proof = f"The trigger is live; its peer last proved to be there at {source['last_alive_at']}."
    return next(((name, text) for holds, name, text in states if holds), ("healthy", proof))


def _sentence(text: str) -> str:
    whole = text[:1].upper() + text[1:]
    return whole if whole.endswith((".", "!", "?")) else whole + "."
