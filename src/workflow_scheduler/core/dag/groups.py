"""The instances of the repeated jobs of one run: which are open, which come next, and what follows when one ends."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from workflow_scheduler.core.dag.actions import AskLoop, GatherJob
from workflow_scheduler.core.dag.repeat import Repeat
from workflow_scheduler.core.model.run import JobRecord, JobStatus


class Group(msgspec.Struct, gc=False):
    """A repeated job under way. `total` instances may be opened as far as is known; `final`: there will be no more.

    `open` are the numbers of its instances that have not ended; `known` the places that an earlier process has begun.
    """

    job: int
    repeat: Repeat
    width: int
    total: int
    final: bool
    open: dict[int, None] = msgspec.field(default_factory=dict)
    known: set[int] = msgspec.field(default_factory=set)
    next: int = 0
    failed: int = 0
    halted: bool = False
    cancelled: bool = False
    exhausted: bool = False
    asked: bool = False
    gathered: bool = False

    def know(self, place: int) -> None:
        """Take in that an earlier process has begun the instance at `place`."""
        self.known.add(place)
        if not self.final:
            self.total = max(self.total, place + 1)

    def is_spent(self) -> bool:
        """Return whether every place so far has had its turn."""
        while self.next in self.known:
            self.known.discard(self.next)
            self.next += 1
        return self.next >= self.total

    def places(self) -> Iterator[int]:
        """Yield the places whose instances are to be opened now; each must be opened before the next one is asked."""
        while not self.halted and len(self.open) < self.width and not self.is_spent():
            self.next += 1
            yield self.next - 1

    def following(self) -> AskLoop | GatherJob | None:
        """Return what is to be done when nothing is open: go on asking, or put the outputs together, once."""
        if self.open or self.gathered or self.asked or not (self.halted or self.is_spent()):
            return None
        if not self.final and not self.halted:
            self.asked = True
            return AskLoop(self.job, self.next)
        self.gathered = True
        status = JobStatus.FAILED if self.failed or self.exhausted else JobStatus.SUCCEEDED
        return GatherJob(self.job, JobStatus.CANCELLED if self.cancelled else status, self.exhausted)

    def answer(self, *, more: bool) -> None:
        """Take in whether a loop goes on, which its `max_iterations` may forbid."""
        self.asked = False
        bound = self.repeat.max_iterations
        self.exhausted = more and not self.halted and bound is not None and self.next >= bound
        if more and not self.exhausted:
            self.total = self.next + 1
        else:
            self.final = True


class Groups:
    """All repeated jobs of a run. Instances are numbered from `first` on, in the order in which they are opened."""

    __slots__ = ("_first", "_instances", "by_job", "found")

    def __init__(self, first: int) -> None:
        """Begin with none."""
        self._first = first
        self._instances: list[tuple[int, int]] = []
        self.by_job: dict[int, Group] = {}
        self.found: dict[int, list[tuple[int, JobRecord]]] = {}

    def of(self, number: int) -> tuple[int, int]:
        """Return the job of an instance and its place."""
        return self._instances[number - self._first]

    def add(self, group: Group, place: int) -> int:
        """Open an instance and return its number."""
        number = self._first + len(self._instances)
        self._instances.append((group.job, place))
        group.open[number] = None
        return number
