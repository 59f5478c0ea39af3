import msgspec
import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, SECOND_US, from_iso, to_iso
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.triggers import cron, interval, once, webhook

TYPES = {"cron": cron, "interval": interval, "once": once, "webhook": webhook}
ANCHOR = from_iso("2027-01-01T00:00:00Z")


def table(kind, **config):
    return Timetable.parse(TYPES, kind, msgspec.json.encode(config), ANCHOR)


def test_the_time_before_is_found_however_rare_the_schedule():
    at = from_iso("2027-06-15T12:34:56Z")
    for expression, before in (
        ("* * * * *", "2027-06-15T12:34:00Z"),
        ("0 2 * * *", "2027-06-15T02:00:00Z"),
        ("0 0 1 * *", "2027-06-01T00:00:00Z"),
        ("0 0 1 1 *", "2027-01-01T00:00:00Z"),
        ("0 0 29 2 *", "2024-02-29T00:00:00Z"),
    ):
        assert to_iso(table("cron", cron=expression).before(at).utc) == before


def test_before_is_strict_and_none_where_nothing_was():
    nightly = table("cron", cron="0 2 * * *")
    at = from_iso("2027-06-15T02:00:00Z")
    assert to_iso(nightly.before(at).utc) == "2027-06-14T02:00:00Z"
    assert table("once", run_at="2027-07-01T00:00:00Z").before(at) is None


def test_a_time_written_to_the_minute_means_the_fire_inside_it():
    nightly = table("cron", cron="0 2 * * *", timezone="America/New_York")
    due = from_iso("2027-01-05T07:00:00Z")
    assert nightly.meant(due).utc == due
    assert nightly.meant(due + 30 * SECOND_US).utc == due
    assert nightly.meant(due + MINUTE_US) is None
    assert nightly.timezone == "America/New_York"
    odd = table("interval", every="90s")
    assert odd.meant(ANCHOR + 90 * SECOND_US).utc == ANCHOR + 90 * SECOND_US


def test_between_is_bounded_and_half_open():
    hourly = table("cron", cron="0 * * * *")
    found = hourly.between(ANCHOR, ANCHOR + 3 * HOUR_US, 10)
    assert [fire.utc for fire in found] == [ANCHOR, ANCHOR + HOUR_US, ANCHOR + 2 * HOUR_US]
    assert len(hourly.between(ANCHOR, ANCHOR + 1000 * HOUR_US, 5)) == 5


@pytest.mark.parametrize(
    ("kind", "config"), [("cron", b"{"), ("cron", b'{"cron":"x"}'), ("webhook", b"{}"), ("x", b"{}")]
)
def test_what_cannot_be_read_is_refused(kind, config):
    with pytest.raises(ValidationFailed):
        Timetable.parse(TYPES, kind, config, ANCHOR)
