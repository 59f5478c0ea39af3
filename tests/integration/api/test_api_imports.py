"""Files of other systems over HTTP: definitions that can be deployed, and clear words where they cannot."""

import json

CHAIN = {
    "name": "chain",
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {"name": "split", "id": "t1", "parents": [], "children": ["t2"]},
                {"name": "join", "id": "t2", "parents": ["t1"], "children": []},
            ]
        },
        "execution": {"tasks": [{"id": "t1", "runtimeInSeconds": 2.5}]},
    },
}


async def post(client, system, content, query=""):
    return await client.post(
        f"/api/v1/imports/{system}{query}", body=content if isinstance(content, bytes) else content.encode()
    )


async def test_what_is_read_can_be_deployed_as_it_is(client):
    read = await post(client, "wfformat", json.dumps(CHAIN), "?time_scale=0.1")
    assert read.status == 200
    [item] = read.json()["items"]
    assert item["definition"]["jobs"]["split"]["with"] == {"duration": "250ms"}
    assert item["definition"]["jobs"]["join"]["needs"] == ["split"]
    deployed = await client.post(
        "/api/v1/deployment/workflows/chain/deploy", json={"workflow_spec": item["definition"]}
    )
    assert deployed.status == 200, deployed.json()


async def test_a_missing_parent_is_named_with_its_place(client):
    broken = json.loads(json.dumps(CHAIN))
    broken["workflow"]["specification"]["tasks"][1]["parents"] = ["t9"]
    refused = await post(client, "wfformat", json.dumps(broken))
    assert refused.status == 422
    assert "workflow.specification.tasks[1].parents[0]" in json.dumps(refused.json())


async def test_an_empty_body_and_an_unknown_system_are_refused(client):
    assert (await post(client, "wfformat", b"")).status == 400
    assert (await post(client, "cobol", b"x")).status in {404, 422}
