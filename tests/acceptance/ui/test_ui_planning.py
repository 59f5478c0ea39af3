"""Calendars, blackouts and backfills with the mouse, against the real service."""

from chaos.service import wait_until

HOURLY = {
    "name": "figures",
    "triggers": {"hourly": {"type": "cron", "cron": "0 * * * *"}},
    "jobs": {"ask": {"uses": "approval", "with": {"ask": "Keep these figures?", "timeout": "1h"}}},
}


def field(desk, name):
    """Return the control of a field in the open dialog."""
    return desk.page.get_by_role("dialog").locator(".field").filter(has_text=name).locator("input, textarea").first


def test_a_calendar_is_added_changed_and_deleted(desk):
    desk.open("/upcoming/calendars")
    desk.click("Add a calendar")
    field(desk, "Name").fill("company")
    field(desk, "2027-12-24, or").fill("2027-03-01 Founders\n2027-03-02")
    desk.click("Add", within=desk.page.get_by_role("dialog"))
    desk.see("2027-03-01")
    desk.click("Change")
    field(desk, "What it is for").fill("Days of the company")
    desk.click("Save")
    desk.see("Days of the company")
    stored = desk.service.call("GET", "/api/v1/calendars/company")
    assert stored["version"] == 2
    assert stored["spec"]["dates"] == [{"date": "2027-03-01", "name": "Founders"}, {"date": "2027-03-02"}]
    desk.click("Delete company")
    desk.click("Delete company")
    wait_until(lambda: desk.service.items("/api/v1/calendars") == [], what="that it is gone")


def test_a_refused_calendar_says_so_and_stays_open(desk):
    desk.open("/upcoming/calendars")
    desk.click("Add a calendar")
    field(desk, "Name").fill("nowhere")
    field(desk, "Public holidays").fill("ZZ")
    desk.click("Add", within=desk.page.get_by_role("dialog"))
    desk.page.get_by_role("dialog").locator(".field-error").first.wait_for()
    assert desk.service.items("/api/v1/calendars") == []


def test_a_blackout_is_added_changed_and_deleted(desk):
    desk.open("/upcoming/blackouts")
    desk.click("Add a blackout")
    desk.click("Again and again")
    field(desk, "Name").fill("fridays")
    field(desk, "Beginnings").fill("0 22 * * FRI")
    field(desk, "Length of").fill("8h")
    desk.click("Add", within=desk.page.get_by_role("dialog"))
    desk.see("0 22 * * FRI for 8h")
    desk.click("Change fridays")
    field(desk, "Length of").fill("9h")
    desk.click("Save")
    desk.see("0 22 * * FRI for 9h")
    desk.click("Delete fridays")
    desk.click("Delete fridays")
    wait_until(lambda: desk.service.items("/api/v1/blackouts") == [], what="that it is gone")


def test_a_backfill_is_tried_started_paused_resumed_and_cancelled(desk):
    desk.service.deploy(HOURLY)
    desk.open("/upcoming/backfills?workflow=figures")
    desk.click("New backfill")
    field(desk, "the first instant").fill("2026-01-01T00:00:00Z")
    field(desk, "the range ends before").fill("2026-01-02T00:00:00Z")
    desk.click("Dry run")
    desk.see("24 of 24 times of figures/hourly would run. Nothing was started.")
    assert desk.service.items("/api/v1/backfills") == []
    desk.click("Start")
    desk.see("24 in all")
    (one,) = desk.service.items("/api/v1/backfills")

    def status():
        return desk.service.call("GET", f"/api/v1/backfills/{one['id']}")["status"]

    desk.click("Pause")
    wait_until(lambda: status() == "paused", what="that it is paused")
    desk.click("Resume")
    wait_until(lambda: status() == "running", what="that it goes on")
    desk.click("Cancel the backfill")
    desk.click("Cancel its runs too")
    wait_until(lambda: status() == "cancelled", what="that it has ended")
    desk.page.locator(".facts .status").filter(has_text="cancelled").wait_for()
