"""The six `run_if` rules: whether a job runs, once every job that it needs has come to its end.

A job that is needed ends in one of four ways, and is counted so:

=========  =======================================================================================
succeeded  it ran and succeeded
failed     it failed or was cancelled, or was skipped because something before it failed
skipped    it did not run for another reason: its `if` was false, or it handles a failure that never came
allowed    it failed, but has `allow_failure`
=========  =======================================================================================

An allowed failure does not hold back the rules that want success, and is visible to the rules that handle failure, so
that both "carry on" and "else do that" can be written.

====================== ===================================== ==================
rule                   runs when                             no `needs` at all
====================== ===================================== ==================
all_success            succeeded + allowed = total           runs
at_least_one_success   succeeded + allowed >= 1              never: refused at save
none_failed            failed = 0, succeeded + allowed >= 1  runs
all_done               always                                runs
at_least_one_failed    failed + allowed >= 1                 never: refused at save
all_failed             failed + allowed = total              never: refused at save
====================== ===================================== ==================

The names and meanings are those of Databricks' "Run if". One thing is stricter here: with `all_success` every needed
job must really have run; `none_failed` is the rule that passes over skipped ones. A job whose success rule is not met
because something failed counts as failed for the jobs after it, so that a failure reaches a handler at the end of a
long chain. A job that handles failures (`at_least_one_failed`, `all_failed`) and is not needed counts as skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class Upstream(msgspec.Struct, frozen=True, gc=False):
    """How the needed jobs of one job have ended; `succeeded + failed + skipped + allowed == total`."""

    succeeded: int
    failed: int
    skipped: int
    allowed: int = 0

    @property
    def total(self) -> int:
        """The number of needed jobs."""
        return self.succeeded + self.failed + self.skipped + self.allowed


def all_success(up: Upstream) -> bool:
    """Every needed job ran and succeeded."""
    return up.failed == 0 and up.skipped == 0


def at_least_one_success(up: Upstream) -> bool:
    """One needed job or more succeeded."""
    return up.succeeded + up.allowed > 0


def none_failed(up: Upstream) -> bool:
    """No needed job failed and one or more ran; jobs without needs always run."""
    return up.failed == 0 and (up.succeeded + up.allowed > 0 or up.skipped == 0)


def all_done(up: Upstream) -> bool:  # noqa: ARG001 - the six rules share one signature
    """Every needed job has ended, however."""
    return True


def all_failed(up: Upstream) -> bool:
    """Every needed job failed, and there is at least one."""
    return up.failed + up.allowed > 0 and up.succeeded == 0 and up.skipped == 0


def at_least_one_failed(up: Upstream) -> bool:
    """One needed job or more failed."""
    return up.failed + up.allowed > 0


RULES: Final[Mapping[str, Callable[[Upstream], bool]]] = MappingProxyType(
    {
        "all_success": all_success,
        "at_least_one_success": at_least_one_success,
        "all_done": all_done,
        "none_failed": none_failed,
        "all_failed": all_failed,
        "at_least_one_failed": at_least_one_failed,
    }
)
WANTS_SUCCESS: Final = frozenset({"all_success", "at_least_one_success", "none_failed"})
NEVER_WITHOUT_NEEDS: Final = frozenset({"at_least_one_success", "all_failed", "at_least_one_failed"})
