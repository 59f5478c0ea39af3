"""Times that an exclusion leaves out: recorded with its reason, never run, never covering others, in bounded steps."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time import pieces
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, from_iso
from workflow_scheduler.core.time.due import Settlement, Timer, resume, settle
from workflow_scheduler.core.time.exclusion import FOR_EVER_US, Either, Excluded, excluding, exclusion_of
from workflow_scheduler.triggers import cron, once

NOON = from_iso("2027-05-05T12:00:00")
HOLIDAY = Excluded(Reason.CALENDAR, "Holiday")


class Spans(NamedTuple):
    """Leaves out the instants of [start, end) spans."""

    spans: tuple[tuple[int, int], ...]
    answer: Excluded = HOLIDAY

    def of(self, instant: int) -> Excluded | None:
        return self.answer if any(start <= instant < end for start, end in self.spans) else None

    def steady_until(self, instant: int) -> int:
        return min((edge for span in self.spans for edge in span if edge > instant), default=FOR_EVER_US)


def walking(module: Any) -> Any:
    """Return the type without the ability to count."""
    return SimpleNamespace(next_fire=module.next_fire, timezone=module.timezone)


def config(exclusion: Any, **fields: Any) -> Any:
    return excluding(cron.Config.model_validate({"cron": "*/10 * * * *", **fields}), exclusion)


def fates(module: Any, configured: Any, first: int, now: int) -> tuple[list[int], dict[Reason, int], int | None]:
    """Settle until nothing is due; return what ran, how many had which reason, and the next nominal time."""
    started: list[int] = []
    reasons: dict[Reason, int] = {}
    nominal: int | None = first
    for _ in range(1000):
        assert nominal is not None
        found = settle(module, configured, "t", 0, nominal, now)
        check_order(found, nominal)
        started += [start.fire.utc for start in found.fire]
        for unfired in found.outcomes:
            reasons[unfired.reason] = reasons.get(unfired.reason, 0) + 1
        for stretch in found.stretches:
            reasons[stretch.reason] = reasons.get(stretch.reason, 0) + stretch.count
        nominal = found.next.nominal if found.next else None
        if nominal is None or nominal > now:
            return started, reasons, nominal
    raise AssertionError


def check_order(found: Settlement, nominal: int) -> None:
    """No two records speak for one time, and the next time is later than all."""
    taken = [(start.fire.utc, start.fire.utc) for start in found.fire]
    taken += [(one.fire.utc, one.fire.utc) for one in found.outcomes]
    taken += [(one.first, one.last) for one in found.stretches]
    taken.sort()
    assert all(before[1] < after[0] for before, after in pairwise(taken))
    assert taken == [] or taken[0][0] >= nominal
    assert taken == [] or found.next is None or found.next.nominal > taken[-1][1]


def expected(
    spans: Spans, policy: str, first: int, now: int, most: int, window: int
) -> tuple[list[int], dict[Reason, int]]:
    fires = range(first, now + 1, 10 * MINUTE_US)
    excluded = [at for at in fires if spans.of(at)]
    free = [at for at in fires if not spans.of(at)]
    on_time = [at for at in free if now - at <= MINUTE_US]
    late = free[: len(free) - len(on_time)]
    inside = [at for at in late if at >= now - window]
    run: list[int] = []
    if policy == "all":
        run = inside[-most:]
    elif policy == "latest" and not on_time:
        run = inside[-1:]
    reasons: dict[Reason, int] = {Reason.CALENDAR: len(excluded)}
    for at in late:
        if at not in run:
            merged = policy == "latest" and at >= now - window
            why = Reason.MISSED_DOWN if policy == "none" else Reason.COALESCED if merged else Reason.MISSED_WINDOW
            reasons[why] = reasons.get(why, 0) + 1
    return run + on_time, {reason: number for reason, number in reasons.items() if number}


spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 40)).map(
        lambda pair: (NOON + pair[0] * HOUR_US - 7 * MINUTE_US, NOON + (pair[0] + pair[1]) * HOUR_US)
    ),
    max_size=4,
).map(lambda found: Spans(tuple(found)))


@settings(deadline=None)
@given(spans, st.sampled_from(["none", "latest", "all"]), st.integers(0, 90 * 60), st.sampled_from([3, 48]))
def test_every_overdue_time_has_the_fate_that_a_walk_through_all_of_them_gives(
    left_out: Spans, policy: str, late_minutes: int, window_hours: int
):
    now = NOON + late_minutes * MINUTE_US
    configured = config(left_out, catchup=policy, catchup_window=f"{window_hours}h", catchup_max=20)
    wanted = expected(left_out, policy, NOON, now, 20, window_hours * HOUR_US)
    for module in (cron, walking(cron)):
        ran, reasons, following = fates(module, configured, NOON, now)
        assert (ran, reasons) == wanted
        assert following == NOON + (late_minutes // 10 + 1) * 10 * MINUTE_US


def test_a_time_that_is_left_out_is_recorded_with_its_note_and_starts_nothing():
    found = settle(cron, config(Spans(((NOON, NOON + 1),))), "t", 0, NOON, NOON)
    assert found.fire == ()
    assert [(one.outcome, one.reason, one.fire.note) for one in found.outcomes] == [
        (Outcome.SKIPPED, Reason.CALENDAR, "Holiday")
    ]
    assert found.next is not None
    assert found.next.nominal == NOON + 10 * MINUTE_US


def test_a_one_time_schedule_on_such_a_time_is_over_without_a_run():
    configured = excluding(once.Config.model_validate({"run_at": "2027-05-05T12:00:00"}), Spans(((NOON, NOON + 1),)))
    found = settle(once, configured, "t", 0, NOON, NOON + DAY_US)
    assert (found.fire, found.next) == ((), None)
    assert found.outcomes[0].reason is Reason.CALENDAR


def test_a_skip_by_hand_comes_before_an_exclusion():
    configured = config(Spans(((NOON, NOON + 1),)), skip=["2027-05-05T12:00:00Z"])
    assert settle(cron, configured, "t", 0, NOON, NOON).outcomes[0].reason is Reason.SKIPPED_BY_HAND


def test_the_latest_free_time_runs_when_everything_after_it_is_left_out():
    weekend = Spans(((NOON + HOUR_US, NOON + 49 * HOUR_US),))
    ran, reasons, _ = fates(cron, config(weekend, catchup_window="7d"), NOON, NOON + 40 * HOUR_US)
    assert ran == [NOON + 50 * MINUTE_US]
    assert reasons == {Reason.COALESCED: 5, Reason.CALENDAR: 40 * 6 - 5}


def test_after_a_pause_the_times_left_out_keep_their_own_reason():
    weekend = Spans(((NOON + HOUR_US, NOON + 3 * HOUR_US),))
    found = resume(Timer(cron, config(weekend), "t", 0), NOON, NOON + 4 * HOUR_US + 1)
    assert sum(one.reason is Reason.CALENDAR for one in found.outcomes) == 12
    assert sum(one.reason is Reason.MISSED_PAUSED for one in found.outcomes) == 13


def test_years_of_downtime_cost_steps_by_the_answers_and_not_by_the_fires(monkeypatch: pytest.MonkeyPatch):
    days = Spans(tuple((NOON + n * DAY_US, NOON + n * DAY_US + HOUR_US) for n in range(0, 700, 7)))
    asked = 0
    count = cron.count

    def counted(*given: Any) -> int:
        nonlocal asked
        asked += 1
        return count(*given)

    monkeypatch.setattr(cron, "count", counted)
    ran, reasons, _ = fates(cron, config(days, catchup="latest"), NOON, NOON + 700 * DAY_US)
    assert len(ran) == 1
    assert reasons[Reason.CALENDAR] == 100 * 6
    assert sum(reasons.values()) == 700 * 144
    assert asked < 100 * 150


def test_more_changes_than_one_settlement_takes_are_settled_in_portions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "PIECES_MAX", 300)
    hours = Spans(tuple((NOON + n * HOUR_US, NOON + n * HOUR_US + 1) for n in range(1, 500)))
    ran, reasons, following = fates(cron, config(hours, catchup="latest"), NOON, NOON + 500 * HOUR_US - 1)
    assert ran == [NOON + 500 * HOUR_US - 10 * MINUTE_US]
    assert reasons[Reason.CALENDAR] == 499
    assert sum(reasons.values()) == 500 * 6 - 1
    assert following == NOON + 500 * HOUR_US


def test_two_exclusions_are_asked_in_turn_and_the_configuration_they_were_put_on_stays_as_it_was():
    first, second = Spans(((0, 10),)), Spans(((5, 20),), Excluded(Reason.CALENDAR, "second"))
    plain = cron.Config.model_validate({"cron": "* * * * *"})
    both = exclusion_of(excluding(excluding(plain, first), second))
    assert isinstance(both, Either)
    assert [both.of(at) and both.of(at).note for at in (5, 15, 25)] == ["Holiday", "second", None]  # type: ignore[union-attr]
    assert [both.steady_until(at) for at in (0, 5, 10)] == [5, 10, 20]
    assert exclusion_of(plain) is None
