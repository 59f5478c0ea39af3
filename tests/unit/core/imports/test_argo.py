"""Manifests of Argo, in the shapes of its own examples."""

import pytest

from workflow_scheduler.core.definition import load
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.imports import argo
from workflow_scheduler.testing.workflows import WorkflowTest

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {generateName: %s-}\nspec:\n"
ECHO = """
  - name: echo
    inputs: {parameters: [{name: message}]}
    container: {image: "alpine:3.20", command: [echo, "{{inputs.parameters.message}}"]}
"""
DIAMOND = (
    HEAD % "diamond"
    + """
  entrypoint: diamond
  templates:
  - name: diamond
    dag:
      tasks:
      - {name: A, template: echo, arguments: {parameters: [{name: message, value: A}]}}
      - {name: B, dependencies: [A], template: echo, arguments: {parameters: [{name: message, value: "it's B"}]}}
      - {name: C, depends: A, template: echo, arguments: {parameters: [{name: message, value: "${HOME}"}]}}
      - {name: D, depends: "B && C", template: echo, arguments: {parameters: [{name: message, value: D}]}}
"""
    + ECHO
)


def read(text, **more):
    return argo.convert(load.documents_of(text), **more)


def only(text):
    [found] = read(text)
    load.from_value(found.definition)
    return found


def lost(found):
    return {(one.path, one.message) for one in found.losses}


def test_a_diamond_becomes_four_jobs_and_loses_nothing():
    found = only(DIAMOND)
    assert (found.name, found.losses) == ("diamond", ())
    assert found.definition["jobs"] == {
        "A": {"run": "echo A"},
        "B": {"run": "echo 'it'\"'\"'s B'", "needs": ["A"]},
        "C": {"run": "echo '$${HOME}'", "needs": ["A"]},
        "D": {"run": "echo D", "needs": ["B", "C"]},
    }


@pytest.mark.parametrize(
    ("depends", "expected"),
    [
        ("A.Failed || B.Failed", {"run_if": "at_least_one_failed"}),
        ("A || B", {"run_if": "at_least_one_success"}),
        ("A.Failed && B.Failed", {"run_if": "all_failed"}),
        ("A.Succeeded && B.Failed",
         {"run_if": "all_done",
          "if": 'jobs["A"].status == "SUCCEEDED" && (jobs["B"].status in ["FAILED","CANCELLED"])'}),
        ("(A || B.Skipped) && !A.Failed",
         {"run_if": "all_done",
          "if": '((jobs["A"].status in ["SUCCEEDED","SKIPPED"]) || jobs["B"].status == "SKIPPED")'
                ' && !(jobs["A"].status in ["FAILED","CANCELLED"])'}),
    ],
)  # fmt: skip
def test_what_a_task_depends_on_is_said_by_rules_or_by_statuses(depends, expected):
    tasks = f"- {{name: C, depends: '{depends}', template: echo}}"
    text = (
        HEAD % "x"
        + f"""
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {{name: A, template: echo}}
      - {{name: B, template: echo}}
      {tasks}
  - {{name: echo, container: {{command: [echo]}}}}
"""
    )
    job = only(text).definition["jobs"]["C"]
    assert {key: job[key] for key in expected} == expected
    assert job["needs"] == (["A"] if "B" not in depends else ["A", "B"])


async def test_rows_of_steps_conditions_loops_and_results_run_as_in_argo():
    text = (
        HEAD % "flip"
        + """
  entrypoint: main
  arguments: {parameters: [{name: side, value: heads}]}
  templates:
  - name: main
    steps:
    - - {name: flip, template: flip}
      - {name: list, template: list}
    - - {name: heads, template: say, when: "{{steps.flip.outputs.result}} == heads"}
      - {name: tails, template: say, when: "{{steps.flip.outputs.result}} == tails"}
      - {name: each, template: say, withParam: "{{steps.list.outputs.result}}"}
      - {name: three, template: say, withSequence: {count: 3}}
    - - {name: last, template: say}
  - {name: flip, script: {image: bash, command: [bash], source: "echo {{workflow.parameters.side}}"}}
  - {name: list, container: {command: [echo, '["a","b"]']}}
  - {name: say, container: {command: ["true"]}}
"""
    )
    found = only(text)
    assert found.losses == ()
    async with WorkflowTest(found.definition) as t:
        run = await t.start()
        await t.advance("1m")
        [run] = t.runs
        statuses = {name: job["status"] for name, job in run.jobs.items() if "[" not in name}
    assert statuses == {
        "flip": "SUCCEEDED", "list": "SUCCEEDED", "heads": "SUCCEEDED", "tails": "SKIPPED", "each": "SUCCEEDED",
        "three": "SUCCEEDED", "last": "SUCCEEDED",
    }  # fmt: skip


OUTER = (
    HEAD % "outer"
    + """
  entrypoint: main
  onExit: tidy
  parallelism: 3
  templates:
  - name: main
    dag:
      tasks:
      - {name: one, template: part, arguments: {parameters: [{name: who, value: Ada}]}}
      - {name: two, template: part, arguments: {parameters: [{name: who, value: Bob}]}}
  - name: part
    inputs: {parameters: [{name: who}]}
    dag:
      tasks:
      - {name: greet, template: echo, arguments: {parameters: [{name: message, value: "{{inputs.parameters.who}}"}]}}
  - {name: tidy, retryStrategy: {limit: 2, backoff: {duration: 5s, factor: 2}}, container: {command: [rm, -r, /tmp/x]}}
"""
    + ECHO
)


def test_a_template_that_is_a_graph_is_called_and_gets_its_parameters():
    part, outer = read(OUTER)
    load.from_value(part.definition)
    load.from_value(outer.definition)
    assert (part.main, part.name, outer.main) == (False, "outer-part", True)
    assert part.definition["jobs"] == {"greet": {"run": 'echo ${input["who"]}'}}
    assert outer.definition["jobs"]["one"] == {
        "uses": "workflow", "with": {"workflow": "outer-part", "input": {"who": "Ada"}},
    }  # fmt: skip
    assert outer.definition["jobs"]["on-exit"] == {
        "run": "rm -r /tmp/x", "needs": ["one", "two"], "run_if": "all_done",
        "retry": {"attempts": 3, "delay": "5s", "backoff": "exponential"},
    }  # fmt: skip
    assert outer.definition["concurrency"] == {"max_parallel_jobs": 3}


def test_a_cron_workflow_brings_its_schedule():
    text = """
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedule: "30 2 * * *"
  timezone: America/New_York
  concurrencyPolicy: Replace
  startingDeadlineSeconds: 60
  workflowSpec: {entrypoint: a, templates: [{name: a, suspend: {duration: 10m}}]}
"""
    found = only(text)
    assert found.definition["triggers"]["schedule"] == {
        "type": "cron", "cron": "30 2 * * *", "timezone": "America/New_York", "overlap": "cancel_running",
        "misfire_grace": "60s",
    }  # fmt: skip
    assert found.definition["jobs"] == {"a": {"uses": "sleep_for", "with": {"duration": "600s"}}}
    assert len(found.schedules) == 1


def test_what_cannot_be_expressed_is_named_with_its_line():
    text = (
        HEAD % "lossy"
        + """
  entrypoint: main
  volumes: [{name: work}]
  templates:
  - name: main
    dag:
      tasks:
      - name: a
        template: make
        when: "{{=asInt(tasks.x.outputs.result)}} > 1"
      - {name: b, templateRef: {name: other, template: t}}
      - {name: c, template: k8s}
  - name: make
    outputs: {artifacts: [{name: out, path: /tmp/out}]}
    container: {image: busybox, command: [make], env: [{name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}]}
  - {name: k8s, resource: {action: create}}
"""
    )
    found = only(text)
    paths = {path for path, _ in lost(found)}
    assert {
        "spec.volumes", "spec.templates[0].dag.tasks[0].when", "spec.templates[0].dag.tasks[1].templateRef",
        "spec.templates[1].outputs.artifacts", "spec.templates[1].container.env[0]", "spec.templates[2].resource",
        "spec.templates[2]",
    } == paths  # fmt: skip
    assert all(one.line for one in found.losses)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (("template: echo, arguments: {parameters: [{name: message, value: D}]}", "template: nowhere"),
         "spec.templates[0].dag.tasks[3].template", "there is no template `nowhere`"),
        (("B && C", "B && X"), "spec.templates[0].dag.tasks[3].depends", "there is no task `X`"),
        (("name: D,", "name: A,"), "spec.templates[0].dag.tasks[3].name", "also another task"),
        (("entrypoint: diamond", "entrypoint: other"), "spec.entrypoint", "there is no template `other`"),
        (("template: echo, arguments: {parameters: [{name: message, value: D}]}", "template: diamond"),
         "", "call each other in a circle"),
        (("kind: Workflow", "kind: Pod"), "kind", "no workflow of Argo"),
    ],
)  # fmt: skip
def test_a_broken_manifest_is_refused_with_its_place(change, place, message):
    with pytest.raises(ValidationFailed) as refused:
        read(DIAMOND.replace(*change))
    [error] = refused.value.errors
    assert message in error.message
    assert error.field.startswith(place)
