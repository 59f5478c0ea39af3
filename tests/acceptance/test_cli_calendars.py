"""Calendars from the command line, against a real service."""

import json
import urllib.error
import urllib.request

FLOW = """version: 1
name: closing
triggers:
  daily:
    type: cron
    cron: "0 9 * * *"
    calendars: {exclude: [feasts], only: [weekdays], shift: next_business_day}
  left: {type: cron, cron: "0 9 25 12 *", calendars: {exclude: [feasts]}}
jobs:
  work: {uses: noop}
"""
FAIR = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20280113\r\nSUMMARY:Fair\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def test_calendars_from_creation_to_the_explanation_of_what_they_left_out(service, wfs):
    (service.folder / "days.txt").write_text("2028-01-03 Stocktaking\n# nothing\n\n2028-01-04\n")
    (service.folder / "fair.ics").write_text(FAIR)
    done = wfs("calendar", "create", "holidays", "--country", "DE", "--subdivision", "BY", "--json")
    assert done.code == 0, done.err
    assert done.json["holds"] == "holidays of DE-BY"
    assert wfs("calendar", "create", "feasts", "--union", "holidays", "--dates", "days.txt").code == 0
    assert wfs("calendar", "create", "weekdays", "--weekend", "SAT,SUN").code == 0
    found = wfs("calendar", "dates", "feasts", "--from", "2028-01-01", "--to", "2028-01-31", "--json").json["items"]
    assert [(one["date"], one["name"]) for one in found] == [
        ("2028-01-01", "New Year's Day"), ("2028-01-03", "Stocktaking"), ("2028-01-04", "2028-01-04"),
        ("2028-01-06", "Epiphany"),
    ]  # fmt: skip
    (service.folder / "closing.yaml").write_text(FLOW)
    assert wfs("deploy", "closing.yaml").code == 0
    shown = wfs("schedule", "times", "closing/daily", "--from", "2027-12-24T00:00:00Z", "--to", "2027-12-29T00:00:00Z",
                "--json").json["items"]  # fmt: skip
    assert [(one["utc"], one["outcome"]) for one in shown] == [
        ("2027-12-24T09:00:00Z", "planned"), ("2027-12-27T09:00:00Z", "planned"), ("2027-12-28T09:00:00Z", "planned"),
    ]  # fmt: skip
    assert "moved from 2027-12-25: Christmas Day (holidays v1, in feasts v1)" in shown[1]["note"]
    coming = wfs("next", "closing", "-n", "400", "--json").json["items"]
    left = next(one for one in coming if one["trigger"] == "left")
    assert (left["outcome"], left["note"]) == ("skipped", "Christmas Day (holidays v1, in feasts v1)")
    assert "does not run: Christmas Day" in wfs("next", "closing", "-n", "400").out
    said = wfs("explain", "closing/left", "--at", "2027-12-25T09:00:00Z")
    assert "a calendar leaves that time out: Christmas Day (holidays v1, in feasts v1)" in said.out
    said = wfs("explain", "closing/daily", "--at", "2027-12-25T09:00:00Z")
    assert "moves to 2027-12-27 09:00 UTC" in said.out
    assert wfs("calendar", "update", "feasts", "--ics", "fair.ics", "--json").json["version"] == 2
    lab = ("next", "--lab", "--cron", "30 2 * * *", "--timezone", "America/New_York", "--years", "1", "--json")
    (touched,) = wfs(*lab, "--from", "2028-01-01T00:00:00Z", "--exclude", "weekdays").json["items"]
    assert touched["utc"] == "2028-03-12T07:00:00Z"  # a Sunday, which is no weekday
    wfs("calendar", "create", "sundays", "--weekend", "MON,TUE,WED,THU,FRI,SAT")
    (touched,) = wfs(*lab, "--from", "2028-01-01T00:00:00Z", "--exclude", "sundays").json["items"]
    assert touched["utc"] is None
    changed = wfs("calendar", "diff", "feasts", "--from", "2028-01-01", "--to", "2028-01-31", "--json").json
    assert [one["date"] for one in changed["added"]] == ["2028-01-13"]
    assert len(changed["removed"]) == 4
    assert [one["version"] for one in wfs("calendar", "versions", "feasts", "--json").json["items"]] == [2, 1]
    refused = wfs("calendar", "rm", "feasts")
    assert refused.code != 0
    assert "trigger `daily` of `closing`" in refused.err
    fires = wfs("schedule", "preview", "--cron", "0 9 * * *", "--only", "weekdays", "-n", "7", "--json").json["fires"]
    assert sum(fire.get("outcome") == "skipped" for fire in fires) == 2
    assert wfs("calendar", "rm", "holidays").code == 0
    assert "weekdays" in wfs("calendar", "ls").out
    assert "closing" in wfs("calendar", "show", "weekdays").out


def test_a_broken_file_is_refused_with_its_line(service, wfs):
    (service.folder / "broken.ics").write_text(FAIR.replace("20280113", "20281313"))
    refused = wfs("calendar", "create", "broken", "--ics", "broken.ics")
    assert refused.code != 0
    assert "line 3: DTSTART is `20281313`" in refused.err
    unknown = wfs("calendar", "create", "broken", "--country", "GX")
    assert "no holidays are known for `GX`" in unknown.err


def test_an_upload_over_http_checks_version_and_text(service, wfs):
    assert wfs("calendar", "create", "uploads", "--date", "2028-01-01 New Year").code == 0

    def put(text, version="1"):
        request = urllib.request.Request(  # noqa: S310 -- our own service
            f"{service.url}/api/v1/calendars/uploads/ics", text, method="PUT",
            headers={"content-type": "text/calendar", "if-match": f'"{version}"'},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- our own service
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    assert put(b"\xff\xfe")[0] == 400
    status, problem = put(FAIR.replace("END:VEVENT", "END:VTODO").encode())
    assert (status, problem["errors"][0]["field"], problem["errors"][0]["line"]) == (422, "ics", 5)
    status, shown = put(FAIR.encode())
    assert (status, shown["version"], shown["holds"]) == (200, 2, "1 dates; an iCalendar file")
    assert put(FAIR.replace("Fair", "Party").encode())[0] == 412
