"""What other schedulers have is named, with what to write in its place."""

import pytest

from workflow_scheduler.core.definition.absent import JOB_TYPES, TRIGGER_TYPES, field_hint, type_problem
from workflow_scheduler.core.definition.check import inspect
from workflow_scheduler.core.definition.load import read
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.registry import discover

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def errors_of(text):
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read(text)[0], TRIGGERS, JOBS, 0)
    return {one.field: one.message for one in caught.value.errors}


def test_a_type_of_other_schedulers_comes_with_a_way_out():
    message, near = type_problem("job", "human", JOBS, JOB_TYPES)
    assert near is None
    assert message.startswith("there is no job type `human` here: write `uses: approval`")
    assert "known are approval, email, emit, http, noop" in message


def test_every_way_out_of_a_trigger_type_leads_somewhere():
    for word, way in TRIGGER_TYPES.items():
        assert word not in TRIGGERS, f"`{word}` is installed: nobody sees what stands here"
        assert any(f"`{name}`" in way for name in TRIGGERS), way


def test_capitals_and_typos_are_suggested():
    assert type_problem("trigger", "CRON", TRIGGERS, TRIGGER_TYPES) == (
        "there is no trigger type `CRON`, did you mean `cron`?", "cron",
    )  # fmt: skip
    assert type_problem("trigger", "webhok", TRIGGERS, TRIGGER_TYPES)[1] == "webhook"
    assert type_problem("job", "zzz", JOBS, JOB_TYPES)[0].startswith(
        "there is no job type `zzz`; known are approval, email"
    )


def test_one_look_shows_unknown_fields_and_types_together():
    found = errors_of(
        """
        name: w
        triggers: {s: {type: timer}}
        jobs:
          load: {depends_on: [ask], run: echo}
          ask: {uses: human, with: {ask: "Publish?"}}
        """
    )
    assert set(found) == {"triggers.s.type", "jobs.load.depends_on", "jobs.ask.uses"}
    assert found["jobs.load.depends_on"] == f"unknown field `depends_on`: {field_hint('depends_on')}"


def test_a_wrong_type_is_told_once():
    assert list(errors_of("{name: w, jobs: {a: {uses: human}}}")) == ["jobs.a.uses"]


def test_a_template_in_the_input_of_a_trigger_is_warned_of():
    text = "{name: w, triggers: {t: {type: manual, input: {a: [%s]}}}, jobs: {a: {uses: noop}}}"
    warned = inspect(read(text % '"${event.data.n}"')[0], TRIGGERS, JOBS, 0).warnings
    assert warned == ("t: `input` is handed on as it is; fill `${…}` in where a job uses it",)
    assert inspect(read(text % "7")[0], TRIGGERS, JOBS, 0).warnings == ()
