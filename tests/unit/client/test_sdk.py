"""The same workflow as YAML, as decorated functions and step by step is one document."""

import asyncio
import subprocess
import sys

import orders
import pytest

from workflow_scheduler import client
from workflow_scheduler.app import job_types, trigger_types
from workflow_scheduler.client import Cron, Event, Ref, Upstream, Webhook, WorkflowBuilder, approval, job, task, uses
from workflow_scheduler.client.flow import JobOptions, WorkflowOptions
from workflow_scheduler.core.definition.check import inspect
from workflow_scheduler.core.definition.load import read, read_value
from workflow_scheduler.core.model.workflow import Definition, Job
from workflow_scheduler.jobs import functions

TRIGGERS, JOBS = trigger_types(), job_types()


def checked(reading):
    found = inspect(reading, TRIGGERS, JOBS, 0)
    return found.loaded.value, found.definition, {name: one.plain for name, one in found.triggers.items()}


def python(name, **config):
    return {"function": f"orders:{name}", **config}


def built():
    extract = task("extract").tool("python").input(python("extract", args=["${input.day}"]))
    load = task("load").tool("python").input(python("load", args=["${item}"], kwargs={"table": "orders"}))
    return (
        WorkflowBuilder("nightly", timezone="America/New_York", concurrency={"max_runs": 1})
        .on("nightly", Cron("0 2 * * *", catchup="latest", jitter="30s"))
        .on("orders", Webhook(path="orders", signature={"scheme": "none"}, condition="event.data.amount > 100"))
        .on(
            "upstream",
            Upstream(all=["sales-etl", {"workflow": "customers", "condition": "on_completion"}], window="6h"),
        )
        .add(extract.retry(3, delay="10s").timeout("15m"))
        .add(load.map("${jobs.extract.output.files}", max_parallel=4))
        .add(task("report").tool("python").input(python("report", args=["${jobs.load.output}"])).run_if("all_done"))
        .add(
            task("tell")
            .tool("tools.shell.run")
            .input(command="echo ${jobs.report.output}")
            .when("${jobs.report.output} > 0")
        )
        .add(task("alert").tool("noop").input(output="failed").needs({"job": "report", "condition": "on_failure"}))
        .build()
    )


def test_the_same_workflow_three_ways_is_one_document():
    written = checked(read(orders.NIGHTLY)[0])
    assert checked(read_value(orders.nightly.document)) == written
    assert checked(read_value(built())) == written


def test_outside_of_a_workflow_a_job_is_the_function_it_was():
    assert orders.extract("d") == {"files": ["d-a", "d-b"]}
    assert asyncio.run(orders.load("f")) == "f->orders"
    assert functions.load("orders:load", ()) is orders.load.__workflow_job__


def test_the_builder_reads_as_in_the_requirement():
    value = (
        WorkflowBuilder("welcome_email_sequence", triggers=[Event("user_created")])
        .add(task("send_welcome").tool("tools.email.send").input(to="${input.email}", subject="Welcome", text="Hi"))
        .add(task("wait_2_days").tool("tools.time.sleep_for").input(duration="2d"))
        .add(task("check_login").tool("tools.http.request").input(url="${env.API_URL}/api/v1/users/${input.email}"))
        .add(
            task("send_followup")
            .tool("tools.email.send")
            .input(to="${input.email}", subject="Need help?", text="Hi")
            .when("${steps.check_login.output.has_logged_in} == false")
        )
        .add(task("done").tool("noop"))
        .build()
    )
    jobs = value["jobs"]
    assert [one["uses"] for one in jobs.values()] == ["email", "sleep_for", "http", "email", "noop"]
    assert [one.get("needs") for one in jobs.values()] == [
        None, ["send_welcome"], ["wait_2_days"], ["check_login"], ["send_followup"],
    ]  # fmt: skip
    assert jobs["send_followup"]["if"] == "steps.check_login.output.has_logged_in == false"
    assert jobs["done"]["run_if"] == "none_failed"
    assert value["triggers"] == {"event": {"type": "event", "event": "user_created"}}


def test_an_approval_is_a_job_that_names_who_decides():
    @client.workflow(name="publish")
    def publish():
        approved = approval(ask="Publish?", to="group:finance", within="24h", on_timeout="reject")
        uses("noop", name="go", if_=approved["approved"])

    assert publish.document["jobs"] == {
        "approval": {
            "uses": "approval",
            "with": {"ask": "Publish?", "to": ["group:finance"], "timeout": "24h", "on_timeout": "reject"},
        },
        "go": {"needs": ["approval"], "uses": "noop", "if": "jobs.approval.output.approved"},
    }


def test_jobs_of_one_name_are_numbered_and_names_with_dashes_are_read():
    @client.workflow()
    def two_steps(input):  # noqa: A002 -- the run's input as a whole
        first = uses("noop", {"output": input}, name="first-one")
        uses("noop", {"output": first["a b"]})
        uses("noop", {"output": f"{first.total} of {input.count}"})

    assert two_steps.name == "two-steps"
    assert two_steps.document["jobs"] == {
        "first-one": {"uses": "noop", "with": {"output": "${input}"}},
        "noop": {"needs": ["first-one"], "uses": "noop", "with": {"output": '${jobs["first-one"].output["a b"]}'}},
        "noop_2": {
            "needs": ["first-one"],
            "uses": "noop",
            "with": {"output": '${jobs["first-one"].output.total} of ${input.count}'},
        },
    }
    checked(read_value(two_steps.document))


def test_what_a_run_knows_cannot_be_looked_into_at_definition_time():
    with pytest.raises(TypeError, match="write `if_=`"):
        bool(Ref("jobs.a.output"))
    with pytest.raises(TypeError, match=r"hand it to `\.map`"):
        list(Ref("jobs.a.output"))
    with pytest.raises(RuntimeError, match="inside a function decorated with @workflow"):
        uses("noop")
    with pytest.raises(ValueError, match="a job is a function of a module"):
        job(lambda: None)
    with pytest.raises(ValueError, match="there is a task `a` already"):
        WorkflowBuilder("x").add(task("a"), task("a"))


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_every_trigger_type_has_a_class_that_holds_all_its_fields(name):
    from workflow_scheduler.client import triggers

    [kind] = [one for one in map(vars(triggers).get, triggers.__all__) if one.type == name]
    for example in TRIGGERS[name].examples:
        given = {f"{key}_" if key == "from" else key: value for key, value in example.config.items()}
        spelled = {key: value for key, value in given.items() if key in kind.__dataclass_fields__}
        made = kind(**spelled)
        assert made.document() == {"type": name, **{key: given[key] for key in spelled}}
    fields = TRIGGERS[name].Config.model_fields
    assert set(fields) <= {one.removesuffix("_") for one in kind.__dataclass_fields__} | {"installation"}


def test_every_key_of_a_job_and_of_a_definition_is_an_option():
    def spelled(model):
        names = {field.alias or name for name, field in model.model_fields.items()}
        return {f"{name}_" if name in {"if", "while"} else name for name in names}

    made_by_calls = {"run", "uses", "with", "map"}
    assert spelled(Job) - made_by_calls == set(JobOptions.__annotations__) - {"name", "isolation"}
    made_by_the_function = {"version", "name", "triggers", "jobs"}
    assert spelled(Definition) - made_by_the_function == set(WorkflowOptions.__annotations__)


def test_importing_the_sdk_loads_no_server_and_no_http_library():
    code = (
        "import sys; from workflow_scheduler.client import Client, Cron, WorkflowBuilder, job, workflow;"
        "print([one for one in ('fastapi', 'pydantic', 'aiohttp', 'uvicorn', 'typer') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
