"""Definitions in node form over HTTP and on the command line, given back in both forms."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from workflow_scheduler.cli.root import app

NODES = {
    "name": "report",
    "nodes": [
        {
            "id": "nightly",
            "type": "TRIGGER",
            "subtype": "CRON",
            "parameters": {"cron_expression": "0 2 * * *", "timezone": "America/New_York"},
        },
        {"id": "hand", "type": "TRIGGER", "subtype": "MANUAL", "parameters": {"require_confirmation": False}},
        {"id": "fetch", "type": "ACTION", "subtype": "NOOP", "parameters": {"output": {"n": 3}}},
        {"id": "tell", "type": "ACTION", "subtype": "NOOP", "parameters": {"output": "${jobs.fetch.output.n}"}},
    ],
    "connections": [
        {"from": "nightly", "to": "fetch"},
        {"from": "hand", "to": "fetch"},
        {"from": "fetch", "to": "tell"},
    ],
}
DOCUMENT = {
    "name": "report",
    "triggers": {
        "nightly": {"type": "cron", "cron_expression": "0 2 * * *", "timezone": "America/New_York"},
        "hand": {"type": "manual", "require_confirmation": False},
    },
    "jobs": {
        "fetch": {"uses": "noop", "with": {"output": {"n": 3}}},
        "tell": {"uses": "noop", "with": {"output": "${jobs.fetch.output.n}"}, "needs": ["fetch"]},
    },
}
BASE = "/api/v1/workflows"


async def test_nodes_are_accepted_wherever_a_definition_is_and_given_back_in_both_forms(client):
    made = await client.post(BASE, json=NODES)
    assert made.status == 201, made.text
    assert made.json()["definition"] == DOCUMENT
    shown = (await client.get(f"{BASE}/report?form=nodes")).json()["definition"]
    assert shown == NODES
    assert (await client.get(f"{BASE}/report/versions/1?form=nodes")).json()["definition"] == NODES
    assert (await client.get(f"{BASE}/report?form=drawing")).status == 422
    changed = await client.put(f"{BASE}/report", json=DOCUMENT)
    assert changed.json()["version"] == 1, "the same content is the same version in either form"
    assert (await client.post(f"{BASE}/validate", json=NODES)).json()["valid"]
    assert (await client.post("/api/v1/validate/dependencies", json=NODES)).json()["levels"] == [["fetch"], ["tell"]]
    assert (await client.post("/api/v1/deployment/plan", json=NODES)).status == 200


async def test_a_deployment_takes_nodes_under_the_name_of_its_address_and_they_run(client):
    spec = {key: part for key, part in NODES.items() if key != "name"}
    deployed = await client.post("/api/v1/deployment/workflows/report/deploy", json={"workflow_spec": spec})
    assert deployed.status == 200, deployed.text
    reply = await client.post("/api/v1/triggers/workflows/report/manual?wait=run", json={})
    assert reply.json()["output"] == 3, reply.text
    [found] = (await client.get("/api/v1/runs?workflow=report")).json()["items"]
    run = (await client.get(f"/api/v1/runs/{found['id']}")).json()
    assert run["status"] == "SUCCEEDED"
    assert run["jobs"][1]["output"] == 3
    again = await client.post("/api/v1/deployment/workflows/report/deploy", json={"workflow_spec": spec})
    assert again.json()["latest_version"] == 1


async def test_mistakes_name_the_node(client):
    wrong = json.loads(json.dumps(NODES))
    wrong["nodes"][0]["parameters"]["cron_expression"] = "61 * * * *"
    reply = await client.post(BASE, json=wrong)
    assert reply.status == 422
    assert [one["field"] for one in reply.json()["errors"]] == ["nodes[0].parameters.cron_expression"]


def test_the_command_line_validates_files_in_node_form(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(NODES))
    assert CliRunner().invoke(app, ["validate", str(path)]).exit_code == 0
    wrong = json.loads(json.dumps(NODES))
    wrong["nodes"][2]["subtype"] = "NOP"
    path.write_text(json.dumps(wrong, indent=1))
    result = CliRunner().invoke(app, ["--json", "validate", str(path)])
    assert result.exit_code == 1
    [error] = json.loads(result.stdout)["items"][0]["errors"]
    assert (error["field"], error["line"] is not None) == ("nodes[2].subtype", True)
