"""The form of every trigger type: examples are saved as they are written, and what is missing is said at its field."""

import json
import re
import uuid

import pytest

from workflow_scheduler.app import trigger_types

FLOW = {"name": "forms", "triggers": {"by-hand": {"type": "manual"}}, "jobs": {"a": {"uses": "noop"}}}
FIRST = {"event": "Event", "once": "One-time schedule", "cron": "Recurring schedule"}


@pytest.fixture(scope="module")
def flow(scene):
    """The id of the workflow to which triggers are added."""
    return scene.deploy(FLOW)


def chosen(desk, flow, kind):
    """Open the form of a type; return the name that the trigger is given."""
    desk.open(f"/workflows/{flow}/triggers/new")
    desk.click(FIRST.get(kind.name, kind.title), role="radio")
    desk.page.get_by_role("button", name=re.compile("^Add ")).wait_for()
    name = f"t-{uuid.uuid4().hex[:8]}"
    desk.page.get_by_label("Name", exact=True).first.fill(name)
    return name


def submitted(desk):
    """Save the form; return status and body of the answer, once the page says what became of it."""
    with desk.page.expect_response(lambda one: one.request.method == "POST" and one.url.endswith("/triggers")) as told:
        desk.page.get_by_role("button", name=re.compile("^Add ")).click()
    answer = told.value.json()
    if told.value.ok:
        desk.page.get_by_role("heading", name="How it stands").wait_for()
    else:
        at_fields = [one["message"] for one in answer["errors"] if one["field"].count(".") > 1]
        for text in at_fields or [answer["detail"]]:
            desk.page.locator(".field-error", has_text=text).first.wait_for()
    return told.value.status, answer


@pytest.mark.parametrize("kind", trigger_types().values(), ids=lambda kind: kind.name)
def test_an_example_is_saved_as_it_is_written_or_refused_at_the_field(desk, flow, kind):
    for example in kind.examples:
        name = chosen(desk, flow, kind)
        desk.click(example.title)
        status, saved = submitted(desk)
        if status == 201:
            desk.service.call("DELETE", f"/api/v1/triggers/{saved['id']}")
        body = {"workflow": flow, "name": name, "type": kind.name, **example.config}
        wanted, _, text = desk.service.answer("POST", "/api/v1/triggers", body)
        made = json.loads(text)
        if wanted == 201:
            desk.service.call("DELETE", f"/api/v1/triggers/{made['id']}")
        assert (status, saved.get("config"), saved.get("errors")) == (wanted, made.get("config"), made.get("errors"))


def to_be_written(kind):
    """Return the titles of the fields that must be filled in; a group of fields says itself what it lacks."""
    schema = kind.Config.model_json_schema()
    required = [schema["properties"][name] for name in schema.get("required", ())]
    return [one["title"] for one in required if "$ref" not in json.dumps(one)]


@pytest.mark.parametrize(
    "kind",
    [kind for kind in trigger_types().values() if to_be_written(kind)],
    ids=lambda kind: kind.name,
)
def test_what_is_missing_is_said_at_its_field(desk, flow, kind):
    chosen(desk, flow, kind)
    labels = [re.compile(rf"^{re.escape(title)} \(required\)$") for title in to_be_written(kind)]
    required = [
        desk.page.locator("form > .stack > .field", has=desk.page.locator("label", has_text=label)) for label in labels
    ]
    for field in required:
        control = field.locator("input, textarea, select")
        if control.evaluate("one => one.tagName") == "SELECT":
            control.select_option("")
        else:
            control.fill("")
    status, _ = submitted(desk)
    assert status == 422
    for field in required:
        field.locator(".field-error").wait_for()
        assert field.locator("[aria-invalid=true]").count() == 1
