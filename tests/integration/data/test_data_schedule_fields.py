"""Every field of a schedule without a file: accepted, shown back, changed under its revision, refused by name."""

import pytest

from workflow_scheduler.core.errors import PreconditionFailed, SchedulerError
from workflow_scheduler.core.model.principal import LOCAL

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
CRON = {"cron": "0 9 * * *"}
FIELDS = [
    ("timezone", "Europe/Berlin", "America/New_York", "Mars/Base"),
    ("catchup", "all", "none", "sometimes"),
    ("catchup_rate", "10/m", "2/s", "fast"),
    ("catchup_window", "2h", "3h", "long"),
    ("catchup_max", 7, 8, 0),
    ("on_resume", "latest", "all", "maybe"),
    ("max_fires", 3, 4, 0),
    ("pause_after_failures", 2, 3, -1),
    ("jitter", "30s", "40s", "much"),
    ("misfire_grace", "90s", "2m", "soon"),
    ("start_at", "2027-02-01T00:00:00Z", "2027-02-02T00:00:00Z", "spring"),
    ("end_at", "2028-02-01T00:00:00Z", "2028-02-02T00:00:00Z", "autumn"),
    ("dst_gap", "skip", "shift", "jump"),
    ("dst_overlap", "last", "both", "thrice"),
    ("skip", ["2027-01-06T09:00:00"], ["2027-01-07T09:00:00"], ["never"]),
    ("overlap", "skip", "queue_one", "collide"),
    ("calendars", {"exclude": ["feasts"]}, {"only": ["feasts"]}, {"exclude": 7}),
]


def shown(schedule, field):
    """Return a field as it is shown: in the configuration, or beside it."""
    found = schedule["config"].get(field, schedule.get(field))
    if field == "overlap":
        return found["policy"] if isinstance(found, dict) else found
    return found


def like(config, field, value):
    """Return whether a value shown is the one that was given, whatever its form."""
    if isinstance(value, dict):
        return all(list(config[name]) == list(part) for name, part in value.items())
    if isinstance(value, str) and field in {"catchup_window", "jitter", "misfire_grace"}:
        return config in {value, {"2h": 7200, "3h": 10800, "30s": 30, "40s": 40, "90s": 90, "2m": 120}[value]}
    return config == value


@pytest.mark.parametrize(("field", "first", "second", "wrong"), FIELDS, ids=[one[0] for one in FIELDS])
async def test_a_field_is_accepted_shown_changed_and_refused(house, field, first, second, wrong):
    await house.calendars.create(LOCAL, {"name": "feasts", "dates": ["2027-12-25"]})
    await house.deploy("report", by_hand={"type": "manual"})
    who = {"workflow": "report", "name": "daily"}
    made = await house.schedules.create(LOCAL, {**who, **CRON, field: first})
    assert like(shown(made, field), field, first)
    changed = await house.schedules.update(LOCAL, made["id"], {**CRON, field: second}, made["revision"])
    assert like(shown(changed, field), field, second)
    with pytest.raises(PreconditionFailed):
        await house.schedules.update(LOCAL, made["id"], {**CRON, field: first}, made["revision"])
    for ask in (house.schedules.create(LOCAL, {"workflow": "report", "name": "other", **CRON, field: wrong}),
                house.schedules.update(LOCAL, made["id"], {**CRON, field: wrong}, None)):  # fmt: skip
        with pytest.raises(SchedulerError) as refusal:
            await ask
        assert refusal.value.status == 422
        assert any(field in line.field for line in refusal.value.errors)
