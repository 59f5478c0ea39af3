"""The demo tells its whole story and ends well."""

import json


def test_demo_runs_five_workflows_and_explains_what_did_not_run(tmp_path, command):
    done = command("demo", "--exit", "--port", "0", "--json", cwd=tmp_path, timeout=150)
    assert done.code == 0, done.err
    told = json.loads(done.out)["items"]
    ran = {one["run"]["workflow"]: one["run"]["trigger_type"] for one in told if one["run"]}
    assert ran == {
        "report": "manual", "orders": "webhook", "invoice": "workflow", "ci": "github", "heartbeat": "cron",
    }  # fmt: skip
    assert all(one["run"]["status"] == "SUCCEEDED" for one in told if one["run"])
    nothing = [one["why"] for one in told if not one["run"]]
    assert len(nothing) == 2
    assert any("branches should be main" in why for why in nothing)
    assert any("event.data.amount" in why for why in nothing)
    assert all(one["why"] for one in told)
