"""Workflow instances of WfCommons become graphs of stub jobs."""

from __future__ import annotations

import json

import pytest

from workflow_scheduler.core.definition.load import from_value
from workflow_scheduler.core.errors import TooLarge, ValidationFailed
from workflow_scheduler.core.imports import wfformat


def task(name, parents=(), children=(), **more):
    return {"name": name, "parents": list(parents), "children": list(children), **more}


def old(*tasks, version="1.4"):
    """Return an instance as version 1.3 and 1.4 have it: everything about a task in one place, relations by name."""
    return json.dumps({"name": "Genome 1", "schemaVersion": version, "workflow": {"tasks": tasks}}).encode()


def new(*tasks, version="1.5", execution=()):
    """Return an instance of 1.5 or later: specification and execution apart, relations by id."""
    parts = {"specification": {"tasks": tasks}, "execution": {"tasks": list(execution)}}
    return json.dumps({"name": "genome.json", "schemaVersion": version, "workflow": parts}).encode()


def jobs(content, **options):
    converted = wfformat.convert(content, **options)
    from_value(converted.definition)
    return converted.definition["jobs"]


@pytest.mark.parametrize(
    ("version", "field"), [("1.3", "runtime"), ("1.4", "runtimeInSeconds")], ids=["version 1.3", "version 1.4"]
)
def test_tasks_of_the_older_versions_name_each_other(version, field):
    tasks = (
        task(
            "split", id="ID01", children=["map_1"], **{field: 4.2}, command={"program": "split", "arguments": ["-n 2"]}
        ),
        task("map_1", id="ID02", **{field: 0.5}),
        task("merge", ["map_1", "split"], id="ID03"),
    )
    found = jobs(old(*tasks, version=version), time_scale=0.1)
    assert found == {
        "split": {"uses": "sleep_for", "with": {"duration": "420ms"}, "description": "split -n 2; ran 4.2 s"},
        "map_1": {"uses": "sleep_for", "with": {"duration": "50ms"}, "needs": ["split"], "description": "ran 0.5 s"},
        "merge": {"uses": "noop", "needs": ["split", "map_1"]},
    }


@pytest.mark.parametrize("version", ["1.5", "1.6"])
def test_tasks_of_the_newer_versions_are_known_by_id(version):
    tasks = (
        task("bwa", id="bwa#1", children=["merge:1"]),
        task("bwa", id="bwa#2"),
        task("merge", ["bwa#2"], id="merge:1"),
    )
    seen = [{"id": "bwa#1", "runtimeInSeconds": 2, "command": {"program": "my bwa"}}]
    found = jobs(new(*tasks, version=version, execution=seen))
    assert found == {
        "bwa_1": {"uses": "noop", "description": "bwa#1; 'my bwa'; ran 2 s"},
        "bwa_2": {"uses": "noop", "description": "bwa#2"},
        "merge": {"uses": "noop", "needs": ["bwa_1", "bwa_2"]},
    }
    assert wfformat.convert(new(*tasks, version=version)).name == "genome"


def test_every_task_gets_a_name_of_its_own_that_a_job_may_have():
    ids = ["1", "a b", "a/b", "a_b", "x" * 100, "x" * 99 + "y", "-", "Ü"]
    found = jobs(new(*(task("same", id=one) for one in ids)))
    assert len(found) == len(ids)
    assert max(map(len, found)) <= 64


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b"name: x", "", "not JSON"),
        (b"\xff\xfe{", "", "not JSON"),
        (b"[" * 100_000, "", "instance"),
        (b'{"name": "x", "schemaVersion": "1.5", "workflow": {"specification": ' + b'{"a": ' * 50_000, "", "deep"),
        (b'{"name": "x", "workflow": {}}', "", "schemaVersion"),
        (b'{"name": 1}', "name", "Expected `str`"),
        (old(task("a"), version="1.0"), "schemaVersion", "1.0 of WfFormat is not read; known are 1.3"),
        (old(), "workflow.tasks", "no tasks"),
        (new(), "workflow.specification.tasks", "no tasks"),
        (old(task("a", id="1"), task("b", id="1")), "workflow.tasks[1].id", "also task 0"),
        (old(task("", id="")), "workflow.tasks[0]", "neither `id` nor `name`"),
        (old(task("a", ["b"])), "workflow.tasks[0].parents[0]", "no such task"),
        (old(task("a", children=["b"])), "workflow.tasks[0].children[0]", "no such task"),
        (new(task("a", id="1"), task("a", id="2"), task("b", ["a"], id="3")),
         "workflow.specification.tasks[2].parents[0]", "several tasks have this name"),
        (old(task("a", ["c"]), task("b", ["a"]), task("c", ["b"])), "workflow.tasks[0].parents", "in a circle: a → c"),
        (old(task("a", ["a"])), "workflow.tasks[0].parents", "in a circle: a → a"),
        (old(task("a", runtime="long")), "workflow.tasks[0].runtime", "Expected `float"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path(content, field, message):
    with pytest.raises(ValidationFailed) as caught:
        wfformat.convert(content)
    first = caught.value.errors[0]
    assert first.field == field
    assert message in first.message


def test_there_are_bounds():
    with pytest.raises(TooLarge, match=r"10,000 jobs"):
        wfformat.convert(old(*(task(f"t{number}") for number in range(10_001))))
    with pytest.raises(TooLarge, match="bytes"):
        wfformat.convert(b" " * (wfformat.BYTES_MAX + 1))


def test_descriptions_are_left_out_where_the_definition_would_be_too_large():
    program = {"program": "x" * 1_000}
    converted = wfformat.convert(old(*(task(f"t{number}", command=program) for number in range(4_000))))
    assert "left out" in converted.notes[-1]
    assert not any("description" in job for job in converted.definition["jobs"].values())
