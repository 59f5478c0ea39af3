"""Exclusion: what keeps a nominal time from running, whatever the schedule says.

Calendars and blackout windows are exclusions. Each answers for an instant, and says how long its answer holds, so that
the missed times of a long downtime are counted in whole stretches. `excluding` puts one on a configuration; several
are asked in turn. `settle` and `resume` record each excluded time with the outcome, reason and note given here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar

from workflow_scheduler.core.reasons import Outcome, Reason

ConfigT = TypeVar("ConfigT")
FOR_EVER_US = 1 << 62


class Excluded(NamedTuple):
    """Why a nominal time does not run; `note` is shown to people, such as `Christmas Day (us-holidays v3)`."""

    reason: Reason
    note: str
    outcome: Outcome = Outcome.SKIPPED


class Exclusion(Protocol):
    """Says of instants, in microseconds UTC, whether a fire there runs. It is pure and its answers never change."""

    def of(self, instant: int) -> Excluded | None:
        """Return why a fire at `instant` does not run, or None where it does."""
        ...

    def steady_until(self, instant: int) -> int:
        """Return an instant later than `instant`; all answers before it are the one at `instant`."""
        ...


class Either(NamedTuple):
    """Two exclusions as one; where both hold, the first gives the reason."""

    first: Exclusion
    second: Exclusion

    def of(self, instant: int) -> Excluded | None:
        """Return the reason of the first that excludes `instant`."""
        found = self.first.of(instant)
        return self.second.of(instant) if found is None else found

    def steady_until(self, instant: int) -> int:
        """Return the nearer end of the two."""
        return min(self.first.steady_until(instant), self.second.steady_until(instant))


def exclusion_of(config: object) -> Exclusion | None:
    """Return what keeps times of a trigger with this configuration from running, or None."""
    return getattr(config, "exclusion", None)


def excluding(config: ConfigT, exclusion: Exclusion) -> ConfigT:
    """Return a copy of a time trigger's configuration with one exclusion more, asked after those it has."""
    known = exclusion_of(config)
    model: Any = config
    copied: Any = model.model_copy()
    copied.exclude_by(exclusion if known is None else Either(known, exclusion))
    bound: ConfigT = copied
    return bound
