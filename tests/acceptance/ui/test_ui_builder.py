"""The builder: workflows made with mouse and keyboard alone."""

import pytest
from chaos.service import wait_until


def begun(desk, name, kind="No trigger"):
    """Make a workflow in the form; the builder is open afterwards."""
    desk.open("/workflows/new")
    desk.page.get_by_label("Name").first.fill(name)
    desk.click(kind, role="radio")
    return name


def built(desk, name):
    """Open the builder of a new workflow with its first job picked."""
    begun(desk, name)
    desk.click("Create, then add jobs")
    pick(desk, "first")


def pick(desk, job):
    desk.page.locator(f'[data-id="{job}"]').first.click()
    desk.page.get_by_role("heading", name=f"Job {job}").wait_for()


def rename(desk, name):
    desk.page.get_by_label("Name", exact=True).fill(name)
    desk.page.keyboard.press("Enter")
    desk.page.get_by_role("heading", name=f"Job {name}").wait_for()


def kind(desk, name):
    desk.page.get_by_label("What it does").select_option(name)


def definition(desk, name):
    return desk.service.call("GET", f"/api/v1/workflows/{desk.workflow(name)}")["definition"]


def live(desk, name):
    wait_until(
        lambda: desk.service.call("GET", f"/api/v1/workflows/{desk.workflow(name)}")["deployment_status"] == "DEPLOYED",
        what=f"that {name} is live",
    )


def test_three_jobs_with_dependencies_are_built_by_mouse(desk):
    begun(desk, "by-builder", kind="Recurring schedule")
    desk.fill("Cron expression", "*/5 * * * * *")
    desk.see("seconds (and years) are not supported")
    desk.fill("Cron expression", "15 4 * * *")
    desk.see("04:15:00")
    desk.click("Create, then add jobs")
    pick(desk, "first")
    rename(desk, "extract")
    kind(desk, "run")
    desk.page.get_by_label("Command").fill("echo 100 rows")
    desk.click("Add a job")
    rename(desk, "clean")
    kind(desk, "python")
    desk.page.get_by_label("Code").fill("def main():\n    return 1")
    desk.page.get_by_label("Wait for another job").select_option("extract")
    desk.click("Add a job")
    rename(desk, "tell")
    kind(desk, "http")
    field = desk.page.locator(".field", has=desk.page.get_by_label("URL"))
    field.locator(".field-error", has_text="url is required").wait_for()
    desk.page.locator('[data-id="tell"]', has_text="needs a change").wait_for()
    draw(desk, "clean", "tell")
    desk.page.get_by_label("How clean must have ended").select_option("on_failure")
    desk.page.get_by_label("URL").fill("https://example.com/hook")
    field.locator(".field-error").wait_for(state="detached")
    desk.click("Save and deploy")
    desk.see("version 2 is live")
    assert definition(desk, "by-builder")["jobs"] == {
        "extract": {"run": "echo 100 rows"},
        "clean": {"uses": "python", "with": {"code": "def main():\n    return 1"}, "needs": ["extract"]},
        "tell": {
            "uses": "http", "with": {"url": "https://example.com/hook"},
            "needs": [{"job": "clean", "condition": "on_failure"}],
        },
    }  # fmt: skip


def draw(desk, start, end):
    """Draw a dependency from the end of a job to the begin of another."""
    ends = [
        desk.page.locator(f'[data-id="{job}"] .react-flow__handle.{side}').first.bounding_box()
        for job, side in ((start, "source"), (end, "target"))
    ]
    (x, y), to = [(one["x"] + one["width"] / 2, one["y"] + one["height"] / 2) for one in ends]
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(*to, steps=6)
    desk.page.mouse.up()


def test_another_kind_of_job_leaves_nothing_of_the_one_before(desk):
    built(desk, "changed-kinds")
    kind(desk, "run")
    desk.page.get_by_label("Command").fill("echo one")
    kind(desk, "sleep_for")
    desk.page.get_by_label("Duration").fill("5s")
    kind(desk, "noop")
    desk.click("Save and deploy")
    live(desk, "changed-kinds")
    assert definition(desk, "changed-kinds")["jobs"] == {"first": {"uses": "noop"}}


def test_the_canvas_follows_a_job_that_is_added(desk):
    built(desk, "grown")
    for _ in range(4):
        last = desk.page.get_by_role("heading", name="Job ").inner_text().removeprefix("Job ")
        desk.click("Add a job")
        desk.page.get_by_label("Wait for another job").select_option(last)
    box = desk.page.locator(".graph").bounding_box()

    def all_inside():
        nodes = [one.bounding_box() for one in desk.page.locator(".react-flow__node").all()]
        return len(nodes) == 5 and all(
            box["x"] <= one["x"]
            and one["x"] + one["width"] <= box["x"] + box["width"]
            and box["y"] <= one["y"]
            and one["y"] + one["height"] <= box["y"] + box["height"]
            for one in nodes
        )

    wait_until(all_inside, what="every job in view")


@pytest.mark.parametrize(("name", "told"), [("two words", "no spaces"), ("second", "Another job has this name.")])
def test_a_name_that_a_job_cannot_have_says_why(desk, name, told):
    built(desk, f"named-{len(name)}")
    desk.click("Add a job")
    rename(desk, "second")
    pick(desk, "first")
    desk.page.get_by_label("Name", exact=True).fill(name)
    desk.see(told)
    assert desk.page.get_by_role("button", name="Rename").is_disabled()


def test_what_is_not_saved_outlives_the_page_and_can_be_discarded(desk):
    built(desk, "left-alone")
    rename(desk, "kept")
    desk.see("Not saved yet.")
    desk.click("Runs", role="link")
    desk.page.get_by_role("heading", name="Runs").wait_for()
    desk.page.go_back()
    desk.see("Not saved yet.")
    assert "kept:" in desk.page.get_by_label("Workflow as YAML").input_value()
    desk.click("Discard the changes")
    assert "kept:" not in desk.page.get_by_label("Workflow as YAML").input_value()
    desk.page.reload()
    desk.page.get_by_label("Workflow as YAML").wait_for()
    assert desk.page.get_by_text("Not saved yet.").count() == 0


def test_a_workflow_follows_another_that_failed(desk):
    begun(desk, "after-broken", kind="After another workflow")
    desk.page.get_by_label("Any of").select_option("broken")
    desk.page.get_by_label("How broken must end").select_option("on_failure")
    desk.click("Create, then add jobs")
    desk.click("Save and deploy")
    live(desk, "after-broken")
    desk.service.call("POST", "/api/v1/triggers/workflows/broken/manual", {})
    wait_until(lambda: desk.service.items("/api/v1/runs", workflow="after-broken"), what="the run after it")
    desk.service.call("POST", f"/api/v1/deployment/workflows/{desk.workflow('after-broken')}/undeploy", {})
