"""Signed links, and what time does to waits: reminders, escalation, expiry, once, whoever does it."""

import asyncio
from urllib.parse import urlencode

import pytest
from steps import ASK, deploy, ended, started

FORM_TYPE = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
PAGE = {"accept": "text/html"}
FORM = {
    "type": "object",
    "required": ["copies"],
    "properties": {"copies": {"type": "integer", "minimum": 1}, "<b>": {"type": "boolean"}},
}


async def link_of(client, wait, responder="ann"):
    made = await client.post(f"/api/v1/waits/{wait['id']}/links", json={"responder": responder})
    assert made.status == 201, made.text
    return "/answer/" + made.json()["url"].rpartition("/")[2]


async def test_looking_at_a_link_decides_nothing_and_sending_the_form_does_once(house, ann):
    await deploy(ann, config={**ASK, "form": FORM})
    run_id, wait = await started(ann)
    path = await link_of(ann, wait)
    for _ in range(3):
        page = await house.nobody.get(path, headers=PAGE)
        assert (page.status, "Publish?" in page.text, "<script" in page.text) == (200, True, False)
    assert "&lt;b&gt;" in page.text
    assert (await ann.get(f"/api/v1/waits/{wait['id']}")).json()["answers"] == []
    wrong = await house.nobody.post(path, body=urlencode({"decision": "approve", "answer.copies": "0"}).encode(),
                                    headers=FORM_TYPE)  # fmt: skip
    assert (wrong.status, "less than the minimum" in wrong.text) == (422, True)
    sent = urlencode({"decision": "approve", "answer.copies": "2", "comment": "fine"}).encode()
    assert (await house.nobody.post(path, body=sent, headers=FORM_TYPE)).status == 200
    again = await house.nobody.post(path, body=sent, headers=FORM_TYPE)
    assert (again.status, "Nothing was changed" in again.text) == (409, True)
    output = (await ended(ann, run_id))[1]["approve"]["output"]
    assert (output["answer"], output["by"], output["comment"]) == ({"copies": 2, "<b>": False}, "ann", "fine")
    assert output["answers"][0]["via"] == "link"


async def test_a_link_that_was_touched_opens_nothing(house, ann):
    await deploy(ann)
    _, wait = await started(ann)
    path = await link_of(ann, wait)
    other = await link_of(ann, (await started(ann))[1])
    body, _, signature = path.partition(".")
    touched = [
        f"{body[:-1]}{'A' if body[-1] != 'A' else 'B'}.{signature}",
        f"{body}.{signature[:-2]}{'AA' if signature[-2:] != 'AA' else 'BB'}",
        f"{body}.{other.partition('.')[2]}", f"{body}.", body, f"{path}A", "/answer/x.y",
    ]  # fmt: skip
    for bad in touched:
        assert (await house.nobody.get(bad)).status == 404, bad
        assert (await house.nobody.post(bad, json={"approved": True})).status == 404, bad
    assert (await ann.get(f"/api/v1/waits/{wait['id']}")).json()["answers"] == []


async def test_links_are_made_by_editors_for_those_who_may_answer(house, ann):
    await deploy(ann)
    _, wait = await started(ann)
    path = f"/api/v1/waits/{wait['id']}/links"
    assert (await house.client("bob", role="viewer").post(path, json={"responder": "ann"})).status == 403
    refused = await ann.post(path, json={"responder": "mallory"})
    assert [line["field"] for line in refused.json()["errors"]] == ["responder"]


async def act(house, after):
    """Do what is due `after` so many seconds, twice and at once, as two instances may."""
    asking = house.application.asking
    now = house.application.clock.now() + round(after * 1_000_000)
    await asyncio.gather(asking.act(now), asking.act(now))


async def pending(house, ann):
    while await house.application.internal.accept_some():
        pass
    items = (await ann.get("/api/v1/events?provider=event")).json()["items"]
    return [one["data"] for one in reversed(items) if one["type"] == "approval_pending"]


async def test_reminders_and_the_escalation_are_told_once_each(house, ann):
    config = {**ASK, "reminders": ["1h", "4h"], "escalate": {"after": "2h", "to": ["boss"]}, "links": True}
    await deploy(ann, config=config)
    _, wait = await started(ann)
    await act(house, 3_601)
    await act(house, 7_201)
    await act(house, 14_401)
    told = await pending(house, ann)
    assert [(one["reminder"], one["escalated"]) for one in told] == [(0, False), (1, False), (1, True), (2, True)]
    assert set(told[0]["links"]) == {"ann"}
    assert set(told[-1]["links"]) == {"ann", "boss"}
    shown = (await ann.get(f"/api/v1/waits/{wait['id']}")).json()
    assert shown["to"] == ["ann", "group:finance", "boss"]
    assert (await house.client("boss").post(f"/api/v1/waits/{wait['id']}", json={"approved": True})).status == 200


@pytest.mark.parametrize(
    ("policy", "status", "approved"),
    [
        ("reject", "SUCCEEDED", False),
        ("approve", "SUCCEEDED", True),
        ("continue", "SUCCEEDED", None),
        ("fail", "FAILED", ...),
    ],
)
async def test_when_nobody_answers_in_time_on_timeout_decides(house, ann, policy, status, approved):
    await deploy(ann, config={**ASK, "on_timeout": policy}, publish={"needs": ["approve"], "uses": "noop"})
    run_id, wait = await started(ann)
    await act(house, 86_400)
    run, jobs = await ended(ann, run_id)
    assert run["status"] == status
    assert (await ann.get(f"/api/v1/waits/{wait['id']}")).json()["status"] == "EXPIRED"
    if approved is ...:
        assert jobs["approve"]["error"]["code"] == "expired"
    else:
        assert (jobs["approve"]["output"]["approved"], jobs["approve"]["output"]["timed_out"]) == (approved, True)
    late = await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
    assert (late.status, late.json()["code"]) == (409, "late_response")


async def test_two_instances_take_one_answer_each_and_only_one_of_two_opposite_ones(open_house, database):
    if database.startswith("sqlite"):
        return
    first, second = await open_house(), await open_house()
    ann, bob = first.client("ann"), second.client("bob")
    await deploy(ann, config={"ask": "Go?"})
    for _ in range(5):
        run_id, wait = await started(ann)
        path = f"/api/v1/waits/{wait['id']}"
        answers = await asyncio.gather(
            ann.post(path, json={"approved": True}), bob.post(path, json={"approved": False}), return_exceptions=True
        )
        assert sorted(one.status for one in answers) == [200, 409]
        output = (await ended(ann, run_id))[1]["approve"]["output"]
        assert len(output["answers"]) == 1
