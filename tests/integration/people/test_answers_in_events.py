"""Events that answer paused runs, on the whole program: which one, who may, what is told, and what is never resumed."""

from steps import deploy, ended, execute, started, tell

from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.stores.portable import waits

THREAD = {"team": "T1", "channel": "C1", "thread_ts": "1700.1"}
IN_THREAD = {"ask": "Publish?", "to": ["slack:U1"], "slack": THREAD}


def said(text, user="U1", **more):
    return {"slack": {**THREAD, "user": user, "text": text, **more}}


def waits_in(decision):
    return {line["expected"]["wait"]: line for line in decision["predicates"] if line["name"] == "wait"}


async def test_a_reply_in_the_thread_resumes_the_run_and_says_why(house, ann):
    await deploy(ann, config=IN_THREAD)
    run_id, wait = await started(ann)
    (decision,) = await tell(ann, said("approve, looks good"))
    assert (decision["outcome"], decision["reason"], decision["run_id"]) == ("run_resumed", "wait_answered", run_id)
    line = waits_in(decision)[wait["id"]]
    assert (line["actual"], line["verdict"], line["note"]) == ("L2", True, "same conversation")
    output = (await ended(ann, run_id))[1]["approve"]["output"]
    assert (output["approved"], output["by"], output["comment"]) == (True, "slack:U1", "looks good")


async def test_the_same_event_twice_and_a_second_answer_resume_nothing(house, ann):
    await deploy(ann, config=IN_THREAD)
    run_id, _ = await started(ann)
    (first,) = await tell(ann, said("approve"), id="once")
    (again,) = await tell(ann, said("approve"), id="once")
    assert (again["event_id"], again["predicates"]) == (first["event_id"], first["predicates"])
    (late,) = await tell(ann, said("reject"), id="after")
    assert (late["outcome"], late["reason"]) == ("skipped", "late_response")
    assert (await ended(ann, run_id))[1]["approve"]["output"]["approved"] is True


async def test_a_bystander_and_another_thread_are_left_out_for_reasons(house, ann):
    await deploy(ann, config=IN_THREAD, triggers={"t": {"type": "event", "event": "note"}})
    run_id, wait = await started(ann)
    (bystander,) = await tell(ann, said("approve", user="U9"))
    assert bystander["outcome"] == "run_started"
    assert waits_in(bystander)[wait["id"]]["note"] == "whoever answers is not one of its responders"
    (elsewhere,) = await tell(ann, said("approve", thread_ts="1800.2"))
    assert elsewhere["outcome"] == "run_started"
    assert waits_in(elsewhere)[wait["id"]]["note"] == "the event belongs to another conversation"
    assert (await ann.get(f"/api/v1/runs/{run_id}")).json()["status"] == "PAUSED"


async def test_an_event_that_answers_starts_no_run_of_that_workflow_but_of_others(house, ann):
    await deploy(ann, config={"ask": "Go?"}, triggers={"t": {"type": "event", "event": "note"}})
    spec = {"name": "other", "triggers": {"t": {"type": "event", "event": "note"}}, "jobs": {"a": {"uses": "noop"}}}
    await ann.post("/api/v1/deployment/workflows/other/deploy", json={"workflow_spec": spec})
    run_id, _ = await started(ann)
    decisions = {one["workflow"]: one for one in await tell(ann, {"approved": True})}
    assert (decisions["report"]["outcome"], decisions["report"]["run_id"]) == ("run_resumed", run_id)
    assert decisions["other"]["outcome"] == "run_started"
    assert len((await ann.get("/api/v1/runs?workflow=report")).json()["items"]) == 1


async def test_what_holds_no_answer_starts_a_run_although_one_is_paused(house, ann):
    await deploy(ann, config={"ask": "Go?"}, triggers={"t": {"type": "event", "event": "note"}})
    await started(ann)
    (decision,) = await tell(ann, {"amount": 5})
    assert decision["outcome"] == "run_started"


async def test_correlation_tells_two_paused_runs_apart_and_nobody_guesses_without_it(house, ann):
    config = {"ask": "Ship?", "correlation": "${input.order}", "correlate_by": "event.data.order"}
    await deploy(ann, config=config, triggers={"t": {"type": "event", "event": "note"}})
    first, one = await started(ann, value={"order": 17})
    _, two = await started(ann, value={"order": 18})
    (decision,) = await tell(ann, {"order": "17", "approved": True})
    assert (decision["run_id"], waits_in(decision)[one["id"]]["actual"]) == (first, "L3")
    assert waits_in(decision)[two["id"]]["verdict"] is False
    assert (await ended(ann, first))[0]["status"] == "SUCCEEDED"


async def test_an_event_between_two_waits_is_held(house, ann):
    place = {"ask": "Go?", "slack": {"team": "T1", "channel": "C1"}}
    await deploy(ann, config=place, triggers={"t": {"type": "event", "event": "note"}})
    await started(ann)
    await started(ann)
    (decision,) = await tell(ann, {"slack": {"team": "T1", "channel": "C1", "user": "U1", "text": "yes"}})
    assert (decision["outcome"], decision["reason"], decision["run_id"]) == ("held", "ambiguous_wait", None)


async def test_an_answer_that_came_before_its_wait_is_found(house, ann):
    await deploy(ann, config=IN_THREAD)
    await tell(ann, said("reject, too early"))
    run_id = await execute(ann)
    run, jobs = await ended(ann, run_id)
    assert (run["status"], jobs["approve"]["output"]["approved"]) == ("SUCCEEDED", False)
    await started(ann)  # the event has answered one run, and answers no other


async def test_other_workflows_resume_only_where_the_trigger_says_so(house, ann):
    for name, resume in (("silent", False), ("keen", True)):
        trigger = {"type": "workflow", "any": [{"workflow": "up"}], "resume": resume}
        question = {"ask": "Go?", "decision": False, "form": {}}
        await deploy(
            ann, name, config=question, triggers={"t": trigger}, publish={"needs": ["approve"], "uses": "noop"}
        )
    spec = {"name": "up", "triggers": {"m": {"type": "manual"}}, "jobs": {"a": {"uses": "noop"}}}
    await ann.post("/api/v1/deployment/workflows/up/deploy", json={"workflow_spec": spec})
    await started(ann, "silent")
    await ended(ann, await execute(ann, "up"))
    assert len((await ann.get("/api/v1/runs?workflow=silent")).json()["items"]) == 2


async def test_a_webhook_without_a_signature_cannot_say_who_answers(house, ann):
    hook = {"type": "webhook", "path": "cb", "signature": "none"}
    config = {"ask": "Go?", "to": ["ann"], "webhook": {"token": "tok"}}
    await deploy(ann, config=config, triggers={"h": hook})
    _, wait = await started(ann)
    heard = await house.nobody.post(
        "/api/v1/public/webhook/cb?wait=decision",
        json={"reply_token": "tok", "approved": True, "slack": {"user": "ann"}},
    )
    (decision,) = heard.json()["decisions"]
    assert decision["outcome"] == "run_started"
    link = await ann.post(f"/api/v1/waits/{wait['id']}/links", json={"responder": "ann"})
    token = link.json()["url"].rpartition("/")[2]
    proven = await house.nobody.post(
        "/api/v1/public/webhook/cb?wait=decision", json={"wait_token": token, "approved": True}
    )
    (decision,) = proven.json()["decisions"]
    assert decision["outcome"] == "run_resumed"


async def test_events_of_another_tenant_answer_nothing(house, ann):
    await deploy(ann, config=IN_THREAD)
    run_id, _ = await started(ann)
    eve = house.client("eve", "other")
    assert await tell(eve, said("approve")) == []
    assert (await ann.get(f"/api/v1/runs/{run_id}")).json()["status"] == "PAUSED"


async def test_early_answers_are_forgotten(house, ann):
    await deploy(ann, config=IN_THREAD)
    await tell(ann, said("approve"))
    store = house.application.store
    assert (await store.read("SELECT count(*) FROM early_answers WHERE tenant_id = :tenant", {"tenant": "acme"}))[0][0]
    now = house.application.clock.now()
    await store.transact(waits.forget_early(now + SECOND_US))
    rows = await store.read("SELECT count(*) FROM early_answers WHERE tenant_id = :tenant", {"tenant": "acme"})
    assert rows[0][0] == 0
