"""The published schema: it names every plug-in and agrees with the program about examples."""

import json

import jsonschema_rs
import pytest

from workflow_scheduler.core.definition.schema import config_schema, schema
from workflow_scheduler.core.registry import discover

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")
WHOLE = schema(TRIGGERS, JOBS)


@pytest.fixture(scope="module")
def validator():
    jsonschema_rs.meta.validate(WHOLE)
    return jsonschema_rs.Draft202012Validator(WHOLE)


def file(triggers=None, jobs=None):
    return {"version": 1, "name": "x", "triggers": triggers or {}, "jobs": jobs or {}}


def test_it_names_every_plug_in():
    assert {f"trigger.{name}" for name in TRIGGERS} <= set(WHOLE["$defs"])
    assert {f"job.{name}" for name in JOBS} <= set(WHOLE["$defs"])


def test_every_reference_leads_somewhere():
    text = json.dumps(WHOLE)
    for part in text.split('"$ref": "#/$defs/')[1:]:
        assert part.split('"')[0] in WHOLE["$defs"]


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_the_examples_of_a_trigger_type_fit(validator, name):
    for example in TRIGGERS[name].examples:
        value = {"type": name, "condition": "true", "enabled": True, **example.config}
        assert list(validator.iter_errors(file({"t": value}))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        file({"t": {"type": "nonsense"}}),
        file({"t": {"cron": "* * * * *"}}),
        file({"t": {"type": "cron"}}),
        file({"t": {"type": "cron", "cron": "* * * * *", "jiter": "5s"}}),
        file(jobs={"a": {}}),
        file(jobs={"a": {"uses": "http", "with": {"urll": "x"}}}),
        file(jobs={"a": {"run": "x", "neds": []}}),
        {"version": 1},
        {"name": "x", "nodes": []},
    ],
)
def test_mistakes_are_found_by_editors_as_well(validator, wrong):
    assert list(validator.iter_errors(wrong))


def test_expressions_are_allowed_for_values_that_are_no_texts(validator):
    value = file(jobs={"a": {"uses": "http", "with": {"url": "${input.url}", "timeout": "${input.patience}"}}})
    assert list(validator.iter_errors(value)) == []


def test_other_spellings_of_a_field_are_in_the_schema():
    found = config_schema(TRIGGERS["cron"].Config)
    assert found["properties"]["cron_expression"]["deprecated"]
    assert {"required": ["cron_expression"]} in found["allOf"][0]["anyOf"]
