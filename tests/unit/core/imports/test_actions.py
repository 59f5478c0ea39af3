"""Workflow files of GitHub Actions."""

import pytest

from workflow_scheduler.core.definition import load
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.imports import actions
from workflow_scheduler.testing.workflows import WorkflowTest

CI = """
name: Continuous Integration
on:
  push: {branches: [main], paths-ignore: ["docs/**"]}
  workflow_dispatch: {inputs: {level: {default: debug, type: string}}}
  schedule: [{cron: "15 3 * * 1"}]
concurrency: {group: ci, cancel-in-progress: true}
env: {COLOUR: "1"}
jobs:
  test:
    runs-on: ${{ matrix.os }}
    timeout-minutes: 10
    strategy:
      fail-fast: false
      max-parallel: 2
      matrix:
        os: [linux, mac]
        python: ["3.11", "3.12"]
        exclude: [{os: mac, python: "3.11"}]
        include: [{os: linux, extra: yes-please}, {os: windows, python: "3.12"}]
    steps:
    - uses: actions/checkout@v4
    - name: Unit tests
      run: |
        echo "level ${{ inputs.level }} on ${{ matrix.os }} ${{ matrix.python }}"
        test "$WHERE" = here
      env: {WHERE: here}
    - run: "false"
      continue-on-error: true
  publish:
    needs: test
    if: ${{ success() && github.ref == 'refs/heads/main' }}
    runs-on: ubuntu-latest
    steps: [{run: echo publish}]
  alarm:
    needs: [test, publish]
    if: failure()
    runs-on: ubuntu-latest
    steps: [{run: echo alarm}]
  report:
    needs: [test]
    if: always() && needs.test.result != 'cancelled'
    runs-on: ubuntu-latest
    steps: [{run: "echo ${{ secrets.TOKEN }}"}]
"""


def convert(text, repository=None):
    [found] = actions.convert(load.documents_of(text), repository)
    load.from_value(found.definition)
    return found


def test_jobs_needs_rules_and_matrices_are_taken_over():
    found = convert(CI, "acme/billing")
    definition = found.definition
    jobs = definition["jobs"]
    assert (definition["name"], list(jobs)) == ("continuous-integration", ["test", "publish", "alarm", "report"])
    assert jobs["test"]["map"] == [
        {"os": "linux", "python": "3.11", "extra": "yes-please"},
        {"os": "linux", "python": "3.12", "extra": "yes-please"},
        {"os": "mac", "python": "3.12"},
        {"os": "windows", "python": "3.12"},
    ]
    assert (jobs["test"]["fail_fast"], jobs["test"]["max_parallel"], jobs["test"]["timeout"]) == (False, 2, "600s")
    assert (jobs["publish"]["needs"], jobs["publish"]["if"]) == (["test"], 'event.data.ref == "refs/heads/main"')
    assert jobs["alarm"]["run_if"] == "at_least_one_failed"
    assert (jobs["report"]["run_if"], jobs["report"]["if"]) == ("all_done", 'jobs["test"].status != "CANCELLED"')
    assert definition["input"] == {"level": "debug"}
    assert definition["overlap"] == {"policy": "cancel_running", "scope": "workflow"}


def test_schedules_and_events_become_triggers_where_the_repository_is_known():
    found = convert(CI, "acme/billing")
    assert found.definition["triggers"] == {
        "schedule": {"type": "cron", "cron": "15 3 * * 1", "timezone": "UTC"},
        "by-hand": {"type": "manual"},
        "github": {
            "type": "github", "repository": "acme/billing",
            "events": {"push": {"branches": ["main"], "paths": ["**", "!docs/**"]}},
        },
    }  # fmt: skip
    assert "github" not in convert(CI).definition["triggers"]
    assert "on.push" in {one.path for one in convert(CI).losses}


def test_what_stays_behind_is_named_with_its_line():
    found = convert(CI, "acme/billing")
    assert {(one.path, one.line is not None) for one in found.losses} == {
        ("jobs.test.steps[0].uses", True), ("jobs.report.steps[0].run", True),
    }  # fmt: skip


async def test_the_matrix_runs_every_combination_with_its_values():
    definition = dict(convert(CI).definition)
    definition["triggers"] = {"by-hand": {"type": "manual"}}
    definition["jobs"] = {"test": definition["jobs"]["test"]}
    async with WorkflowTest(definition) as t:
        await t.start()
        await t.advance("1m")
        [run] = t.runs
    assert run.status == "SUCCEEDED", run
    printed = [one["stdout"] for one in run.jobs["test"]["output"]]
    assert printed[:2] == ["level debug on linux 3.11\n", "level debug on linux 3.12\n"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("github.event.action == 'opened' && !contains(github.ref, 'wip')",
         'event.data["action"] == "opened" && !event.data.ref.contains("wip")'),
        ("startsWith(github.ref, 'refs/tags/') || inputs.force == true",
         'event.data.ref.startsWith("refs/tags/") || input["force"] == true'),
        ("hashFiles('a') != ''", None),
        ("fromJSON(github.ref)", None),
    ],
)  # fmt: skip
def test_conditions_are_translated_or_given_up(text, expected):
    said = actions.condition(text, {})
    assert (said and said[1]) == expected


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("name: x", "jobs", "it has no `jobs`"),
        ("jobs: {a: {needs: b, steps: [{run: x}]}}", "jobs.a.needs[0]", "there is no job `b`"),
        ("on: {schedule: [{cron: '@daily'}]}\njobs: {a: {steps: [{run: x}]}}", "on.schedule", "no nicknames"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(text, field, message):
    with pytest.raises(ValidationFailed) as refused:
        convert(text)
    [error] = refused.value.errors
    assert (error.field, message in error.message) == (field, True), error
