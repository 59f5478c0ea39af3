"""Times skipped by hand inside a long downtime: each keeps its reason, the others their count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import MINUTE_US, from_iso
from workflow_scheduler.core.time.due import settle
from workflow_scheduler.core.time.skipped import Skipped
from workflow_scheduler.triggers import cron

NOON = from_iso("2027-05-05T12:00:00")
MINUTES = 3_000


@given(st.sets(st.integers(0, MINUTES), max_size=8), st.sampled_from(("none", "latest", "all")))
def test_every_skipped_time_is_recorded_as_skipped_and_nothing_else_is(minutes: set[int], catchup: str) -> None:
    skips = {NOON + minute * MINUTE_US for minute in minutes}
    config = cron.Config.model_validate({"cron": "* * * * *", "catchup": catchup})
    config.__dict__["skipped"] = frozenset(skips)
    found = settle(cron, config, "t", 0, NOON, NOON + MINUTES * MINUTE_US)
    by_hand = {one.fire.utc for one in found.outcomes if one.reason is Reason.SKIPPED_BY_HAND}
    for stretch in found.stretches:
        inside = {one for one in skips if stretch.first <= one <= stretch.last}
        if stretch.reason is Reason.SKIPPED_BY_HAND:
            assert len(inside) == stretch.count
            by_hand |= inside
        else:
            assert not inside
    assert by_hand == skips
    total = len(found.fire) + len(found.outcomes) + sum(stretch.count for stretch in found.stretches)
    assert total == MINUTES + 1


@given(st.sets(st.integers(-50, 50)), st.integers(-60, 60))
def test_the_answer_holds_until_it_is_said_to_change(instants: set[int], at: int) -> None:
    skipped = Skipped(tuple(sorted(instants)))
    end = skipped.steady_until(at)
    assert end > at
    assert all(skipped.of(one) == skipped.of(at) for one in range(at, min(end, 70)))
