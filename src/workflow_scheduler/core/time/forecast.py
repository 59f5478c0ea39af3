"""How many fires lie ahead, when they collide, and how jitter would spread them (pure, bounded).

Schedules with the same rule are one group and are walked through once. Where even the groups have more fires than
are worth walking, every k-th group is taken and stands for k: the answer says so.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.time import pieces
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, SECOND_US
from workflow_scheduler.core.time.exclusion import exclusion_of
from workflow_scheduler.core.time.jitter import jitter
from workflow_scheduler.core.time.timer import Timer, TimerType

WALKED_MAX = 400_000
_PER_SECOND = 5
_SPREAD_MAX = 900
_FEWEST = 2


class Group(NamedTuple):
    """Schedules that fire at the same nominal times: their ids, and the instant (microseconds) they rest until.

    `late` are (instant, number) of fires that waited for the end of a blackout window. `left` is how many runs each of
    them may still start, None where nothing limits them.
    """

    type: TimerType
    config: Any
    anchor: int
    begin: int
    spread: bool
    members: list[str]
    late: tuple[tuple[int, int], ...] = ()
    left: int | None = None


class Collision(NamedTuple):
    """An instant (microseconds) at which several schedules without jitter fire, and their ids in order."""

    at: int
    members: list[str]


class Spreading(msgspec.Struct, frozen=True):
    """A jitter, in seconds, that would spread a collision, and the most starts in one second before and with it."""

    jitter_seconds: int
    peak_before: int
    peak_after: int


class Outlook(msgspec.Struct, frozen=True):
    """Fires by the start of their hour and minute (microseconds); `stride` k: every k-th group stands for k.

    `instants` has the numbers of the groups without jitter that fire at an instant.
    """

    total: int
    stride: int
    hours: dict[int, int]
    minutes: dict[int, int]
    instants: dict[int, list[int]]


def look_ahead(groups: Sequence[Group], start: int, stop: int) -> Outlook:
    """Return the fires in (start, stop], microseconds, exactly where at most 400,000 have to be walked through."""
    minutes = (stop - start) // MINUTE_US + 1
    fires = [_fires(group, start, stop) for group in groups]
    stride = max(1, -(-sum(min(number, minutes) for number in fires) // WALKED_MAX))
    by_minute: dict[int, int] = defaultdict(int)
    instants: dict[int, list[int]] = defaultdict(list)
    for number in range(0, len(groups), stride):
        group, weight = groups[number], len(groups[number].members) * stride
        if group.left is None and fires[number] > minutes and hasattr(group.type, "count"):
            for at, many in chain(group.late, _by_minute(group, start, stop)):
                by_minute[at - at % MINUTE_US] += many * weight
            if not group.spread:
                for at, _ in group.late:
                    instants[at].append(number)
            continue
        for at, many in _limited(group, start, stop):
            by_minute[at - at % MINUTE_US] += many * weight
            if not group.spread:
                instants[at].append(number)
    hours: dict[int, int] = defaultdict(int)
    for minute, many in by_minute.items():
        hours[minute - minute % HOUR_US] += many
    return Outlook(sum(hours.values()), stride, dict(hours), dict(by_minute), dict(instants))


def collisions(groups: Sequence[Group], found: Outlook, most: int) -> list[Collision]:
    """Return the `most` instants at which the most schedules fire, two at least; the earlier first among equals."""
    sizes = {at: sum(len(groups[number].members) for number in numbers) for at, numbers in found.instants.items()}
    worst = sorted((at for at, size in sizes.items() if size >= _FEWEST), key=lambda at: (-sizes[at], at))[:most]
    return [
        Collision(at, sorted(member for number in found.instants[at] for member in groups[number].members))
        for at in worst
    ]


def spreading(collision: Collision, room: int) -> Spreading:
    """Return the jitter that brings a collision to about five starts a second, at most `room` (microseconds).

    The delays are those that the schedules would really get: jitter is a function of trigger and nominal time.
    """
    size = len(collision.members)
    seconds = max(1, min(-(-size // _PER_SECOND), _SPREAD_MAX, room // SECOND_US))
    starts: dict[int, int] = defaultdict(int)
    for member in collision.members:
        starts[jitter(member, collision.at, seconds * SECOND_US) // SECOND_US] += 1
    return Spreading(seconds, size, max(starts.values()))


def _limited(group: Group, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the instants of a group in order with their number of fires, until none is left to it."""
    left = WALKED_MAX if group.left is None else group.left
    for at, many in heapq.merge(sorted(group.late), ((at, 1) for at in _walk(group, start, stop))):
        if left <= 0:
            return
        yield at, min(many, left)
        left -= many


def _fires(group: Group, start: int, stop: int) -> int:
    """Return the number of fires of a group; a type that cannot count is walked through."""
    counter: Any = group.type
    if not hasattr(counter, "count"):
        return sum(1 for _ in _walk(group, start, stop))
    return _counted(group, max(start, group.begin), stop)


def _counted(group: Group, start: int, stop: int) -> int:
    """Return the number of fires in (start, stop] that no calendar leaves out."""
    counter: Any = group.type
    exclusion = exclusion_of(group.config)
    if exclusion is None:
        return int(counter.count(group.config, start, stop, group.anchor))
    timer = Timer(group.type, group.config, "", group.anchor)
    fire = timer.after(start)
    at, total = None if fire is None or fire.utc > stop else fire.utc, 0
    while at is not None:
        found, at = pieces.cut(timer, exclusion, at, stop)
        total += sum(piece.number for piece in found if piece.excluded is None)
    return total


def _by_minute(group: Group, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the minutes of a group that fires more than once a minute, and the number of fires in each."""
    begin = max(start, group.begin)
    for minute in range(begin - begin % MINUTE_US, stop + 1, MINUTE_US):
        low, high = max(minute - 1, begin), min(minute + MINUTE_US - 1, stop)
        yield minute, _counted(group, low, high) if high > low else 0


def _walk(group: Group, start: int, stop: int) -> Iterator[int]:
    exclusion = exclusion_of(group.config)
    fire = group.type.next_fire(group.config, max(start, group.begin), group.anchor)
    for _ in range(WALKED_MAX):
        if fire is None or fire.utc > stop:
            return
        if exclusion is None or exclusion.of(fire.utc) is None:
            yield fire.utc
        fire = group.type.next_fire(group.config, fire.utc, group.anchor)
