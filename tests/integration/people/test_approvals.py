"""Approvals and questions on the whole program: asked, answered over HTTP, and what the run makes of it."""

import pytest
from steps import deploy, ended, execute, started, wait_of


async def test_a_run_pauses_until_somebody_approves(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    assert (wait["ask"], wait["to"], wait["job_id"]) == ("Publish?", ["ann", "group:finance"], "approve")
    answer = await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True, "comment": "looks good"})
    assert answer.status == 200, answer.text
    assert answer.json()["status"] == "ANSWERED"
    run, jobs = await ended(ann, run_id)
    output = jobs["approve"]["output"]
    assert run["status"] == "SUCCEEDED"
    assert jobs["publish"]["status"] == "SUCCEEDED"
    assert (output["approved"], output["by"], output["comment"]) == (True, "ann", "looks good")
    assert [one["by"] for one in output["answers"]] == ["ann"]


async def test_a_rejection_is_an_output_and_not_a_failure(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    assert (await ann.post(f"/api/v1/waits/{wait['id']}", json={"decision": "reject"})).status == 200
    run, jobs = await ended(ann, run_id)
    assert run["status"] == "SUCCEEDED"
    assert jobs["approve"]["output"]["approved"] is False
    assert jobs["publish"]["status"] == "SKIPPED"


async def test_only_responders_and_members_of_their_groups_may_answer(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    member = {"user_id": "fay", "role": "viewer", "groups": ["finance"]}
    assert (await ann.post("/api/v1/members", json=member)).status == 201
    refused = await house.client("bob").post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
    assert (refused.status, refused.json()["code"]) == (403, "forbidden")
    taken = await house.client("fay").post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
    assert taken.status == 200, taken.text
    assert (await ended(ann, run_id))[1]["approve"]["output"]["by"] == "fay"


async def test_another_tenant_meets_the_404_of_an_id_that_never_was(house, ann):
    await deploy(ann)
    _, wait = await started(ann)
    eve = house.client("eve", "other")
    for call in (
        eve.get(f"/api/v1/waits/{wait['id']}"),
        eve.post(f"/api/v1/waits/{wait['id']}", json={"approved": True}),
    ):
        foreign = await call
        assert (foreign.status, foreign.json()["code"]) == (404, "not_found")
    assert (await eve.get("/api/v1/waits")).json()["items"] == []


async def test_a_late_answer_says_so_and_changes_nothing(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    assert (await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": False})).status == 200
    late = await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
    assert (late.status, late.json()["code"]) == (409, "late_response")
    assert (await ended(ann, run_id))[1]["approve"]["output"]["approved"] is False


async def test_a_quorum_wants_several_people_and_counts_each_once(house, ann):
    await deploy(ann, config={"ask": "Pay?", "quorum": 2})
    run_id, wait = await started(ann)
    path = f"/api/v1/waits/{wait['id']}"
    assert (await ann.post(path, json={"approved": True})).json()["status"] == "OPEN"
    again = await ann.post(path, json={"approved": True})
    assert (again.status, again.json()["code"]) == (409, "conflict")
    assert (await house.client("bob").post(path, json={"approved": True})).json()["status"] == "ANSWERED"
    output = (await ended(ann, run_id))[1]["approve"]["output"]
    assert (output["approved"], [one["by"] for one in output["answers"]]) == (True, ["ann", "bob"])


async def test_four_eyes_leave_out_whoever_started_the_run(house, ann):
    await deploy(ann, config={"ask": "Pay?", "four_eyes": True})
    run_id, wait = await started(ann)
    own = await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
    assert (own.status, "four eyes" in own.json()["detail"]) == (403, True)
    assert (await house.client("bob").post(f"/api/v1/waits/{wait['id']}", json={"approved": True})).status == 200
    assert (await ended(ann, run_id))[1]["approve"]["output"]["by"] == "bob"


FORM = {
    "type": "object",
    "required": ["region", "copies"],
    "properties": {"region": {"enum": ["eu", "us"]}, "copies": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


async def test_a_question_is_answered_by_its_form_and_says_what_is_wrong_by_field(house, ann):
    await deploy(ann, config={"ask": "Where?", "decision": False, "form": FORM}, publish={"uses": "noop"})
    run_id, wait = await started(ann)
    wrong = await ann.post(f"/api/v1/waits/{wait['id']}", json={"answer": {"region": "mars"}})
    assert wrong.status == 422
    assert {line["field"] for line in wrong.json()["errors"]} == {"answer.region", "answer.copies"}
    right = await ann.post(f"/api/v1/waits/{wait['id']}", json={"answer": {"region": "eu", "copies": 2}})
    assert right.status == 200, right.text
    output = (await ended(ann, run_id))[1]["approve"]["output"]
    assert (output["approved"], output["answer"]) == (None, {"region": "eu", "copies": 2})


async def test_an_approval_needs_a_decision_and_where_asked_a_comment(house, ann):
    await deploy(ann, config={"ask": "Pay?", "require_comment": True})
    _, wait = await started(ann)
    refused = await ann.post(f"/api/v1/waits/{wait['id']}", json={})
    assert refused.status == 422
    assert [line["field"] for line in refused.json()["errors"]] == ["approved", "comment"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"ask": "x", "form": {"type": "strange"}}, "form"),
        ({"ask": "x", "form": {"properties": {"a": {"$ref": "http://x.test/s"}}}}, "references"),
        ({"ask": "x", "form": {"pattern": "(?=x)"}}, "regular expression"),
        ({"ask": "x", "decision": False}, "form"),
        ({"ask": "x", "on_timeout": "reject"}, "timeout"),
        ({"ask": "x", "correlate_by": "event.data.order"}, "correlation"),
        ({"ask": "x", "quorum": 0}, "quorum"),
    ],
)
async def test_a_bad_configuration_is_refused_when_it_is_saved(house, ann, config, words):
    spec = {"name": "bad", "jobs": {"a": {"uses": "approval", "with": config}}}
    answer = await ann.post("/api/v1/workflows/validate", json=spec)
    assert words in answer.text, answer.text
    assert '"valid":true' not in answer.text.replace(" ", "")


async def test_two_branches_wait_and_the_run_is_paused_only_while_nothing_else_goes_on(house, ann):
    second = {"uses": "approval", "with": {"ask": "And this?"}}
    await deploy(ann, second=second)
    run_id = await execute(ann)
    await wait_of(ann, run_id)
    items = (await ann.get(f"/api/v1/waits?status=OPEN&run={run_id}")).json()["items"]
    assert {wait["job_id"] for wait in items} == {"approve", "second"}
    for wait in items:
        assert (await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})).status == 200
    assert (await ended(ann, run_id))[0]["status"] == "SUCCEEDED"


async def test_the_engine_protocol_resumes_a_paused_execution(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    paused = (await ann.get("/v2/workflows/report/executions?status=PAUSED")).json()["workflows"]
    assert [one["execution_id"] for one in paused] == [run_id]
    wrong = await ann.post(f"/v2/executions/{run_id}/resume", json={"resume_data": True, "interaction_id": "other"})
    assert wrong.status == 409
    body = {"resume_data": {"approved": True}, "interaction_id": wait["id"]}
    assert (await ann.post(f"/v2/executions/{run_id}/resume", json=body)).status == 200
    assert (await ended(ann, run_id))[0]["status"] == "SUCCEEDED"
    assert (await ann.post(f"/v2/executions/{run_id}/resume", json=body)).status == 409


async def test_cancelling_the_run_calls_the_wait_off(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    assert (await ann.post(f"/api/v1/runs/{run_id}/cancel")).status < 300
    await ended(ann, run_id)
    assert (await ann.get(f"/api/v1/waits/{wait['id']}")).json()["status"] == "CANCELLED"


async def test_somebody_pending_and_a_paused_run_are_told_as_internal_events(house, ann):
    await deploy(ann)
    run_id, wait = await started(ann)
    while await house.application.internal.accept_some():
        pass
    events = (await ann.get("/api/v1/events?provider=event")).json()["items"]
    found = {one["type"]: one["data"] for one in events}
    assert found["approval_pending"]["wait_id"] == wait["id"]
    assert found["approval_pending"]["links"] == {}
    assert found["run_paused"]["run_id"] == run_id
