"""The published kit: workflows and their triggers in this process, on a clock that stands still."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scheduler.client import Cron, Event, GitHub, Manual, Webhook, WorkflowBuilder, task
from workflow_scheduler.client.errors import DefinitionInvalid, Unauthenticated
from workflow_scheduler.testing.requests import event, github, webhook
from workflow_scheduler.testing.workflows import WorkflowTest

EXAMPLE = Path(__file__).parents[3] / "examples" / "test_orders.py"
FOLLOW_UP = (
    WorkflowBuilder("follow-up", triggers=[Event("user_came"), Manual()])
    .add(task("greet").tool("noop").input(output="hello"))
    .add(task("wait").tool("sleep_for").input(duration="2d"))
    .add(task("look").tool("run").input(command="exit 1").retry(3, delay="4m"))
    .build()
)


async def test_days_pass_at_once_and_everything_happens_at_its_own_time(workflow_test):
    async with workflow_test(FOLLOW_UP) as t:
        look = t.stub("look", output="done", failures=2)
        await t.send(event("user_came", {"name": "Ada"}))
        assert [run.jobs["wait"]["status"] for run in t.runs] == ["PAUSED"]
        await t.advance("47h")
        assert t.runs[0].jobs["wait"]["status"] == "PAUSED"
        await t.advance("90m")
        [run] = t.runs
        assert (run.status, run.output, len(look.calls)) == ("SUCCEEDED", "done", 3)
        assert run.jobs["wait"]["ended_at"] == "2027-01-07T12:00:00Z"
        assert run.ended_at == "2027-01-07T12:08:00Z"


async def test_a_schedule_runs_at_each_of_its_times_across_a_clock_change():
    clock = (
        WorkflowBuilder("clock", timezone="America/New_York", triggers=[Cron("30 2 * * *")])
        .add(task("a").tool("noop"))
        .build()
    )
    async with WorkflowTest(clock, at="2027-03-13T00:00:00Z") as t:
        await t.advance("3d")
        times = [run.scheduled_for for run in t.runs]
        assert times == ["2027-03-13T07:30:00Z", "2027-03-14T07:00:00Z", "2027-03-15T06:30:00Z"]
        assert {run.status for run in t.runs} == {"SUCCEEDED"}


async def test_signed_requests_are_checked_and_doubles_start_nothing(workflow_test):
    flow = (
        WorkflowBuilder(
            "signed",
            triggers={
                "hook": Webhook(
                    path="in", signature={"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hook"}
                ),
                "push": GitHub("acme/shop", secret="gh", events={"push": {"branches": ["main"]}}),
            },
        )
        .add(task("a").tool("noop"))
        .build()
    )
    async with workflow_test(flow, secrets={"hook": "s3cret", "gh": "other"}) as t:
        await t.send(webhook("in", {"n": 1}, secret="s3cret"))
        with pytest.raises(Unauthenticated):
            await t.send(webhook("in", {"n": 1}, secret="wrong"))
        payload = {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}, "commits": []}
        for delivery in ("one", "one", "two"):
            await t.send(github("push", payload, secret="other", delivery=delivery))
        await t.send(github("push", {**payload, "ref": "refs/heads/draft"}, secret="other"))
        assert [run.trigger_type for run in t.runs] == ["webhook", "github", "github"]


async def test_runs_started_by_hand_commands_that_really_run_and_stubs_that_fail(workflow_test):
    flow = {
        "name": "mixed",
        "jobs": {
            "say": {"run": "echo '{\"n\": 3}'", "with": {"output": "json"}},
            "each": {"needs": ["say"], "map": [1, 2], "uses": "noop", "with": {"output": "${item}"}},
            "last": {"needs": ["each"], "uses": "noop"},
        },
    }
    async with workflow_test(flow) as t:
        t.stub("each", lambda config: config["output"] * 10)
        run = await t.start({"a": 1})
        assert (run.status, run.input) == ("SUCCEEDED", {"a": 1})
        assert run.jobs["each"]["output"] == [10, 20]
        t.stub("last", error="the disk is full")
        run = await t.start()
        assert run.status == "FAILED"
        assert "the disk is full" in str(run.jobs["last"]["error"])
        assert (await t.explain(run.id))["kind"] == "run"


async def test_a_definition_with_mistakes_is_refused(workflow_test):
    with pytest.raises(DefinitionInvalid):
        async with workflow_test({"name": "x", "jobs": {"a": {"uses": "nop"}}}):
            pass


def test_the_example_of_the_documentation_runs_with_the_installed_plug_in(tmp_path):
    left_out = [part for name in ("cacheprovider", "schemathesis", "hypothesispytest") for part in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *left_out, "-o", "addopts=", "-o", "asyncio_mode=auto", str(EXAMPLE)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
