"""The time triggers: their configurations, what they refuse, and what they warn of."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from workflow_scheduler.core.match.verdict import TRUE
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.time.clock import DAY_US, MINUTE_US, SECOND_US, from_iso, to_iso
from workflow_scheduler.core.time.payload import CLOCK_SCHEMA, CLOCK_TYPE
from workflow_scheduler.triggers import cron, interval, once

NOW = from_iso("2027-01-01T00:00:00")
TYPES = (cron, interval, once)


def messages(config: type[Any], **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config.model_validate(fields)
    return "; ".join(f"{'.'.join(map(str, line['loc']))}: {line['msg']}" for line in caught.value.errors())


@pytest.mark.parametrize("module", TYPES)
def test_each_type_says_what_it_is(module: ModuleType):
    assert module.shape == "timer"
    assert module.name == module.__name__.rpartition(".")[2]
    assert (module.__doc__ or "").split("\n", 1)[0].endswith(".")
    schema = module.Config.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all("description" in field or "title" in field for field in schema["properties"].values())


@pytest.mark.parametrize("module", TYPES)
def test_examples_are_valid_and_their_event_has_the_clock_payload(module: ModuleType):
    for example in module.examples:
        config = module.Config.model_validate(example.config)
        assert module.next_fire(config, NOW, NOW) is not None
        assert set(CLOCK_SCHEMA["required"]) <= set(example.event) <= set(CLOCK_SCHEMA["properties"])
        scheduled = from_iso(example.event["scheduledFor"])
        anchor = scheduled - 10 * MINUTE_US
        assert module.next_fire(config, scheduled - 1, anchor).utc == scheduled
        assert example.event["triggerType"] == ("recurring" if module.recurring else "schedule")


@pytest.mark.parametrize("module", TYPES)
def test_a_fire_always_fits_its_trigger(module: ModuleType):
    config = module.Config.model_validate(module.examples[0].config)
    event = Event(
        id="e", tenant_id="t", provider=module.name, source="s", type=CLOCK_TYPE, event_key="k", time=NOW,
        received_at=NOW, data=msgspec.json.encode(module.examples[0].event),
    )  # fmt: skip
    assert module.matches(config, EventView(event)) is TRUE


@pytest.mark.parametrize("module", TYPES)
def test_a_stored_configuration_reads_back_as_the_same(module: ModuleType):
    config = module.Config.model_validate(module.examples[0].config)
    stored = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert module.Config.model_validate(stored) == config
    assert set(stored) == set(module.examples[0].config)


def test_cron_takes_both_spellings_of_its_expression():
    assert cron.Config.model_validate({"cron_expression": "0 2 * * *"}).cron == "0 2 * * *"
    assert cron.index_keys(cron.Config.model_validate({"cron": " 0 2 * * * "})) == ("0 2 * * *",)
    assert once.Config.model_validate({"at": "2027-05-05T12:00:00"}).run_at == "2027-05-05T12:00:00"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "cron: Field required"),
        ({"cron": "0 0 2 * * *"}, "seconds (and years) are not supported"),
        ({"cron": "60 24 * * *"}, "minute: `60` is not in 0-59; the full hour is 0; hour: `24`"),
        ({"cron": "0 0 31 2 *"}, "never fires"),
        ({"cron": "@daily", "timezone": "Europe/Berln"}, "did you mean `Europe/Berlin`?"),
        ({"cron": "@daily", "jitter": "30 s"}, "is not a duration"),
        ({"cron": "@daily", "jitter": "2d"}, "less than or equal"),
        ({"cron": "@daily", "jitter": -1}, "greater than or equal"),
        ({"cron": "@daily", "misfire_grace": float("inf")}, "less than or equal"),
        ({"cron": "@daily", "catchup": "some"}, "'none', 'latest' or 'all'"),
        ({"cron": "@daily", "catchup_max": 0}, "greater than or equal to 1"),
        ({"cron": "@daily", "dst_gap": "before"}, "'after', 'shift' or 'skip'"),
        ({"cron": "@daily", "start_at": "tomorrow"}, "is not a date-time"),
        ({"cron": "@daily", "start_at": "3027-01-01"}, "is not a date-time"),
        ({"cron": "@daily", "start_at": "2027-02-01", "end_at": "2027-01-01"}, "`end_at` lies before `start_at`"),
        ({"cron": "@daily", "zone": "UTC"}, "zone: Extra inputs"),
        ({"cron": 5}, "cron: Input should be a valid string"),
    ],
)
def test_cron_refuses_what_it_cannot_keep(fields: dict[str, Any], words: str):
    assert words in messages(cron.Config, **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "every: Field required"),
        ({"every": "500ms"}, "greater than or equal to 1"),
        ({"every": 0}, "greater than or equal to 1"),
        ({"every": "99999999d"}, "less than or equal"),
        ({"every": "often"}, "is not a duration"),
        ({"every": "1h", "anchor": "noon"}, "is not a date-time"),
    ],
)
def test_interval_refuses_what_it_cannot_keep(fields: dict[str, Any], words: str):
    assert words in messages(interval.Config, **fields)


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01", "2027-02-30T00:00:00", "0001-01-01T00:00:00+23:00", "1e9"])
def test_once_refuses_what_is_no_time(text: str):
    assert "is not a date-time" in messages(once.Config, run_at=text)


def test_bounds_are_kept_and_belong_to_the_schedule():
    config = cron.Config.model_validate(
        {
            "cron": "0 2 * * *",
            "timezone": "America/New_York",
            "start_at": "2027-02-01T02:00:00",
            "end_at": "2027-02-02T02:00",
        }
    )
    first = cron.next_fire(config, NOW, NOW)
    assert first is not None
    assert to_iso(first.utc) == "2027-02-01T07:00:00Z"
    second = cron.next_fire(config, first.utc, NOW)
    assert second is not None
    assert cron.next_fire(config, second.utc, NOW) is None
    assert cron.count(config, NOW, NOW + 100 * DAY_US, NOW) == 2


def test_an_interval_counts_from_the_first_deployment_or_from_its_anchor():
    config = interval.Config.model_validate({"every": "90m"})
    assert [fire.utc - NOW for fire in walk(interval, config, NOW, 3)] == [n * 90 * MINUTE_US for n in (1, 2, 3)]
    config = interval.Config.model_validate(
        {"every": "1d", "anchor": "2027-03-13T09:00:00", "timezone": "America/New_York"}
    )
    # Elapsed time: after the clocks go forward the wall time is an hour later.
    assert [fire.local for fire in walk(interval, config, NOW, 3)] == [
        "2027-03-13T09:00:00", "2027-03-14T10:00:00", "2027-03-15T10:00:00",
    ]  # fmt: skip
    bounded = interval.Config.model_validate(
        {"every": "1h", "start_at": "2027-01-01T05:30:00", "end_at": "2027-01-01T07:00"}
    )
    assert [fire.local[11:16] for fire in walk(interval, bounded, NOW, 9)] == ["06:00", "07:00"]
    assert interval.count(bounded, NOW, NOW + DAY_US, NOW) == 2


def walk(module: ModuleType, config: Any, after: int, number: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < number and (fire := module.next_fire(config, after, NOW)) is not None:
        found.append(fire)
        after = fire.utc
    return found


def test_a_one_time_schedule_fires_once():
    config = once.Config.model_validate({"run_at": "2027-03-15T09:30:00", "timezone": "Europe/Berlin"})
    [fire] = walk(once, config, NOW, 5)
    assert to_iso(fire.utc) == "2027-03-15T08:30:00Z"
    assert once.count(config, NOW, fire.utc, NOW) == 1
    assert once.count(config, fire.utc, fire.utc + DAY_US, NOW) == 0


def test_a_past_one_time_schedule_is_refused_when_it_is_saved():
    config = once.Config.model_validate({"run_at": "2026-12-31T23:59:59Z"})
    [error] = once.check(config, NOW)
    assert error.field == "run_at"
    assert "is past; write a time after 2027-01-01T00:00:00Z" in error.message
    assert once.check(config, NOW - 2 * SECOND_US) == []


def test_a_one_time_schedule_at_a_clock_change_is_told():
    gap = once.Config.model_validate({"run_at": "2027-03-14T02:30", "timezone": "America/New_York"})
    fold = once.Config.model_validate({"run_at": "2027-11-07T01:30", "timezone": "America/New_York"})
    assert once.warnings(gap, NOW) == ["2027-03-14T02:30 does not exist in America/New_York; runs 2027-03-14T03:00:00"]
    assert once.warnings(fold, NOW) == ["2027-11-07T01:30 happens twice in America/New_York; runs the first time"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"cron": "@daily", "end_at": "2026-12-31"}, "end_at", "is past"),
        ({"cron": "@yearly", "start_at": "2027-02-01", "end_at": "2027-11-01"}, "end_at", "has no fire before"),
        (
            {"cron": "30 2 * 3 SUN#2", "timezone": "America/New_York", "dst_gap": "skip"},
            "dst_gap",
            "missing at clock changes",
        ),
        ({"cron": "*/30 2 * 3 SUN#2", "timezone": "America/New_York"}, "cron", "fall into clock changes"),
    ],
)
def test_a_schedule_that_would_never_fire_is_refused_when_it_is_saved(fields: dict[str, Any], field: str, words: str):
    [error] = cron.check(cron.Config.model_validate(fields), NOW)
    assert error.field == field
    assert words in error.message


def test_a_schedule_that_fires_passes_the_check():
    assert cron.check(cron.Config.model_validate({"cron": "@daily"}), NOW) == []
    assert interval.check(interval.Config.model_validate({"every": "1h"}), NOW) == []
    ended = interval.Config.model_validate({"every": "1h", "end_at": "2027-01-01T00:30:00"})
    assert [error.field for error in interval.check(ended, NOW)] == ["end_at"]


def test_schedules_read_as_plain_english():
    assert cron.describe(cron.Config.model_validate({"cron": "0 2 * * *"})) == "At 02:00 (UTC)"
    assert interval.describe(interval.Config.model_validate({"every": 5400})) == "Every 90m"
    assert (
        once.describe(once.Config.model_validate({"at": "2027-05-05T12:00Z"})) == "Once, at 2027-05-05T12:00:00 (UTC)"
    )


def test_warnings_name_clock_changes_and_settings_without_effect():
    nightly = cron.Config.model_validate({"cron": "30 2 * * *", "timezone": "America/New_York"})
    assert cron.warnings(nightly, NOW) == ["02:30 does not exist in America/New_York on 2027-03-14; runs 03:00"]
    starred = cron.Config.model_validate({"cron": "*/5 * * * *", "dst_gap": "skip"})
    assert "have no effect" in cron.warnings(starred, NOW)[0]
    spread = interval.Config.model_validate({"every": "1m", "jitter": "2m"})
    assert "jitter is not smaller" in interval.warnings(spread, NOW)[0]
