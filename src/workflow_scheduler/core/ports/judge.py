"""What explanations and dry runs need from the matcher."""

from __future__ import annotations

from typing import Protocol

from workflow_scheduler.core.match.verdict import Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.reasons import Outcome, Reason


class Judged(Protocol):
    """What a matcher says about one event and one trigger."""

    @property
    def outcome(self) -> Outcome:
        """What would become of the event."""
        ...

    @property
    def reason(self) -> Reason:
        """Why."""
        ...

    @property
    def verdict(self) -> Verdict:
        """The verdict with its predicates."""
        ...


class Judges(Protocol):
    """Judges events (the matcher)."""

    def judge(self, trigger: Trigger, view: EventView, now: int) -> Judged:
        """Return what would become of the event for the trigger; writes nothing."""
        ...
