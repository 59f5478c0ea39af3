"""Backfills through kill -9 and with three instances: each time of a backfill runs exactly once."""

import contextlib
import json
import random
import signal
from collections import Counter

import pytest
from chaos import scene
from chaos.service import Service, wait_until

FLOW = {
    "version": 1,
    "name": "report",
    "triggers": {"often": {"type": "cron", "cron": "*/10 * * * *"}},
    "jobs": {"only": {"uses": "noop"}},
}
SPAN = {"workflow": "report", "from": "2026-01-01T00:00:00Z", "to": "2026-01-04T00:00:00Z"}
TIMES = 3 * 144
POINTS = [name for name in scene.failpoints() if name.startswith("backfill.")]
ENDED = {"completed", "cancelled"}


def shown(service, backfill_id):
    return service.call("GET", f"/api/v1/backfills/{backfill_id}")


def once_each(service, backfill_id, number):
    """Every nominal time has one run of the backfill, and the numbers of the backfill are those of its runs."""
    runs = service.items(f"/api/v1/backfills/{backfill_id}/runs")
    counted = Counter(run["scheduled_for"] for run in runs)
    assert [time for time, many in counted.items() if many != 1] == []
    assert len(counted) == number
    assert {run["status"] for run in runs} == {"SUCCEEDED"}
    done = shown(service, backfill_id)
    assert (done["started"], done["succeeded"], done["failed"]) == (number, number, 0), done
    assert (done["planned"], done["remaining"], done["skipped"]) == (number, 0, 0), done


@pytest.mark.parametrize(("order", "moments"), [("forward", [*POINTS, "", ""]), ("reverse", POINTS)])
def test_kill_9_at_any_moment_goes_on_exactly_where_it_was(tmp_path, order, moments):
    assert {"backfill.step.before", "backfill.step.after"} == set(POINTS)
    service = Service(tmp_path)
    service.start()
    service.deploy(FLOW)
    backfill_id = service.call("POST", "/api/v1/backfills", {**SPAN, "max_active": 8, "order": order})["id"]
    draw = random.Random(7)  # noqa: S311 -- a seed repeats the run
    hit = {""}
    for moment in moments:
        service.kill()
        began = service.start(**({"WFS_FAILPOINT": f"{moment}:{draw.randint(1, 4)}"} if moment else {}))
        if began is None or service.died_within(5 if moment else draw.uniform(0.05, 0.3)):
            hit.add(moment)
    assert hit >= set(moments)
    service.kill()
    service.start()
    wait_until(lambda: shown(service, backfill_id)["status"] in ENDED, what="the end of the backfill")
    once_each(service, backfill_id, TIMES)
    assert service.stop() == 0, service.tail()


def test_three_instances_share_and_take_over_and_run_each_time_once(tmp_path, postgres_url):
    three = [Service(tmp_path, postgres_url, LOCK_TIMEOUT="3") for _ in range(3)]
    try:
        for instance in three:
            instance.start()
        three[0].deploy(FLOW)
        made = [
            three[number].call("POST", "/api/v1/backfills", {**SPAN, "reprocess": rule, "max_active": 6})["id"]
            for number, rule in enumerate(("missing", "all", "all"))
        ]
        three[0].died_within(0.5)
        three[0].kill()
        three[1].process.send_signal(signal.SIGSTOP)
        three[2].died_within(5)
        three[1].process.send_signal(signal.SIGCONT)
        wait_until(lambda: all(shown(three[2], one)["status"] in ENDED for one in made), 120, what="the end of all")
        runs = [three[2].items(f"/api/v1/backfills/{one}/runs") for one in made]
        for found in runs:
            assert max(Counter(run["scheduled_for"] for run in found).values()) == 1
            assert {run["status"] for run in found} == {"SUCCEEDED"}
        done = [shown(three[2], one) for one in made]
        assert [one["started"] + one["skipped"] for one in done] == [TIMES] * 3
        assert [len(found) for found in runs] == [one["started"] for one in done]
        assert len({run["scheduled_for"] for found in runs for run in found}) == TIMES
    finally:
        for instance in three:
            if instance.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    instance.process.send_signal(signal.SIGCONT)
                instance.kill()


YAML = """version: 1
name: nightly
triggers:
  daily: {type: cron, cron: "0 2 * * *", input: {full: false}}
jobs: {a: {uses: noop}}
"""


def test_the_command_line_plans_runs_follows_and_cancels(service, wfs):
    (service.folder / "nightly.yaml").write_text(YAML)
    assert wfs("deploy", "nightly.yaml").code == 0
    span = ("--from", "2026-01-01", "--to", "2026-01-11")
    plan = wfs("backfill", "nightly", *span, "--dry-run", "--limit", "3")
    assert plan.code == 0, plan.err
    assert "2026-01-01T02:00:00Z" in plan.out
    assert "10 planned = 10 to run + 0 left out; nothing was started" in plan.err
    assert wfs("backfill", "nightly", *span, "--dry-run", "--json").json["to_run"] == 10
    done = wfs("backfill", "nightly/daily", *span, "-d", "full=true", "--order", "reverse", "--wait", "--json")
    assert done.code == 0, done.err
    assert (done.json["status"], done.json["succeeded"], done.json["input"]) == ("completed", 10, {"full": True})
    runs = wfs("runs", "ls", "--backfill", done.json["id"], "--json").json["items"]
    assert len(runs) == 10
    assert done.json["id"] in wfs("explain", runs[0]["id"]).out
    left = wfs("backfill", "nightly", *span, "--dry-run", "--json").json
    assert left["reasons"] == {"run": {}, "left_out": {"has_run": 10}}
    again = wfs("backfill", "nightly", *span, "--reprocess", "all")
    assert again.code == 0
    backfill_id = again.out.strip()
    assert wfs("backfills", "watch", backfill_id).code == 0
    assert backfill_id in wfs("backfills", "ls", "--workflow", "nightly").out
    assert "completed" in wfs("backfills", "show", backfill_id).out
    assert wfs("backfills", "cancel", backfill_id).code == 5
    assert wfs("backfills", "show", "0000").code == 3
    wrong = wfs("backfill", "nightly", "--from", "2026-02-01", "--to", "2026-01-01")
    assert wrong.code == 2
    assert "to: the range is reversed" in wrong.err


def test_the_command_line_starts_a_paused_schedule_with_another_input(service, wfs):
    (service.folder / "nightly.yaml").write_text(YAML)
    assert wfs("deploy", "nightly.yaml").code == 0
    assert wfs("schedule", "pause", "nightly/daily").code == 0
    started = wfs("schedule", "trigger", "nightly/daily", "-d", "full=true", "--json")
    assert started.code == 0, started.err
    assert started.json["reason"] == "started_while_paused"
    run = wfs("runs", "show", started.json["run_id"], "--json").json
    assert run["input"] == {"full": True}
    fired = wfs("trigger", "fire", "nightly/daily", "--json")
    assert (fired.code, json.loads(fired.out)["reason"]) == (0, "started_while_paused")
    assert wfs("schedule", "resume", "nightly/daily").code == 0
