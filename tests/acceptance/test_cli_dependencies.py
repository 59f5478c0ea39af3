"""Workflows after others on the command line, on a running service."""

import json


def flow(name, **triggers):
    return {"version": 1, "name": name, "triggers": triggers or {"hand": {"type": "manual"}},
            "jobs": {"work": {"uses": "noop"}}}  # fmt: skip


def test_what_a_trigger_waits_for_is_shown_and_forgotten(flows):
    for name in ("sales", "stock", "costs"):
        flows.deploy(flow(name))
    flows.deploy(flow("report", after={"type": "workflow", "after": "sales and (stock or costs)", "window": "6h"}))
    assert flows("run", "sales", "--wait").code == 0
    shown = flows("trigger", "joins", "report").json
    (only,) = shown["items"]
    assert [part["member"] for part in only["arrived"]] == ["sales"]
    assert (only["missing"], only["summary"]) == (["stock", "costs"], "still missing: stock or costs")
    event = only["arrived"][0]["event_id"]
    (line,) = [one for one in flows("explain", event).json["decisions"] if one["workflow"] == "report"]
    assert line["predicates"][-1]["note"] == "still missing: stock or costs"
    assert line["summary"].endswith("because it still waits for other workflows (still missing: stock or costs).")
    assert flows("explain", "report/after").json["summary"].endswith("Now still missing: stock or costs.")
    tried = flows("trigger", "test", "report", "--event", event).json["decisions"][0]
    assert (tried["outcome"], tried["predicates"][-1]["note"]) == ("absorbed", "still missing: stock or costs")
    made_up = {"type": "workflow_completed", "data": {"workflow_name": "stock", "status": "SUCCEEDED"}}
    (flows.folder / "event.json").write_text(json.dumps(made_up))
    assert flows("trigger", "test", "report", "--file", "event.json").json["decisions"][0]["outcome"] == "run_started"
    assert flows("trigger", "joins", "report/after", "--reset").json["reset"] == 1
    assert flows("trigger", "joins", "report").json["items"] == []
    assert flows("run", "costs", "--wait").code == 0
    assert flows("run", "sales", "--wait").code == 0
    (run,) = flows("runs", "ls", "--workflow", "report").json["items"]
    assert set(flows("runs", "show", run["id"]).json["input"]["members"]) == {"sales", "costs"}
    refused = flows("trigger", "joins", "sales")
    assert refused.code == 5
    assert "waits for no others" in refused.err
