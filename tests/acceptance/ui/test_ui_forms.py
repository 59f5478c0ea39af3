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
        # Names between backticks stand as code on the page.
        for text in (one.replace("`", "") for one in at_fields or [answer["detail"]]):
            desk.page.locator(".field-error", has_text=text).first.wait_for()
    return told.value.status, answer


def spelled_out(config):
    """Return a configuration without `workflow`, the short form that names to the API whose trigger it is."""
    if "workflow" not in config:
        return config
    return {"any": [{name: config[name] for name in ("workflow", "condition") if name in config}]}


@pytest.mark.parametrize("kind", trigger_types().values(), ids=lambda kind: kind.name)
def test_an_example_is_saved_as_it_is_written_or_refused_at_the_field(desk, flow, kind):
    for example in kind.examples:
        name = chosen(desk, flow, kind)
        desk.click(example.title)
        status, saved = submitted(desk)
        if status == 201:
            desk.service.call("DELETE", f"/api/v1/triggers/{saved['id']}")
        body = {**spelled_out(example.config), "workflow": flow, "name": name, "type": kind.name}
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
        control = field.locator("input, textarea, select").first
        if control.evaluate("one => one.tagName") == "SELECT":
            control.select_option("")
        else:
            control.fill("")
    status, _ = submitted(desk)
    assert status == 422
    for field in required:
        field.locator(".field-error").wait_for()
        assert field.locator("[aria-invalid=true]").count() == 1


def by_name(kind):
    return trigger_types()[kind]


def field(desk, title):
    """Return the control with this title."""
    return desk.page.locator("form").get_by_label(re.compile(rf"^{re.escape(title)}( \(required\))?$"))


def added(desk):
    """Save the form, and return what is stored."""
    status, saved = submitted(desk)
    assert status == 201
    desk.service.call("DELETE", f"/api/v1/triggers/{saved['id']}")
    return saved["config"]


def test_a_short_text_has_one_line_and_a_list_as_many_as_are_typed(desk, flow, tmp_path):
    chosen(desk, flow, by_name("file"))
    folder = field(desk, "Folder")
    assert folder.evaluate("one => one.tagName") == "INPUT"
    folder.fill(str(tmp_path))
    desk.page.get_by_text("More settings").click()
    patterns = field(desk, "Patterns")
    patterns.press("Control+a")
    patterns.press_sequentially("*.csv\n*.json")
    with desk.page.expect_request(lambda one: one.method == "POST" and one.url.endswith("/triggers")) as sent:
        desk.page.get_by_role("button", name=re.compile("^Add ")).click()
    assert sent.value.post_data_json["patterns"] == ["*.csv", "*.json"]


def test_words_of_a_few_are_ticked(desk, flow):
    chosen(desk, flow, by_name("webhook"))
    desk.fill("Path", "ticked")
    desk.page.get_by_label("PUT", exact=True).check()
    assert added(desk)["methods"] == ["POST", "PUT"]


def test_what_is_known_is_offered(desk, flow):
    chosen(desk, flow, by_name("cron"))
    zones = field(desk, "Time zone")
    assert zones.get_attribute("placeholder") == "UTC (default)"
    offered = desk.page.locator(f'[id="{zones.get_attribute("list")}"] option')
    assert offered.evaluate_all("all => all.map((one) => one.value)").count("Europe/Berlin") == 1
    chosen(desk, flow, by_name("kafka"))
    desk.see("There is no connection of kind kafka yet.")


def test_the_time_of_a_single_run_is_picked(desk, flow):
    chosen(desk, flow, by_name("once"))
    desk.page.get_by_label("Pick a time").fill("2029-03-15T09:30")
    assert field(desk, "Run at").input_value() == "2029-03-15T09:30:00"
    assert added(desk)["run_at"].startswith("2029-03-15T09:30")


def test_a_short_form_is_shown_in_the_fields_of_the_long_one(desk, flow):
    chosen(desk, flow, by_name("workflow"))
    desk.click("After one workflow")
    assert desk.page.get_by_label("How sales-etl must end").input_value() == "on_success"
    assert field(desk, "Condition").input_value() == ""


def test_a_refusal_stands_at_its_field_alone(desk, flow):
    chosen(desk, flow, by_name("webhook"))
    desk.fill("Condition", "event.data.amount >")
    assert submitted(desk)[0] == 422
    assert desk.page.get_by_text("The expression is not valid").count() == 1
    desk.see("It was not saved: see the field above.")


def test_what_is_no_json_is_not_sent(desk, flow):
    desk.open(f"/workflows/{flow}")
    desk.click("Run now")
    desk.page.get_by_label("Input").fill("{bad")
    desk.click("Start")
    desk.see("This is not JSON yet.")
    assert desk.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert desk.service.items("/api/v1/runs", workflow="forms") == []
