"""The check of triggers, jobs and graph, with the installed plug-ins."""

import pytest

from workflow_scheduler.core.definition.check import Rules, check, field_path, inspect
from workflow_scheduler.core.definition.load import parse, read
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.registry import discover
from workflow_scheduler.core.time.clock import from_iso

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")
NOW = from_iso("2027-01-05T12:00:00Z")
WHOLE = """version: 1
name: nightly-report
timezone: America/New_York
concurrency: {max_runs: 10, max_parallel_jobs: 5}
triggers:
  nightly: {type: cron, cron: "0 2 * * *", catchup: latest, jitter: 30s, input: {full: true}}
  orders: {type: webhook, path: orders, methods: [POST], condition: "event.data.amount > 100", on_unknown: hold,
           signature: {scheme: hmac-sha256, header: X-Signature, secret: orders_hmac}}
  pushes: {type: github, repository: acme/billing, secret: gh_secret,
           events: {push: {branches: [main, "release/*"], paths: ["src/**"]}}}
  upstream: {type: workflow, window: 6h,
             all: [{workflow: sales-etl}, {workflow: customer-etl, condition: on_completion}]}
  after: {type: workflow, workflow: sales-etl, condition: on_failure, enabled: false}
  failed: {type: event, event: workflow_failed, filter: {workflow_name: "critical_*"}}
jobs:
  extract: {run: python -m etl.extract, timeout: 15m, retry: {attempts: 3, backoff: exponential, delay: 10s}}
  publish: {needs: [extract], if: "jobs.extract.output.approved", uses: http,
            with: {method: POST, url: "https://example.test/publish", json: {n: "${jobs.extract.count}"}}}
  alert: {needs: [extract, publish], run_if: at_least_one_failed, uses: noop}
"""


def checked(text, **rules):
    return check(parse(text), TRIGGERS, JOBS, NOW, Rules(**rules))


def mistakes(text, **rules):
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read(text)[0], TRIGGERS, JOBS, NOW, Rules(**rules))
    return [(e.field, e.line, e.column, e.message) for e in caught.value.errors]


def trigger(body):
    return f"name: x\njobs: {{a: {{uses: noop}}}}\ntriggers:\n  t: {body}\n"


def job(body):
    return f"name: x\ntriggers: {{m: {{type: manual}}}}\njobs:\n  a: {body}\n"


def test_a_whole_file_passes():
    found = checked(WHOLE)
    assert list(found.triggers) == ["nightly", "orders", "pushes", "upstream", "after", "failed"]
    assert [node.id for node in found.graph.nodes] == ["extract", "publish", "alert"]
    assert found.warnings == ("nightly: 02:00 does not exist in America/New_York on 2027-03-14; runs 03:00",)


def test_shared_keys_are_split_off():
    found = checked(WHOLE).triggers
    assert found["orders"].shared.condition == "event.data.amount > 100"
    assert found["orders"].shared.on_unknown == "hold"
    assert "condition" not in found["orders"].plain
    assert found["nightly"].shared.input == {"full": True}
    assert found["after"].shared.enabled is False


def test_the_default_time_zone_is_handed_on():
    found = checked(WHOLE).triggers
    assert found["nightly"].plain["timezone"] == "America/New_York"
    own = checked(trigger('{type: cron, cron: "0 2 * * *", timezone: Asia/Tokyo}'), timezone="Europe/Berlin")
    assert own.triggers["t"].plain["timezone"] == "Asia/Tokyo"
    tenant = checked(trigger('{type: cron, cron: "0 2 * * *"}'), timezone="Europe/Berlin")
    assert tenant.triggers["t"].plain["timezone"] == "Europe/Berlin"


def test_the_stored_configuration_reads_the_same_again():
    for found in checked(WHOLE).triggers.values():
        assert found.module.Config.model_validate(found.plain) == found.config


def test_the_missions_names_are_understood():
    found = checked(trigger('{type: cron, cron_expression: "0 9 * * MON-FRI", timezone: America/New_York}'))
    assert found.triggers["t"].module.index_keys(found.triggers["t"].config) == ("0 9 * * MON-FRI",)


@pytest.mark.parametrize(
    ("text", "field", "line", "column", "message"),
    [
        (trigger("{type: crn}"), "triggers.t.type", 4, 13, "there is no trigger type `crn`, did you mean `cron`?"),
        (trigger("{cron: x}"), "triggers.t.type", 4, 6, "`type` is required; the trigger types are"),
        (trigger("{type: cron}"), "triggers.t.cron", 4, 6, "`cron` is required"),
        (trigger('{type: cron, cron: "0 2 * *"}'), "triggers.t.cron", 4, 25, ""),
        (trigger('{type: cron, cron: "0 0 31 2 *"}'), "triggers.t.cron", 4, 25, ""),
        (trigger('{type: cron, cron: "* * * * * *"}'), "triggers.t.cron", 4, 25, "seconds"),
        (trigger('{type: cron, cron: "0 2 * * *", timezone: Mars/Base}'), "triggers.t.timezone", 4, 48, "Mars/Base"),
        (trigger('{type: cron, cron: "0 2 * * *", jiter: 5s}'), "triggers.t.jiter", 4, 38,
         "unknown field `jiter`, did you mean `jitter`?"),
        (trigger('{type: manual, conditon: "true"}'), "triggers.t.conditon", 4, 21,
         "unknown field `conditon`, did you mean `condition`?"),
        (trigger("{type: manual, on_unknown: maybe}"), "triggers.t.on_unknown", 4, 33, "`maybe` is not known here"),
        (trigger("{type: manual, enabled: 5}"), "triggers.t.enabled", 4, 30, "must be true or false"),
        (trigger('{type: manual, condition: "event.data. >"}'), "triggers.t.condition", 4, 32, ""),
        (trigger("{type: webhook, path: a}"), "triggers.t.signature", 4, 6, "`signature` is required"),
        (trigger("{type: webhook, path: a, signature: {scheme: hmac-sha256, header: X}}"),
         "triggers.t.signature", 4, 42, "needs a `secret`"),
        (trigger("{type: webhook, path: a, signature: {scheme: hmac-sha265}}"), "triggers.t.signature.scheme", 4, 51,
         "did you mean `hmac-sha256`?"),
        (trigger("{type: github, repository: a/b, secret: s, events: {push: {branchs: [main]}}}"),
         "triggers.t.events.push.branchs", 4, 65, "unknown field `branchs`, did you mean `branches`?"),
        (trigger('{type: once, run_at: "2020-01-01T00:00:00Z"}'), "triggers.t.run_at", 4, 27, ""),
        (trigger("{type: workflow}"), "triggers.t", 4, 6, "write one of `any`, `all`"),
        ("name: x\ntriggers:\n  a b: {type: manual}\n", "triggers.a b", 3, 3, "`a b` is not a name"),
        ("name: x\ntimezone: Europe/Berln\n", "timezone", 2, 11, "did you mean `Europe/Berlin`?"),
        ("name: x\nengine: htp\n", "engine", 2, 9, "there is no engine `htp`, did you mean `http`?"),
        (job("{uses: htp}"), "jobs.a.uses", 4, 13, "did you mean `http`?"),
        (job("{uses: http, with: {method: GET}}"), "jobs.a.with.url", 4, 25, "`url` is required"),
        (job("{uses: http, with: {metod: GET, url: 'https://a.test'}}"), "jobs.a.with.metod", 4, 26,
         "unknown field `metod`, did you mean `method`?"),
        (job("{run: x, with: {outpt: json}}"), "jobs.a.with.outpt", 4, 22, "did you mean `output`?"),
        (job("{run: x, with: {output: jsn}}"), "jobs.a.with.output", 4, 30, "`jsn` is not known here"),
        (job("{run: x, with: {command: y}}"), "jobs.a.with.command", 4, 31, "the command is given"),
        (job("{run: ''}"), "jobs.a.run", 4, 12, "must have at least 1 character"),
        (job("{run: x, uses: http}"), "jobs.a.run", 4, 12, ""),
        (job("{description: nothing}"), "jobs.a", 4, 6, ""),
        (job("{uses: noop, needs: [b]}"), "jobs.a.needs[0]", 4, 27, "there is no job `b`"),
        (job('{run: "echo ${input.x"}'), "jobs.a.run", 4, 12, "is not closed"),
        (job('{uses: noop, if: "jobs."}'), "jobs.a.if", 4, 23, ""),
        ("name: x\njobs:\n  a: {uses: noop, needs: [b]}\n  b: {uses: noop, needs: [a]}\n", "jobs.a.needs", 3, 26,
         "a → b → a"),
        ("name: x\njobs:\n  a.b: {uses: noop}\n", "jobs.a.b", 3, 3, "`a.b` is not a job name"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_stands(text, field, line, column, message):
    found = mistakes(text, engines=("embedded", "http"))
    assert (field, line, column) in [entry[:3] for entry in found]
    assert message in next(entry[3] for entry in found if entry[:3] == (field, line, column))


def test_mistakes_of_structure_do_not_hide_those_of_plug_ins():
    fields = [entry[0] for entry in mistakes(
        "nme: x\ntriggers:\n  t: {type: cron, crn: a}\njobs:\n  a: {uses: http, with: {urll: b}, nedes: []}\n"
    )]  # fmt: skip
    assert {"nme", "name", "triggers.t.crn", "triggers.t.cron", "jobs.a.with.urll", "jobs.a.nedes"} <= set(fields)


def test_an_expression_stands_for_a_value_of_any_kind():
    text = job('{uses: http, with: {url: "${input.url}", timeout: "${input.patience}", method: "${input.verb}"}}')
    assert checked(text).graph.nodes[0].type == "http"


def test_code_jobs_need_the_allowance():
    found = mistakes(job("{run: echo}"), allow_code=False)
    message = "jobs of type `run` run code, which is not allowed here; allow it with WFS_ALLOW_CODE=true"
    assert found == [("jobs.a.run", 4, 12, message)]
    assert checked(job("{uses: noop}"), allow_code=False)


def test_an_external_engine_may_know_more_job_types():
    text = "name: x\nengine: http\ntriggers: {m: {type: manual}}\njobs: {a: {uses: llm_agent, with: {model: big}}}\n"
    assert checked(text, engines=("embedded", "http")).definition.engine == "http"


def test_what_surprises_is_a_warning():
    assert checked("name: x\njobs: {a: {uses: noop}}").warnings == (
        "there are no triggers: nothing starts this workflow by itself",
    )
    assert "there are no jobs" in checked("name: x\ntriggers: {m: {type: manual}}").warnings[0]


def test_a_field_name_becomes_a_path_as_far_as_it_exists():
    assert field_path({"jobs": {"a": {"needs": ["b"]}}}, "jobs.a.needs[0]") == ("jobs", "a", "needs", 0)
    assert field_path({"jobs": {"a": {}}}, "jobs.a.with.url") == ("jobs", "a")
