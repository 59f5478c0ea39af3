"""Workflows after others on the command line, on a running service."""

import json

import pytest


def flow(name, **triggers):
    return {"version": 1, "name": name, "triggers": triggers or {"hand": {"type": "manual"}},
            "jobs": {"work": {"uses": "noop"}}}  # fmt: skip


@pytest.fixture
def wfs(service, command, tmp_path):
    def call(*arguments):
        return command(*arguments, "--json", cwd=tmp_path, WFS_SERVER=service.url)

    def deploy(definition):
        (tmp_path / "flow.json").write_text(json.dumps(definition))
        done = call("deploy", "flow.json")
        assert done.code == 0, done.err

    call.deploy, call.folder = deploy, tmp_path
    return call


def test_what_a_trigger_waits_for_is_shown_and_forgotten(wfs):
    for name in ("sales", "stock", "costs"):
        wfs.deploy(flow(name))
    wfs.deploy(flow("report", after={"type": "workflow", "after": "sales and (stock or costs)", "window": "6h"}))
    assert wfs("run", "sales", "--wait").code == 0
    shown = wfs("trigger", "joins", "report").json
    (only,) = shown["items"]
    assert [part["member"] for part in only["arrived"]] == ["sales"]
    assert (only["missing"], only["summary"]) == (["stock", "costs"], "still missing: stock or costs")
    event = only["arrived"][0]["event_id"]
    (line,) = [one for one in wfs("explain", event).json["decisions"] if one["workflow"] == "report"]
    assert line["predicates"][-1]["note"] == "still missing: stock or costs"
    assert line["summary"].endswith("because it still waits for other workflows (still missing: stock or costs).")
    assert wfs("explain", "report/after").json["summary"].endswith("Now still missing: stock or costs.")
    tried = wfs("trigger", "test", "report", "--event", event).json["decisions"][0]
    assert (tried["outcome"], tried["predicates"][-1]["note"]) == ("absorbed", "still missing: stock or costs")
    made_up = {"type": "workflow_completed", "data": {"workflow_name": "stock", "status": "SUCCEEDED"}}
    (wfs.folder / "event.json").write_text(json.dumps(made_up))
    assert wfs("trigger", "test", "report", "--file", "event.json").json["decisions"][0]["outcome"] == "run_started"
    assert wfs("trigger", "joins", "report/after", "--reset").json["reset"] == 1
    assert wfs("trigger", "joins", "report").json["items"] == []
    assert wfs("run", "costs", "--wait").code == 0
    assert wfs("run", "sales", "--wait").code == 0
    (run,) = wfs("runs", "ls", "--workflow", "report").json["items"]
    assert set(wfs("runs", "show", run["id"]).json["input"]["members"]) == {"sales", "costs"}
    refused = wfs("trigger", "joins", "sales")
    assert refused.code == 5
    assert "waits for no others" in refused.err
