"""What no schedule can mean is refused on every surface: 422, the field, and what to write instead."""

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

FLOW = {
    "version": 1,
    "name": "orders",
    "triggers": {"nightly": {"type": "cron", "cron": "0 2 * * *"}},
    "jobs": {"work": {"uses": "noop"}},
}
BASE = "/api/v1/schedules"
WRONG = [
    ({"cron": "0 0 2 * * *"}, "cron", "econds"),
    ({"cron": "0 2 * *"}, "cron", "field"),
    ({"cron": "0 0 31 2 *"}, "cron", "never"),
    ({"cron": "99 2 * * *"}, "cron", "minute"),
    ({"cron": "0 2 * * *", "timezone": "Mars/Base"}, "timezone", "Mars/Base"),
    ({"run_at": "2020-01-01T00:00:00Z"}, "run_at", "write a time after"),
    ({"run_at": "2027-02-30T00:00:00Z"}, "run_at", "is not a date-time"),
    ({"every": "0s"}, "every", "1"),
    ({"cron": "0 2 * * *", "catchup_rate": "fast"}, "catchup_rate", "such as 10/m"),
    ({"cron": "0 2 * * *", "catchup_window": 0}, "catchup_window", "catchup: none"),
    ({"cron": "0 2 * * *", "max_fires": 0}, "max_fires", "1"),
    ({"cron": "0 2 * * *", "pause_after_failures": 0}, "pause_after_failures", "1"),
    ({"cron": "0 2 * * *", "on_resume": "sometimes"}, "on_resume", "latest"),
    ({"cron": "0 2 * * *", "end_at": "2020-01-01T00:00:00Z"}, "end_at", "later"),
]
TYPES = {"cron": "cron", "run_at": "once", "every": "interval"}


@pytest.fixture
async def client(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, database_url=f"sqlite:///{tmp_path}/wfs.db"))
    await application.start()
    await application.context.deployments.deploy(LOCAL, "orders", FLOW)
    yield AsgiClient(application.asgi())
    await application.stop()


def named(reply):
    assert reply.status == 422, reply.text
    problem = reply.json()
    return {line["field"] for line in problem["errors"]}, " ".join(line["message"] for line in problem["errors"])


def fits(fields, field):
    """Tell whether one of the fields that were named is `field`, within whatever holds it."""
    return any(one.split(".")[-1] == field for one in fields)


@pytest.mark.parametrize(("body", "field", "words"), WRONG)
async def test_a_schedule_that_cannot_be_is_refused_by_field_on_every_surface(client, body, field, words):
    (nightly,) = (await client.get(BASE)).json()["items"]
    replies = [
        await client.post(BASE, json={"workflow": "orders", "name": "other", **body}),
        await client.put(f"{BASE}/{nightly['id']}", json=body),
    ]
    if "2020-" not in str(body):  # a preview may look at the past
        replies.append(await client.post(f"{BASE}/preview", json=body))
    for reply in replies:
        fields, text = named(reply)
        assert fits(fields, field), fields
        assert words in text
    assert (await client.get(f"{BASE}/{nightly['id']}")).json()["cron"] == "0 2 * * *"


@pytest.mark.parametrize(("body", "field", "words"), WRONG)
async def test_a_definition_file_names_line_and_column_as_well(client, body, field, words):
    kind = next(name for key, name in TYPES.items() if key in body)
    lines = [f"      {key}: {value!r}" for key, value in body.items()]
    text = "\n".join(
        ["version: 1", "name: other", "triggers:", "  tick:", f"      type: {kind}", *lines, "jobs: {a: {uses: noop}}"]
    )
    reply = await client.post(
        "/api/v1/workflows/validate", body=text.encode(), headers={"content-type": "application/yaml"}
    )
    found = reply.json()
    line = next(one for one in found["errors"] if fits({one["field"]}, field))
    assert words in line["message"]
    assert line["line"] == 6 + list(body).index(field)
    assert line["column"] > 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cron": "0 0 2 * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"cron": "0 2 * * *", "timezone": "Mars/Base"}, "timezone"),
    ],
)
async def test_the_laboratory_names_the_field_as_well(client, body, field):
    fields, _ = named(await client.post(f"{BASE}/lab", json=body))
    assert fits(fields, field), fields


async def test_the_laboratory_follows_calendars(client):
    days = {"name": "closed", "dates": ["2027-03-14 Stocktaking"]}
    assert (await client.post("/api/v1/calendars", json=days)).status == 201
    rule = {"cron": "30 2 * * *", "timezone": "America/New_York", "years": 1, "from": "2027-01-01T00:00:00Z"}
    free = (await client.post(f"{BASE}/lab", json=rule)).json()
    assert [(one["kind"], one["utc"]) for one in free["items"]] == [("gap", "2027-03-14T07:00:00Z")]
    found = (await client.post(f"{BASE}/lab", json={**rule, "calendars": {"exclude": ["closed"]}})).json()
    (left_out,) = found["items"]
    assert left_out["utc"] is None
    assert left_out["note"].endswith("a calendar leaves it out: Stocktaking (closed v1)")
    moving = {"exclude": ["closed"], "shift": "next_business_day"}
    found = (await client.post(f"{BASE}/lab", json={**rule, "calendars": moving})).json()
    assert "move" in found["items"][0]["note"]
    hourly = {**rule, "cron": "0 * * * *"}
    assert [one["date"] for one in (await client.post(f"{BASE}/lab", json=hourly)).json()["days"]] == [
        "2027-03-14", "2027-11-07",
    ]  # fmt: skip
    found = (await client.post(f"{BASE}/lab", json={**hourly, "calendars": {"exclude": ["closed"]}})).json()
    assert [one["date"] for one in found["days"]] == ["2027-11-07"]
    for wrong, words in (({"exclude": ["nowhere"]}, "nowhere"), ({}, "exclude"), ({"exclud": ["closed"]}, "exclud")):
        refused = await client.post(f"{BASE}/lab", json={**rule, "calendars": wrong})
        assert refused.status == 422
        assert words in refused.text


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"ics": "no calendar"}, "ics", "write NAME:VALUE"),
        ({"ics": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:noon\nEND:VEVENT\nEND:VCALENDAR"}, "ics", "line 3"),
        ({"ics": "BEGIN:VCALENDAR\n" + "X-NOTE:y\n" * 100_000 + "END:VCALENDAR"}, "ics", ""),
        ({"dates": ["2027-02-30"]}, "dates", "2027-02-30"),
        ({"country": "Atlantis"}, "country", "Atlantis"),
        ({"weekend": ["SOMEDAY"]}, "weekend", "SOMEDAY"),
    ],
    ids=["no calendar", "a date that is none", "huge", "an impossible date", "no country", "no weekday"],
)
async def test_a_calendar_that_cannot_be_is_refused_by_field(client, body, field, words):
    reply = await client.post("/api/v1/calendars", json={"name": "wrong", **body})
    fields, text = named(reply)
    assert any(one.split(".")[0] == field for one in fields), fields
    assert words in text
    assert (await client.get("/api/v1/calendars/wrong")).status == 404


async def test_blackouts_over_http(client):
    base = "/api/v1/blackouts"
    rule = {"mode": "skip", "cron": "0 22 * * *", "duration": "2h"}
    fields, _ = named(await client.post(base, json={"name": "freeze", **rule, "duration": "0s"}))
    assert fields == {"duration"}
    made = await client.post(base, json={"name": "freeze", **rule})
    assert made.status == 201, made.text
    shown = await client.get(f"{base}/freeze")
    assert (shown.json()["cron"], shown.headers["etag"]) == ("0 22 * * *", '"1"')
    changed = await client.put(f"{base}/freeze", json={**rule, "mode": "defer"})
    assert (changed.status, changed.json()["mode"], changed.json()["revision"]) == (200, "defer", 2)
    assert [one["name"] for one in (await client.get(base)).json()["items"]] == ["freeze"]
    assert (await client.delete(f"{base}/freeze")).status == 204
    assert (await client.get(f"{base}/freeze")).status == 404


async def test_the_schema_of_the_clock_payload_is_published(client):
    schema = (await client.get("/schemas/trigger.clock.v1.json")).json()
    assert schema["$id"] == "trigger.clock.v1"
    assert "coalescedCount" in schema["required"]


async def test_what_a_schedule_lacks_is_named_by_field(client):
    fields, text = named(await client.post(BASE, json={"workflow": "orders", "cron": "0 2 * * *"}))
    assert fields == {"name"}
    assert "is required" in text
