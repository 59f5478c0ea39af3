"""Overlap: what becomes of a fire while an earlier run is still under way.

Runs that may get into each other's way share an overlap key: that of their trigger, of their workflow, or of a value
in the event. Of one key at most one run is under way (`allow` excepted); others wait in their rows, in the order of
their ids, a higher priority first, without an owner. A limit of runs at once (`concurrency`) is the same with more than
one place. The decision is pure; it is taken inside the transaction that stores the run, under a lock
on the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from workflow_scheduler.core.reasons import Reason

Policy = Literal["allow", "skip", "queue_one", "queue_all", "cancel_running", "terminate_running"]
Scope = Literal["trigger", "workflow", "key"]
LIMIT_DEFAULT = 1_000
LIMIT_MAX = 100_000
_PLAIN_CHARS_MAX = 100
_LIMIT: Final = "c:"


class Overlap(msgspec.Struct, frozen=True, gc=False):
    """The rule of a trigger. `key` is CEL over the event, for the scope `key`; `limit` bounds what waits.

    `places` above 0 makes it a limit of runs at once, with `queue_all` or `skip`; then nothing bounds what waits.
    """

    policy: Policy
    scope: Scope = "trigger"
    key: str | None = None
    limit: int = LIMIT_DEFAULT
    places: int = 0


class Place(Enum):
    """Where a run comes to stand."""

    START = "start"
    WAIT = "wait"
    NONE = "none"


class Move(msgspec.Struct, frozen=True, gc=False):
    """What a fire leads to.

    `reason` says why the run does not start now. `replaces`: the runs that wait are given up for this one; `cancels`:
    those under way are asked to stop; `terminates`: they end at once.
    """

    place: Place
    reason: Reason | None = None
    replaces: bool = False
    cancels: bool = False
    terminates: bool = False


START: Final = Move(Place.START)
_QUEUED = Reason.OVERLAP_QUEUED
_BUSY: Final[Mapping[Policy, Move]] = MappingProxyType(
    {
        "allow": START,
        "skip": Move(Place.NONE, Reason.OVERLAP_SKIPPED),
        "queue_one": Move(Place.WAIT, _QUEUED, replaces=True),
        "queue_all": Move(Place.WAIT, _QUEUED),
        "cancel_running": Move(Place.WAIT, _QUEUED, replaces=True, cancels=True),
        "terminate_running": Move(Place.START, replaces=True, terminates=True),
    }
)
_LIMITED: Final[Mapping[str, Move]] = MappingProxyType(
    {
        "skip": Move(Place.NONE, Reason.CONCURRENCY_SKIPPED),
        "queue_all": Move(Place.WAIT, Reason.QUEUED_CONCURRENCY),
    }
)
_FULL: Final = Move(Place.NONE, Reason.OVERLAP_QUEUE_FULL)


def judge(rule: Overlap, running: int, waiting: int) -> Move:
    """Return what a fire leads to while `running` runs of its key are under way and `waiting` wait."""
    if not waiting and running < max(rule.places, 1):
        return START
    if rule.places:
        return _LIMITED[rule.policy]
    if rule.policy == "queue_all" and waiting >= rule.limit:
        return _FULL
    return _BUSY[rule.policy]


def trigger_key(trigger_id: str) -> str:
    """Return the key of the runs of one trigger."""
    return f"t:{trigger_id}"


def workflow_key(workflow_id: str) -> str:
    """Return the key of the runs of one workflow."""
    return f"w:{workflow_id}"


def value_key(workflow_id: str, value: Any) -> str:
    """Return the key of the runs of a workflow for one value (JSON); a long value is known by its digest."""
    text = msgspec.json.encode(value, order="sorted").decode()
    if len(text) > _PLAIN_CHARS_MAX:
        text = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return f"k:{workflow_id}:{text}"


def limit_key(workflow_id: str) -> str:
    """Return the key of the runs of a workflow under its limit of runs at once."""
    return f"{_LIMIT}{workflow_id}"


def limit_value_key(workflow_id: str, value: Any) -> str:
    """Return the key of the runs of a workflow for one value, under its limit of runs at once for each."""
    return _LIMIT + value_key(workflow_id, value).partition(":")[2]


def limited_workflow(key: str | None) -> str | None:
    """Return the workflow whose limit of runs at once a key stands for; None for any other key."""
    if key is None or not key.startswith(_LIMIT):
        return None
    return key.removeprefix(_LIMIT).partition(":")[0]
