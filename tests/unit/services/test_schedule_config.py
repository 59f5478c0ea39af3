import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.services.schedule_config import parse, trigger_config, trigger_type
from workflow_scheduler.services.schedule_times import preview
from workflow_scheduler.triggers import cron, interval, once, rrule

TYPES = {"cron": cron, "interval": interval, "once": once, "rrule": rrule}
NOW = from_iso("2027-01-05T12:00:00Z")


@pytest.mark.parametrize(
    ("body", "kind"),
    [({"cron": "@daily"}, "cron"), ({"cron_expression": "@daily"}, "cron"), ({"every": "1h"}, "interval"),
     ({"every": 60}, "interval"), ({"rrule": "FREQ=DAILY"}, "rrule"), ({"run_at": "2027-02-01"}, "once"),
     ({"cron": None, "every": "1h"}, "interval")],
)  # fmt: skip
def test_the_field_names_the_type(body, kind):
    assert trigger_type(body) == kind


@pytest.mark.parametrize("body", [{}, {"cron": None}, {"cron": "@daily", "every": "1h"}, {"timezone": "UTC"}])
def test_exactly_one_of_them_is_needed(body):
    with pytest.raises(ValidationFailed, match="exactly one"):
        trigger_type(body)


def test_the_body_becomes_what_stands_in_a_definition():
    body = {"workflow": "w", "name": "n", "cron": "@daily", "timezone": "UTC", "input": {"a": 1}, "jitter": None}
    assert trigger_config(body) == {"type": "cron", "cron": "@daily", "timezone": "UTC", "input": {"a": 1}}


def test_shared_keys_are_not_the_types():
    module, config = parse(TYPES, {"cron": "@daily", "input": 1, "condition": "true", "enabled": False}, NOW)
    assert module is cron
    assert config.cron == "@daily"


def test_an_unknown_field_is_named_with_a_suggestion():
    with pytest.raises(ValidationFailed) as refusal:
        parse(TYPES, {"cron": "@daily", "timezon": "UTC"})
    (line,) = refusal.value.errors
    assert line.field == "timezon"
    assert "did you mean `timezone`?" in line.message


def test_the_past_is_refused_only_where_it_would_be_saved():
    body = {"run_at": "2020-01-01T00:00:00Z"}
    with pytest.raises(ValidationFailed):
        parse(TYPES, body, NOW)
    parse(TYPES, body)


def test_a_type_that_is_not_installed_is_said():
    with pytest.raises(ValidationFailed, match="not installed"):
        parse({}, {"cron": "@daily"})


def test_a_preview_begins_at_from_and_counts():
    found = preview(TYPES, {"cron": "0 * * * *", "from": "2027-01-05T12:00:00Z", "count": 2}, NOW)
    assert [fire["utc"] for fire in found["fires"]] == ["2027-01-05T12:00:00Z", "2027-01-05T13:00:00Z"]
    assert found["timezone"] == "UTC"
    assert found["description"]
    from_now = preview(TYPES, {"cron": "0 * * * *", "count": 1}, NOW)
    assert from_now["fires"][0]["utc"] == "2027-01-05T13:00:00Z"


def test_previews_of_intervals_and_single_times_end_where_they_end():
    every = preview(TYPES, {"every": "90s", "count": 2}, NOW)
    assert [fire["utc"] for fire in every["fires"]] == ["2027-01-05T12:01:30Z", "2027-01-05T12:03:00Z"]
    single = preview(TYPES, {"run_at": "2027-02-01T09:00:00", "timezone": "Europe/Berlin"}, NOW)
    assert [fire["utc"] for fire in single["fires"]] == ["2027-02-01T08:00:00Z"]
    gone = preview(TYPES, {"run_at": "2026-02-01T09:00:00"}, NOW)
    assert gone["fires"] == []
