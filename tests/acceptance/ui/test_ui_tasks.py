"""What people come for, with the mouse, against the real service."""

import json
import subprocess
import uuid

import pytest
from chaos.service import wait_until

FLOW = """name: by-mouse
triggers:
  by-hand: {type: manual}
jobs:
  first: {run: "echo hello from first"}
  ask: {needs: [first], uses: approval, with: {ask: "Go on by mouse?", timeout: 1h}}
  last: {needs: [ask], uses: noop}
"""


def test_from_yaml_to_a_run_that_was_approved(desk):
    desk.open("/workflows/new?from=yaml")
    desk.page.get_by_label("Workflow as YAML").fill(FLOW)
    desk.click("Create and deploy")
    desk.see("Triggers (1) - Workflow runs when ANY trigger fires")
    desk.see("Each trigger fires this workflow independently")
    desk.click("Run now")
    desk.click("Start")
    desk.click("Open the run", role="link")
    desk.see("hello from first")
    desk.see("It waits for an answer or a time.")
    desk.click("Open approvals", role="link")
    desk.see("Go on by mouse?")
    question = desk.page.locator("section", has_text="Go on by mouse?")
    desk.click("Approve", within=question)
    question.wait_for(state="detached")
    (run,) = desk.service.items("/api/v1/runs", workflow="by-mouse")
    desk.open(f"/runs/{run['id']}")
    desk.page.locator(".facts").get_by_text("succeeded").wait_for()


def test_a_schedule_takes_three_clicks(desk):
    flow = desk.workflow("sales")
    desk.open(f"/workflows/{flow}")
    desk.click("Add another trigger", role="link")
    desk.click("Recurring schedule", role="radio")
    desk.fill("Cron", "*/5 * * * * *")
    desk.see("seconds (and years) are not supported")
    desk.fill("Cron", "15 4 * * *")
    desk.see("04:15:00")
    desk.click("Add cron")
    desk.see("How it stands")
    assert desk.clicks == 3
    assert "cron" in {one["name"] for one in desk.service.call("GET", f"/api/v1/workflows/{flow}")["triggers"]}


def test_a_webhook_takes_three_clicks_and_shows_address_secret_and_command(desk):
    desk.open(f"/workflows/{desk.workflow('sales')}")
    desk.click("Add another trigger", role="link")
    desk.click("Webhook", role="radio")
    desk.fill("Path", "from-the-shop")
    desk.click("Add webhook")
    desk.see("/api/v1/public/webhook/from-the-shop")
    desk.see("shown once")
    assert desk.clicks == 3
    assert json.loads(sent(command(desk)))["event_id"]


def command(desk):
    """Return the command that the page of a webhook shows."""
    return desk.page.locator(".command code", has_text="BODY=").inner_text()


def sent(line):
    """Run a command of the page as people paste it."""
    return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout


SCHEMES = [
    "standard-webhooks", "github", "slack", "stripe", "pagerduty", "shopify", "gitlab",
    "api-key", "basic", "none",
]  # fmt: skip


@pytest.mark.parametrize(
    "signature",
    [
        *({"scheme": scheme} for scheme in SCHEMES),
        {"scheme": "hmac-sha512", "header": "X-Signature"},
        {
            "scheme": "hmac-sha256",
            "header": "X-Mine",
            "prefix": "v1=",
            "encoding": "base64",
            "timestamp_header": "X-At",
        },
    ],
    ids=lambda one: "-".join(one.values()),
)
def test_the_command_of_a_webhook_is_signed_as_the_webhook_asks(desk, signature):
    name = f"hook-{uuid.uuid4().hex[:8]}"
    secret = {} if signature["scheme"] == "none" else {"secret": name}
    if secret:
        desk.service.call("POST", "/api/v1/secrets", {"name": name, "value": "someone:swordfish"})
    body = {"workflow": "sales", "name": name, "type": "webhook", "path": name, "signature": {**signature, **secret}}
    made = desk.service.call("POST", "/api/v1/triggers", body)
    desk.open(f"/workflows/{made['workflow_id']}/triggers/{made['id']}")
    line = command(desk).replace(f"the value of {name}", "someone:swordfish")
    assert json.loads(sent(line))["event_id"]
    desk.service.call("DELETE", f"/api/v1/triggers/{made['id']}")


def test_a_wrong_secret_is_told_where_one_looks(desk):
    name = "refusing"
    desk.service.call("POST", "/api/v1/secrets", {"name": name, "value": "right"})
    hook = {"type": "webhook", "path": name, "signature": {"scheme": "api-key", "secret": name}}
    flow = desk.service.deploy({"name": name, "triggers": {"hook": hook}, "jobs": {"a": {"uses": "noop"}}})
    status, _, _ = desk.service.answer("POST", f"/api/v1/public/webhook/{name}", {}, {"x-api-key": "wrong"})
    assert status == 401
    desk.open(f"/workflows/{flow}")
    desk.click("Why did it not run?", role="link")
    desk.see("It last refused a request")
    assert desk.clicks == 1
    desk.click("Open the trigger", role="link")
    desk.see("A request was refused")
    desk.see("The signature does not fit")


def test_why_it_did_not_run_is_one_click(desk):
    desk.service.call("POST", "/api/v1/public/webhook/orders", {"amount": 7})
    event = desk.service.items("/api/v1/events", provider="webhook")[0]["id"]
    desk.open("/events")
    desk.clicks += 1
    desk.page.locator(f'a[href="/events/{event}"]').click()
    desk.see("condition should be event.data.amount > 100, was event.data.amount = 7")
    assert desk.clicks == 1
    desk.click("Change the condition and try this event again", role="link")
    desk.click("Test")
    desk.see("It starts nothing.")


def test_the_error_comes_first_and_a_rerun_is_one_click(desk):
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    wait_until(lambda: desk.service.items("/api/v1/runs", workflow="broken", status="FAILED"), what="a failed run")
    run = desk.service.items("/api/v1/runs", workflow="broken")[0]["id"]
    desk.open(f"/runs/{run}")
    desk.see("Job sync failed")
    desk.see("boom")
    desk.click("Rerun from failed")
    desk.see("It runs again")
    assert desk.clicks == 1
    again = desk.service.items("/api/v1/runs", workflow="broken")[0]
    assert again["rerun_of"] == run


def test_everything_is_paused_in_two_clicks(desk):
    desk.open("/workflows")
    desk.click("Pause all")
    desk.click("Pause all workflows")
    desk.page.locator("table, .grid").get_by_text("paused").first.wait_for()
    assert desk.clicks == 2
    assert all(one["paused"] for one in desk.service.items("/api/v1/workflows"))
    desk.click("Resume all")
    desk.click("Resume all workflows")
    wait_until(lambda: not any(one["paused"] for one in desk.service.items("/api/v1/workflows")), what="all resumed")


def test_a_trigger_is_switched_off_and_on(desk):
    flow = desk.workflow("sales")
    desk.open(f"/workflows/{flow}")
    desk.click("nightly is enabled", role="switch")

    def mode():
        triggers = desk.service.call("GET", f"/api/v1/workflows/{flow}")["triggers"]
        return {one["name"]: one["mode"] for one in triggers}["nightly"]

    wait_until(lambda: mode() == "disabled", what="that it is off")
    desk.page.locator('[role="switch"][aria-label="nightly is enabled"][aria-checked="false"]').wait_for()
    desk.click("nightly is enabled", role="switch")
    wait_until(lambda: mode() == "enabled", what="that it is on")


def test_the_builder_refuses_a_circle_with_its_path_and_saves_what_is_right(desk):
    desk.open(f"/workflows/{desk.workflow('broken')}/edit")
    desk.page.locator('[data-id="sync"]').first.click()
    desk.page.get_by_label("Wait for another job").select_option("after")
    desk.see("This would be a circle: sync → after → sync")
    desk.click("Add a job")
    desk.page.get_by_label("Name", exact=True).fill("told")
    desk.click("Rename")
    desk.page.get_by_label("Wait for another job").select_option("sync")
    desk.page.get_by_label("How sync must have ended").select_option("on_failure")
    text = desk.page.get_by_label("Workflow as YAML").input_value()
    assert "told:" in text
    assert "condition: on_failure" in text
    desk.click("Save and deploy")
    desk.see("version 2 is live")
    desk.click("Versions", role="link")
    desk.click("what changed", role="link")
    desk.see("jobs.told")
    desk.click("Make live")
    wait_until(
        lambda: desk.service.call("GET", f"/api/v1/workflows/{desk.workflow('broken')}")["live_version"] == 1,
        what="the version before",
    )


def test_bad_yaml_names_line_and_column(desk):
    desk.open("/workflows/new?from=yaml")
    desk.page.get_by_label("Workflow as YAML").fill(
        "name: circle\njobs:\n  a: {uses: noop, needs: [b]}\n  b: {uses: noop, needs: [a]}\n"
    )
    desk.click("Create and deploy")
    desk.see("the jobs need each other in a circle")
    desk.see("line 3")


def test_pages_are_live_and_survive_a_restart(desk):
    desk.open("/runs")
    before = desk.page.locator("main a[href^='/runs/']").count()
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    wait_until(lambda: desk.page.locator("main a[href^='/runs/']").count() > before, what="the new run on the page")
    assert desk.service.stop() == 0
    desk.see("reconnecting")
    desk.service.start()
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    desk.see("last heard")
    wait_until(lambda: desk.page.locator("main a[href^='/runs/']").count() > before + 1, what="what came meanwhile")


def test_many_windows_are_open_at_once(desk):
    others = [desk.page.context.new_page() for _ in range(8)]
    for page in others:
        page.goto(f"{desk.service.url}/runs")
        page.get_by_text("last heard").wait_for()
        page.get_by_role("heading", name="Runs").wait_for()
    before = others[0].locator("main a[href^='/runs/']").count()
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    for page in (others[0], others[-1]):
        wait_until(lambda page=page: page.locator("main a[href^='/runs/']").count() > before, what="the run in each")
    others[0].close()
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    wait_until(lambda: others[-1].locator("main a[href^='/runs/']").count() > before + 1, what="another one reads on")


def test_the_palette_goes_anywhere_by_keyboard(desk):
    desk.open("/")
    desk.page.keyboard.press("Control+k")
    desk.page.get_by_role("combobox", name="Page, workflow or id").fill("sales")
    desk.page.keyboard.press("Enter")
    desk.see("Load the sales of yesterday")
