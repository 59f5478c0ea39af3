"""The command line against a real service."""

import json
import urllib.request

import pytest

HELLO = """version: 1
name: hello
triggers:
  orders: {type: webhook, path: hello, signature: {scheme: none}, condition: event.data.amount > 100}
  by-hand: {type: manual}
  nightly: {type: cron, cron: "0 2 * * *", timezone: America/New_York}
jobs:
  a: {run: "echo one; echo two"}
  b: {needs: [a], uses: python, with: {code: "output = {'got': input}"}}
"""
FAILING = "version: 1\nname: failing\njobs:\n  a: {run: 'exit 3'}\n"
SLEEPING = "version: 1\nname: sleeping\njobs:\n  a: {uses: sleep_for, with: {duration: 1h}}\n"
LISTENER = """version: 1
name: listener
triggers: {heard: {type: event, event_types: [order_placed]}}
jobs: {a: {uses: noop}}
"""
BROKEN = """version: 1
name: broken
triggers:
  a: {type: github, repository: a/b, events: {push: {branchs: [main]}}}
jobs:
  a: {needs: [missing], run: "x"}
"""
ONE = {"id": "event-1", "amount": 500}


@pytest.fixture(scope="module")
def deployed(service, wfs):
    for name, text in (("hello", HELLO), ("failing", FAILING), ("sleeping", SLEEPING), ("listener", LISTENER)):
        (service.folder / f"{name}.yaml").write_text(text)
        done = wfs("deploy", f"{name}.yaml")
        assert done.code == 0, done.err
    return service


def post(service, path, value):
    request = urllib.request.Request(  # noqa: S310 -- our own service
        service.url + path, json.dumps(value).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- our own service
        return json.load(response)


class TestWithoutAService:
    def test_next_computes_a_cron_expression(self, wfs):
        done = wfs("next", "--cron", "30 2 * * *", "--timezone", "America/New_York",
                   "--from", "2027-03-13T00:00:00Z", "-n", "3", "--json", WFS_SERVER="http://127.0.0.1:9")  # fmt: skip
        assert done.code == 0
        assert [one["utc"] for one in done.json["fires"]] == [
            "2027-03-13T07:30:00Z", "2027-03-14T07:00:00Z", "2027-03-15T06:30:00Z",
        ]  # fmt: skip
        assert "does not exist" in done.json["fires"][1]["note"]

    def test_schedules_of_other_systems_become_valid_definitions(self, wfs, service):
        job = {"kind": "CronJob", "metadata": {"name": "report"},
               "spec": {"schedule": "30 2 */2 * MON", "timeZone": "America/New_York"}}  # fmt: skip
        rule = {"Name": "push", "ScheduleExpression": "cron(0/15 8-17 ? * 2-6 2027)"}
        schedule = {"id": "s", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "0 5 * * *"}
        flow = {"id": "flow", "triggers": [schedule], "tasks": [{"id": "a", "type": "io.kestra.plugin.core.log.Log"}]}
        files = {
            "crontab": "0 5 * * * backup ${HOME}\n",
            "kubernetes": json.dumps(job),
            "eventbridge": json.dumps(rule),
            "quartz": "0 0/15 8-17 ? * 2-6\n",
            "airflow": 'd = DAG("sales", schedule="@daily", start_date=datetime(2027, 1, 1), catchup=False)\n',
            "kestra": json.dumps(flow),
        }
        for kind, text in files.items():
            (service.folder / f"{kind}.old").write_text(text)
            done = wfs("import", kind, f"{kind}.old", "--out", f"from-{kind}", "--from", "2027-01-01", "--json")
            assert done.code == 0, done.err
            (item,) = done.json["items"]
            assert bool(item["differences"]) == (kind == "kubernetes")
            assert wfs("validate", f"from-{kind}").code == 0
            assert wfs("import", kind, f"{kind}.old", "--out", f"from-{kind}").code == 2
        (service.folder / "bad.old").write_text("@reboot x\n0 1 * * * y\n")
        partly = wfs("import", "crontab", "bad.old", "--json")
        assert partly.code == 1
        assert len(partly.json["items"]) == len(partly.json["unread"]) == 1
        assert partly.json["unread"][0]["line"] == 1

    def test_next_lists_what_clock_changes_do(self, wfs):
        done = wfs("next", "--lab", "--cron", "30 2 * * *", "--timezone", "America/New_York", "--years", "2",
                   "--from", "2027-01-01T00:00:00Z", "--json", WFS_SERVER="http://127.0.0.1:9")  # fmt: skip
        assert done.code == 0, done.err
        assert [one["local"] for one in done.json["items"]] == ["2027-03-14T02:30:00", "2028-03-12T02:30:00"]
        assert wfs("next", "--lab").code == 2

    def test_validate_names_line_and_column(self, service, wfs):
        (service.folder / "broken.yaml").write_text(BROKEN)
        done = wfs("validate", "broken.yaml")
        assert done.code == 1
        assert "broken.yaml:4:" in done.out
        assert "did you mean `branches`" in done.out
        assert "broken.yaml:6:" in done.out
        listed = wfs("validate", "broken.yaml", "--json").json
        assert listed["valid"] is False
        assert {error["line"] for error in listed["items"][0]["errors"]} == {4, 6}

    def test_validate_accepts_what_is_right_and_refuses_what_is_no_yaml(self, service, wfs):
        (service.folder / "right.yaml").write_text(HELLO)
        (service.folder / "wrong.yaml").write_text("a: [1\nb: {")
        assert wfs("validate", "right.yaml").code == 0
        assert wfs("validate", "wrong.yaml").code == 1

    def test_schema_is_a_json_schema(self, wfs):
        assert wfs("schema").json["$schema"].startswith("https://json-schema.org/")

    def test_trigger_types_are_listed(self, wfs):
        names = {one["name"] for one in wfs("trigger", "types", "--json").json["items"]}
        assert {"manual", "cron", "interval", "once", "webhook", "github", "workflow", "event"} <= names

    def test_no_service_is_exit_code_6_with_a_way_out(self, wfs):
        done = wfs("runs", "ls", "--server", "http://127.0.0.1:9")
        assert (done.code, done.out) == (6, "")
        assert "workflow-scheduler up" in done.err

    def test_wrong_usage_is_exit_code_2(self, wfs):
        assert wfs("runs", "nothing").code == 2
        assert wfs("next", "--cron", "61 * * * *").code == 2
        assert wfs("pause").code == 2

    def test_migrate_db_makes_the_schema(self, tmp_path, wfs):
        done = wfs("migrate-db", "--json", WFS_DATA=str(tmp_path / "own"))
        assert done.code == 0, done.err
        assert done.json["items"][0]["number"] == 1
        assert (tmp_path / "own" / "workflow_scheduler.db").exists()


class TestGraphs:
    def test_a_graph_of_another_system_is_deployed_and_run(self, wfs, service):
        tasks = [{"name": "split", "id": "1", "children": ["2"]}, {"name": "join", "id": "2", "parents": ["1"]}]
        parts = {"specification": {"tasks": tasks}}
        instance = {"name": "Chain.json", "schemaVersion": "1.5", "workflow": parts}
        (service.folder / "instance.json").write_text(json.dumps(instance))
        done = wfs("import", "wfformat", "instance.json", "--run", "--json")
        assert (done.code, done.json["run"]["status"]) == (0, "SUCCEEDED"), done.err
        assert {job["id"] for job in done.json["run"]["jobs"]} == {"split", "join"}
        tasks[1]["parents"] = ["9"]
        (service.folder / "broken.json").write_text(json.dumps(instance))
        refused = wfs("import", "wfformat", "broken.json")
        assert (refused.code, "workflow.specification.tasks[1].parents[0]" in refused.err) == (2, True), refused.err

    def test_what_a_graph_of_argo_loses_is_told_and_strict_refuses_it(self, wfs, service):
        tasks = [{"name": "a", "template": "say"}, {"name": "b", "template": "say", "depends": "a"}]
        templates = [{"name": "main", "dag": {"tasks": tasks}}, {"name": "say", "suspend": {"duration": "1s"}}]
        spec = {"entrypoint": "main", "templates": templates, "volumes": [{"name": "work"}]}
        manifest = {"kind": "Workflow", "metadata": {"name": "pauses"}, "spec": spec}
        (service.folder / "argo.json").write_text(json.dumps(manifest))
        done = wfs("import", "argo", "argo.json", "--run", "--json")
        assert (done.code, done.json["run"]["status"]) == (0, "SUCCEEDED"), done.err
        assert [one["path"] for one in done.json["items"][0]["lost"]] == ["spec.volumes"]
        strict = wfs("import", "argo", "argo.json", "--strict", "--deploy")
        assert (strict.code, "lost: line 1: spec.volumes" in strict.err) == (1, True), strict.err


class TestDeploying:
    def test_deploy_prints_addresses_and_next_fires(self, deployed, wfs):
        done = wfs("deploy", "hello.yaml")
        assert "hello: DEPLOYED" in done.out
        assert "curl -X POST" in done.out
        assert "/api/v1/public/webhook/hello" in done.out
        assert "nightly (cron) next 20" in done.out

    def test_deploy_of_a_broken_file_is_exit_code_1_and_names_the_places(self, service, wfs):
        (service.folder / "broken.yaml").write_text(BROKEN)
        done = wfs("deploy", "broken.yaml")
        assert done.code == 1
        assert "broken.yaml:4:" in done.err
        assert "workflow-scheduler validate broken.yaml" in done.err

    def test_plan_shows_the_change_and_changes_nothing(self, deployed, wfs):
        path = deployed.folder / "changed.yaml"
        path.write_text(HELLO.replace("0 2 * * *", "0 3 * * *"))
        plan = wfs("plan", "changed.yaml", "--json").json
        assert plan["action"] == "update"
        assert [one["name"] for one in plan["triggers"]["changed"]] == ["nightly"]
        assert "~ trigger nightly" in wfs("plan", "changed.yaml").out
        assert wfs("plan", "hello.yaml", "--json").json["action"] == "none"

    def test_versions_diff_and_rollback(self, service, wfs):
        path = service.folder / "twice.yaml"
        path.write_text("version: 1\nname: twice\njobs:\n  a: {uses: noop}\n")
        wfs("deploy", "twice.yaml")
        path.write_text("version: 1\nname: twice\njobs:\n  a: {uses: noop}\n  b: {uses: noop}\n")
        wfs("deploy", "twice.yaml")
        assert "jobs.b added" in wfs("diff", "twice").out
        assert wfs("rollback", "twice@1", "--json").json["live_version"] == 1
        assert wfs("workflow", "show", "twice", "--json").json["live_version"] == 1
        assert wfs("undeploy", "twice").code == 0
        assert wfs("undeploy", "twice").code == 5

    def test_what_is_not_there_is_exit_code_3(self, wfs):
        for command in (["undeploy", "nobody"], ["runs", "show", "nothing"], ["run", "nobody"], ["explain", "nothing"]):
            assert wfs(*command).code == 3, command


class TestRunning:
    def test_run_waits_for_the_end(self, deployed, wfs):
        done = wfs("run", "hello", "-d", "n=3", "-d", "word=x", "--wait", "--json")
        assert done.code == 0, done.err
        assert done.json["status"] == "SUCCEEDED"
        assert done.json["input"] == {"n": 3, "word": "x"}
        assert [job["status"] for job in done.json["jobs"]] == ["SUCCEEDED", "SUCCEEDED"]

    def test_a_failing_run_is_exit_code_1(self, deployed, wfs):
        done = wfs("run", "failing", "--wait")
        assert done.code == 1
        assert "exit code 3" in done.out

    def test_the_same_key_starts_one_run(self, deployed, wfs):
        first = wfs("run", "hello", "--key", "k1", "--json").json
        again = wfs("run", "hello", "--key", "k1", "--json").json
        assert first["run_id"] == again["run_id"]

    def test_waiting_too_long_is_exit_code_7_and_only_what_runs_can_be_cancelled(self, deployed, wfs):
        done = wfs("run", "sleeping", "--wait", "--timeout", "0.2s", "--json")
        assert done.code == 7
        run = done.json["id"]
        assert wfs("runs", "cancel", run, "--wait", "--json").json["status"] == "CANCELLED"
        ended = wfs("run", "hello", "--wait", "--json").json["id"]
        assert wfs("runs", "cancel", ended).code == 5

    def test_logs_watch_and_explain_of_a_run(self, deployed, wfs):
        run = wfs("run", "hello", "--wait", "--json").json["id"]
        assert wfs("runs", "logs", run).out == "one\ntwo\n"
        watched = wfs("runs", "watch", run, "--jsonl")
        lines = [json.loads(line) for line in watched.out.splitlines()]
        assert watched.code == 0
        assert [line["line"] for line in lines if line["type"] == "log"] == ["one", "two"]
        assert lines[-1]["status"] == "SUCCEEDED"
        assert "Started by hand" in wfs("explain", run).out

    def test_lists_follow_cursors(self, deployed, wfs):
        for _ in range(3):
            wfs("run", "hello")
        page = wfs("runs", "ls", "-n", "2", "--json").json
        assert len(page["items"]) == 2
        more = wfs("runs", "ls", "-n", "1", "--cursor", page["next"], "--json").json
        assert more["items"][0]["id"] not in {one["id"] for one in page["items"]}
        assert len(wfs("runs", "ls", "-n", "2", "--jsonl").out.splitlines()) == 2


class TestEvents:
    def test_a_webhook_starts_a_run_and_a_small_one_is_explained(self, deployed, wfs):
        large = post(deployed, "/api/v1/public/webhook/hello?wait=run", ONE)
        assert large["status"] == "SUCCEEDED"
        small = post(deployed, "/api/v1/public/webhook/hello", {"id": "event-2", "amount": 5})
        told = wfs("explain", small["event_id"])
        assert told.code == 0
        assert "Started nothing" in told.out
        assert "condition: expected event.data.amount > 100" in told.out
        found = wfs("explain", small["event_id"], "--json").json
        assert found["decisions"][0]["predicates"][-1]["verdict"] is False

    def test_send_show_and_list(self, deployed, wfs):
        sent = wfs("events", "send", "order_placed", "-d", "amount=7", "--id", "mine", "--wait", "--json").json
        assert sent["runs"][0]["status"] == "SUCCEEDED"
        again = wfs("events", "send", "order_placed", "-d", "amount=7", "--id", "mine", "--json").json
        assert (again["event_id"], again["duplicate"]) == (sent["event_id"], True)
        assert wfs("events", "show", sent["event_id"], "--json").json["data"] == {"amount": 7}
        listed = wfs("events", "ls", "--type", "order_placed", "--json").json["items"]
        assert [one["id"] for one in listed] == [sent["event_id"]]

    def test_replay_counts_first(self, deployed, wfs):
        event = wfs("events", "send", "order_placed", "--json").json["event_id"]
        assert wfs("replay", event, "--dry-run", "--json").json["count"] == 1
        assert wfs("replay", event, "--json").json["count"] == 1
        assert wfs("replay").code == 2

    def test_trigger_test_stores_nothing(self, deployed, wfs):
        for amount, code in ((5, 1), (500, 0)):
            event = {"type": "webhook", "method": "POST", "data": {"amount": amount}}
            (deployed.folder / "event.json").write_text(json.dumps(event))
            assert wfs("trigger", "test", "hello/orders", "-f", "event.json").code == code


class TestTriggersAndSchedules:
    def test_modes(self, deployed, wfs):
        assert wfs("trigger", "disable", "hello/orders", "--reason", "stocktaking").out.strip().endswith("disabled")
        answer = post(deployed, "/api/v1/public/webhook/hello?wait=decision", {"id": "event-3", "amount": 500})
        assert [one["reason"] for one in answer["decisions"]] == ["trigger_disabled"]
        assert wfs("trigger", "enable", "hello/orders").code == 0
        assert wfs("trigger", "show", "hello/orders", "--json").json["mode"] == "enabled"

    def test_next_and_pause(self, deployed, wfs):
        found = wfs("next", "hello", "-n", "2", "--json").json["items"]
        assert [one["trigger"] for one in found] == ["nightly", "nightly"]
        assert wfs("pause", "hello", "--reason", "holidays", "--until", "2h").code == 0
        assert wfs("workflow", "show", "hello", "--json").json["paused"] is True
        assert wfs("resume", "hello").code == 0
        assert wfs("workflow", "show", "hello", "--json").json["paused"] is False

    def test_a_schedule_without_a_file(self, deployed, wfs):
        made = wfs("schedule", "create", "listener", "often", "--every", "1h", "--json")
        assert made.code == 0, made.err
        assert wfs("schedule", "pause", "listener/often").code == 0
        assert wfs("schedule", "show", "listener/often", "--json").json["paused"] is True
        assert wfs("schedule", "resume", "listener/often").code == 0
        fired = wfs("trigger", "fire", "listener/often", "--json")
        assert fired.json["run_id"]
        assert wfs("schedule", "preview", "--cron", "0 6 * * *", "-n", "2", "--json").json["fires"]
        assert wfs("schedule", "rm", "listener/often").code == 0


class TestOperating:
    def test_secrets_are_set_from_stdin_and_never_shown(self, deployed, wfs):
        assert wfs("secret", "set", "token", stdin="s3cr3t-value\n").code == 0
        listed = wfs("secret", "ls", "--json")
        assert [one["name"] for one in listed.json["items"]] == ["token"]
        assert "s3cr3t-value" not in listed.out
        assert wfs("secret", "rm", "token").code == 0
        assert wfs("secret", "rm", "token").code == 3

    def test_connections_are_made_tested_rotated_and_deleted(self, deployed, wfs):
        web = ("http", "auth=bearer")
        assert wfs("connection", "add", "web", "--kind", *web, stdin="first-value\n").code == 0
        shown = wfs("connection", "show", "web", "--json")
        assert shown.json["fields"] == {"auth": "bearer"}
        assert shown.json["secrets"] == ["secret"]
        assert wfs("connection", "test", "web").code == 0
        assert wfs("connection", "rotate", "web", "--expires", "90d", stdin="second-value").code == 0
        listed = wfs("connection", "ls", "--json")
        assert listed.json["items"][0]["expires_at"]
        assert "-value" not in listed.out + shown.out
        assert wfs("connection", "add", "web", "--kind", *web, stdin="another").code == 5
        assert wfs("connection", "add", "x", "--kind", "nothing", stdin="").code == 2
        assert wfs("connection", "add", "dead", "--kind", "smtp", "host=127.0.0.1", "security=none", stdin="").code == 0
        assert wfs("connection", "test", "dead").code == 1
        assert wfs("connection", "rm", "web").code == wfs("connection", "rm", "dead").code == 0
        assert wfs("connection", "rm", "web").code == 3

    def test_installations_of_the_github_app_are_listed_and_given_up(self, deployed, wfs):
        assert wfs("github", "ls", "--json").json["items"] == []
        assert wfs("github", "ls").code == 0
        assert wfs("github", "release", "77").code == 3

    def test_an_owner_decides_about_code(self, deployed, wfs):
        assert wfs("tenant", "set", "--forbid-code", "--json").json["allow_code"] is False
        assert wfs("tenant", "show", "--json").json["code_allowed"] is False
        assert wfs("tenant", "set", "--json").json["allow_code"] is None

    def test_doctor_finds_all_well(self, deployed, wfs):
        done = wfs("doctor", "--json")
        assert done.code == 0, done.out
        checks = {one["check"] for one in done.json["items"]}
        assert {"service", "version", "store", "tzdata", "clock", "credentials", "disk"} <= checks
        assert wfs("doctor", "--server", "http://127.0.0.1:9").code == 6

    def test_dead_letters_are_listed(self, deployed, wfs):
        assert wfs("dead", "ls", "--json").json == {"items": [], "next": None}
        assert wfs("dead", "show", "nothing").code == 3

    def test_errors_are_problem_objects_for_programs(self, deployed, wfs):
        done = wfs("runs", "show", "nothing", "--json")
        assert (done.code, done.out) == (3, "")
        assert json.loads(done.err)["code"] == "not_found"


def test_keys_close_the_service_and_open_it_again(tmp_path_factory, service, wfs):
    """The last test of the module: with the first key everybody needs one."""
    made = wfs("key", "create", "ci", "--role", "owner", "--json").json
    assert made["key"].startswith("wfs_")
    assert wfs("runs", "ls").code == 4
    assert wfs("runs", "ls", WFS_API_KEY="wfs_wrong").code == 4
    assert wfs("runs", "ls", WFS_API_KEY=made["key"]).code == 0
    listed = wfs("key", "ls", "--json", WFS_API_KEY=made["key"])
    assert made["key"] not in listed.out
    assert wfs("key", "revoke", made["id"], WFS_API_KEY=made["key"]).code == 0
