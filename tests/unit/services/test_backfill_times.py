"""The portions of a backfill's times, against the naive list of all of them."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.model.backfill import Backfill, BackfillStatus
from workflow_scheduler.core.registry import discover
from workflow_scheduler.core.time.clock import DAY_US, MINUTE_US, from_iso
from workflow_scheduler.services.backfill_times import portion_of
from workflow_scheduler.services.nominal import Timetable

TYPES = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
BEGIN = from_iso("2026-01-01T00:00:00Z")
CONFIGS = (
    ("cron", b'{"cron": "*/7 * * * *"}'),
    ("cron", b'{"cron": "30 2 * * *", "timezone": "America/New_York"}'),
    ("cron", b'{"cron": "0 0 29 2 *"}'),
    ("cron", b'{"cron": "15 1,13 * * 1-5", "timezone": "Europe/Berlin"}'),
    ("interval", b'{"every": "47m"}'),
    ("interval", b'{"every": "3d"}'),
    ("once", b'{"at": "2026-05-05T05:05:00Z"}'),
    ("rrule", b'{"rrule": "FREQ=MONTHLY;BYDAY=-1FR", "dtstart": "2025-11-01T17:00:00", "timezone": "Europe/Paris"}'),
)


def backfill(order, since, until):
    return Backfill(
        id="b", tenant_id="t", workflow_id="w", workflow="w", trigger_id="x", trigger="x", type="cron", config="{}",
        anchor=BEGIN, version=None, since=since, until=until, reprocess="missing", run_order=order,
        ignore_skips=False, max_active=1, input=None, status=BackfillStatus.RUNNING, position=since,
        exhausted=False, planned=0,
    )  # fmt: skip


@given(
    st.sampled_from(CONFIGS),
    st.integers(0, 500 * 1440),
    st.integers(1, 60 * 1440),
    st.integers(1, 40),
    st.sampled_from(["forward", "reverse"]),
)
def test_the_portions_are_the_whole_list_in_order_without_gaps_or_doubles(config, start, length, limit, order):
    table = Timetable.parse(TYPES, *config, BEGIN - 30 * DAY_US)
    since = BEGIN + start * MINUTE_US
    until = since + length * MINUTE_US
    naive, at = [], since - 1
    while (fire := table.after(at)) is not None and fire.utc < until and len(naive) < 400:
        naive.append(fire.utc)
        at = fire.utc
    until = min(until, naive[-1] + 1) if naive else until
    asked = backfill(order, since, until)
    found, position = [], until if order == "reverse" else since
    while True:
        portion = [fire.utc for fire in portion_of(table, asked, position, limit)]
        found += portion
        assert len(portion) <= limit
        if len(portion) < limit:
            break
        position = portion[-1] + (0 if order == "reverse" else 1)
    assert found == (naive if order == "forward" else naive[::-1])
    assert table.count(since - 1, until - 1) == len(naive)
