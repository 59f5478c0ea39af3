"""Publishing a version: triggers, keys and due rows swap together, or nothing does."""

import asyncio

import msgspec
import pytest

from workflow_scheduler.core.errors import Conflict, DefinitionInvalid, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import from_iso, to_iso
from workflow_scheduler.services.definitions import Text

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="stranger", user_id="mallory")
JOB = {"a": {"uses": "noop"}}
OPEN = {"scheme": "none"}
SIGNED = {"scheme": "hmac-sha256", "header": "X-S", "secret": "s"}


def definition(name="report", jobs=None, **triggers):
    return {"name": name, "triggers": triggers, "jobs": jobs or JOB}


def cron(expression, **more):
    return {"type": "cron", "cron": expression, **more}


def hook(path, signature=None):
    return {"type": "webhook", "path": path, "signature": signature or OPEN}


def after(workflow):
    return {"type": "workflow", "workflow": workflow}


async def test_deploying_makes_triggers_live(plane):
    status = await plane.deploy(definition(nightly=cron("0 2 * * *"), orders=hook("orders")))
    assert (status["deployment_status"], status["version"]) == ("DEPLOYED", 1)
    triggers = await plane.triggers_of("report")
    assert {name: t["deployment_status"] for name, t in triggers.items()} == {"nightly": "active", "orders": "active"}
    assert triggers["nightly"]["next_fire_at"] == "2027-01-06T02:00:00Z"
    assert await plane.keys() == [("cron", "0 2 * * *"), ("webhook", "orders")]


async def test_every_publication_moves_the_epoch(plane):
    seen = [await plane.epoch()]
    await plane.deploy(definition(orders=hook("orders")))
    seen.append(await plane.epoch())
    trigger = (await plane.triggers_of("report"))["orders"]
    await plane.triggers.set_mode(LOCAL, trigger["id"], "disabled")
    seen.append(await plane.epoch())
    await plane.workflows.pause(LOCAL, "report")
    seen.append(await plane.epoch())
    await plane.workflows.resume(LOCAL, "report")
    seen.append(await plane.epoch())
    await plane.deployments.undeploy(LOCAL, "report")
    seen.append(await plane.epoch())
    assert sorted(set(seen)) == seen


async def test_a_new_version_swaps_triggers_and_keeps_ids(plane):
    await plane.deploy(definition(nightly=cron("0 2 * * *"), orders=hook("orders"), gone=hook("gone")))
    before = await plane.triggers_of("report")
    await plane.deploy(definition(nightly=cron("0 3 * * *"), orders=hook("orders"), new=hook("new")))
    now = await plane.triggers_of("report")
    assert set(now) == {"nightly", "orders", "new"}
    assert now["nightly"]["id"] == before["nightly"]["id"]
    assert now["nightly"]["revision"] == before["nightly"]["revision"] + 1
    assert now["orders"]["revision"] == before["orders"]["revision"]
    assert await plane.keys() == [("cron", "0 3 * * *"), ("webhook", "new"), ("webhook", "orders")]


async def test_an_unchanged_schedule_keeps_its_due_time(plane):
    await plane.deploy(definition(t=cron("0 * * * *", jitter=30), x=cron("5 5 * * *")))
    before = await plane.due()
    await plane.clock.advance(7200)
    await plane.deploy(definition(t=cron("0 * * * *", jitter=30), x=cron("6 6 * * *")))
    now = await plane.due()
    assert (now["t"].fire, now["t"].revision) == (before["t"].fire, before["t"].revision)
    assert now["t"].nominal < plane.clock.now()
    assert to_iso(now["x"].fire) == "2027-01-06T06:06:00Z"
    assert now["x"].revision == before["x"].revision + 1


async def test_editing_a_schedule_never_fires_the_past(plane):
    await plane.deploy(definition(t=cron("0 11 * * *")))
    await plane.clock.advance(3 * 86_400)
    await plane.deploy(definition(t=cron("30 11 * * *")))
    assert (await plane.due())["t"].fire > plane.clock.now()


async def test_a_one_time_schedule_that_has_fired_stays_completed(plane):
    once = {"type": "once", "run_at": "2027-01-06T00:00:00Z"}
    await plane.deploy(definition(t=once))
    await plane.write("UPDATE schedules SET completed = 1, next_fire_at = NULL, next_nominal = NULL")
    await plane.deploy(definition(t=once, jobs={"b": {"uses": "noop"}}))
    assert (await plane.due())["t"].completed
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.deployments.deploy(LOCAL, "report")
    assert (await plane.due())["t"].fire is None
    await plane.deploy(definition(t={**once, "run_at": "2027-01-07T00:00:00Z"}))
    assert to_iso((await plane.due())["t"].fire) == "2027-01-07T00:00:00Z"


async def test_an_edited_one_time_schedule_fires_again_after_an_undeploy(plane):
    once = {"type": "once", "run_at": "2027-01-06T00:00:00Z"}
    await plane.deploy(definition(t=once))
    await plane.write("UPDATE schedules SET completed = 1, next_fire_at = NULL, next_nominal = NULL")
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.workflows.update(LOCAL, "report", definition(t={**once, "run_at": "2027-01-08T00:00:00Z"}))
    await plane.deployments.deploy(LOCAL, "report")
    due = (await plane.due())["t"]
    assert (to_iso(due.fire), due.completed) == ("2027-01-08T00:00:00Z", False)


async def test_what_a_person_switched_stays_until_the_file_says_otherwise(plane):
    await plane.deploy(definition(t=hook("a"), u=hook("b")))
    trigger = (await plane.triggers_of("report"))["t"]
    await plane.triggers.set_mode(LOCAL, trigger["id"], "suspended", "stocktaking")
    await plane.deploy(definition(t=hook("c"), u=hook("b")))
    shown = (await plane.triggers_of("report"))["t"]
    assert (shown["mode"], shown["mode_reason"]) == ("suspended", "stocktaking")
    await plane.deploy(definition(t={**hook("c"), "enabled": False}, u=hook("b")))
    shown = (await plane.triggers_of("report"))["t"]
    assert (shown["mode"], shown["mode_reason"]) == ("disabled", None)
    await plane.deploy(definition(t={**hook("c"), "enabled": True}, u=hook("b")))
    assert (await plane.triggers_of("report"))["t"]["mode"] == "enabled"


async def test_undeploying_takes_everything_out_of_service(plane):
    await plane.deploy(definition(nightly=cron("0 2 * * *"), orders=hook("orders")))
    status = await plane.deployments.undeploy(LOCAL, "report")
    assert (status["deployment_status"], status["live_version"]) == ("UNDEPLOYED", None)
    assert await plane.keys() == []
    assert (await plane.due())["nightly"].fire is None
    assert {t["deployment_status"] for t in (await plane.triggers_of("report")).values()} == {"inactive"}
    with pytest.raises(Conflict, match="not deployed"):
        await plane.deployments.undeploy(LOCAL, "report")


async def test_redeploying_after_a_pause_in_service_does_not_catch_up(plane):
    await plane.deploy(definition(nightly=cron("0 * * * *")))
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.clock.advance(86_400)
    await plane.deployments.deploy(LOCAL, "report")
    assert (await plane.due())["nightly"].fire > plane.clock.now()


async def test_rolling_back_makes_the_earlier_version_live(plane):
    await plane.deploy(definition(t=cron("0 1 * * *")))
    await plane.deploy(definition(t=cron("0 2 * * *")))
    status = await plane.deployments.rollback(LOCAL, "report")
    assert (status["live_version"], status["latest_version"]) == (1, 2)
    assert await plane.keys() == [("cron", "0 1 * * *")]
    status = await plane.deployments.rollback(LOCAL, "report", 2)
    assert status["live_version"] == 2
    with pytest.raises(NotFound, match="no version 9"):
        await plane.deployments.rollback(LOCAL, "report", 9)
    history = (await plane.deployments.history(LOCAL, "report")).items
    assert [(entry["action"], entry["version"], entry["status"]) for entry in history] == [
        ("rollback", 2, "DEPLOYED"), ("rollback", 1, "DEPLOYED"), ("deploy", 2, "DEPLOYED"), ("deploy", 1, "DEPLOYED"),
    ]  # fmt: skip


async def test_rolling_back_needs_an_earlier_deployment(plane):
    await plane.deploy(definition())
    with pytest.raises(Conflict, match="no earlier deployed version"):
        await plane.deployments.rollback(LOCAL, "report")


async def test_the_history_tells_what_changed(plane):
    await plane.deploy(definition(t=cron("0 1 * * *")))
    await plane.deploy(definition(t=cron("0 2 * * *"), jobs={"b": {"uses": "noop"}}))
    changes = (await plane.deployments.history(LOCAL, "report", limit=1)).items[0]["changes"]
    assert changes["triggers"]["changed"][0]["changes"] == [
        {"path": ["cron"], "op": "changed", "before": "0 1 * * *", "after": "0 2 * * *"}
    ]
    assert (changes["jobs"]["added"], changes["jobs"]["removed"]) == (["b"], ["a"])


async def test_the_history_comes_in_pages(plane):
    for hour in range(5):
        await plane.deploy(definition(t=cron(f"0 {hour} * * *")))
    page = await plane.deployments.history(LOCAL, "report", limit=2)
    rest = await plane.deployments.history(LOCAL, "report", limit=9, before=page.next)
    assert [entry["version"] for entry in [*page.items, *rest.items]] == [5, 4, 3, 2, 1]
    assert rest.next is None


async def test_a_wrong_definition_fails_at_the_check_and_leaves_what_is_live(plane):
    await plane.deploy(definition(t=cron("0 1 * * *")))
    with pytest.raises(DefinitionInvalid):
        await plane.deploy(definition(t=cron("0 99 * * *")))
    status = await plane.deployments.status(LOCAL, "report")
    assert (status["deployment_status"], status["live_version"]) == ("DEPLOYMENT_FAILED", 1)
    assert (status["deployment"]["step"], status["deployment"]["status"]) == ("check", "DEPLOYMENT_FAILED")
    assert "triggers.t.cron" in status["error"]
    assert await plane.keys() == [("cron", "0 1 * * *")]
    assert (await plane.deploy(definition(t=cron("0 5 * * *"))))["deployment_status"] == "DEPLOYED"


async def test_a_trigger_whose_secret_is_not_set_is_refused(plane):
    plane.secrets.absent = {"s"}
    with pytest.raises(ValidationFailed, match="the secret `s` of the trigger `t` is not set") as caught:
        await plane.deploy(definition(t=hook("a", SIGNED)))
    assert "secret set s" in caught.value.fix
    assert [one.field for one in caught.value.errors] == ["triggers.t.signature.secret"]
    assert (await plane.deployments.status(LOCAL, "report"))["deployment"]["step"] == "secrets"
    assert await plane.keys() == []


async def test_a_secret_that_is_not_set_is_named_at_every_field_that_names_it(plane):
    plane.secrets.absent = {"s", "slack"}
    said = {"type": "slack", "channels": ["C0123456789"], "secret": "slack"}
    with pytest.raises(ValidationFailed) as caught:
        await plane.deploy(definition(one=hook("s", SIGNED), two=hook("b", SIGNED), said=said))
    assert [(one.field, one.message) for one in caught.value.errors] == [
        ("triggers.one.signature.secret", "the secret `s` is not set"),
        ("triggers.two.signature.secret", "the secret `s` is not set"),
        ("triggers.said.secret", "the secret `slack` is not set"),
    ]


async def test_a_secret_that_nobody_wrote_is_asked_for_where_it_would_stand(plane):
    plane.secrets.absent = {"GITHUB_WEBHOOK_SECRET"}
    push = {"type": "github", "repository": "a/b", "events": {"push": {}}}
    with pytest.raises(ValidationFailed) as caught:
        await plane.deploy(definition(pushes=push))
    assert [one.field for one in caught.value.errors] == ["triggers.pushes.secret"]


async def test_a_path_is_shared_only_on_the_same_terms(plane):
    await plane.deploy(definition("one", t=hook("shared", SIGNED)))
    await plane.deploy(definition("two", t=hook("shared", SIGNED)))
    with pytest.raises(Conflict, match=r"used by the trigger `t` of the workflow `(one|two)` with another signature"):
        await plane.deploy(definition("three", t=hook("shared", OPEN)))
    assert (await plane.deployments.status(LOCAL, "three"))["deployment"]["step"] == "publish"
    with pytest.raises(Conflict, match="the trigger `a` of this workflow"):
        await plane.deploy(definition("four", a=hook("mine", OPEN), b=hook("mine", SIGNED)))


async def test_a_path_of_another_tenant_is_taken(plane):
    await plane.deploy(definition(t=hook("orders")), STRANGER)
    with pytest.raises(Conflict, match="the path `orders` is taken") as caught:
        await plane.deploy(definition("mine", t=hook("/webhook/orders")))
    assert "stranger" not in str(caught.value)
    await plane.deployments.undeploy(STRANGER, "report")
    assert (await plane.deployments.deploy(LOCAL, "mine"))["deployment_status"] == "DEPLOYED"


async def test_workflows_cannot_start_each_other_in_a_circle(plane):
    await plane.deploy(definition("b", t=after("a")))
    await plane.deploy(definition("c", t=after("b")))
    with pytest.raises(Conflict, match="in a circle: a → b → c → a"):
        await plane.deploy(definition("a", t=after("c")))
    with pytest.raises(Conflict, match="in a circle: d → d"):
        await plane.deploy(definition("d", t=after("d")))


async def test_two_that_close_a_circle_at_the_same_time_do_not_both_succeed(plane):
    await plane.workflows.create(LOCAL, definition("a", t=after("b")))
    await plane.workflows.create(LOCAL, definition("b", t=after("a")))
    found = await asyncio.gather(
        plane.deployments.deploy(LOCAL, "a"), plane.deployments.deploy(LOCAL, "b"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in found) == ["Conflict", "dict"]


async def test_only_one_deployment_of_a_workflow_at_a_time(plane):
    await plane.workflows.create(LOCAL, definition(t=cron("0 1 * * *")))
    await plane.write("UPDATE workflows SET deployment_status = 'DEPLOYING'")
    record = await plane.workflows.get(LOCAL, "report")
    await plane.write(
        "INSERT INTO deployments (tenant_id, id, workflow_id, version, action, status, started_at) "
        "VALUES ('local', '00000', :workflow, 1, 'deploy', 'DEPLOYING', :now)",
        workflow=record["id"], now=plane.clock.now(),
    )  # fmt: skip
    with pytest.raises(Conflict, match="under way"):
        await plane.deployments.deploy(LOCAL, "report")
    assert await plane.deployments.recover() == 0
    await plane.clock.advance(61)
    assert (await plane.deployments.deploy(LOCAL, "report"))["deployment_status"] == "DEPLOYED"
    interrupted = (await plane.deployments.history(LOCAL, "report")).items[-1]
    assert (interrupted["status"], interrupted["error"][:11]) == ("DEPLOYMENT_FAILED", "interrupted")


async def test_a_deployment_left_open_is_closed_at_the_next_start(plane):
    await plane.workflows.create(LOCAL, definition())
    record = await plane.workflows.get(LOCAL, "report")
    await plane.write("UPDATE workflows SET deployment_status = 'DEPLOYING'")
    await plane.write(
        "INSERT INTO deployments (tenant_id, id, workflow_id, version, action, status, started_at) "
        "VALUES ('local', '00000', :workflow, 1, 'deploy', 'DEPLOYING', :now)",
        workflow=record["id"], now=plane.clock.now(),
    )  # fmt: skip
    assert await plane.deployments.recover() == 0
    assert await plane.deployments.recover(alone=True) == 1
    assert (await plane.workflows.get(LOCAL, "report"))["deployment_status"] == "DEPLOYMENT_FAILED"


async def test_a_workflow_may_be_created_by_its_deployment(plane):
    own_id = "7b1c1a3e-9a52-4a3e-8f6b-0f0f0f0f0f0f"
    status = await plane.deployments.deploy(LOCAL, own_id, Text("name: by-id\njobs: {a: {uses: noop}}"))
    assert (status["workflow_id"], status["workflow"]) == (own_id, "by-id")
    with pytest.raises(NotFound, match="no workflow `other`"):
        await plane.deployments.deploy(LOCAL, "other", definition("name-in-file"))
    with pytest.raises(NotFound):
        await plane.deployments.deploy(LOCAL, "never-seen")


async def test_a_plan_shows_what_would_change_and_writes_nothing(plane):
    await plane.deploy(definition(t=cron("0 1 * * *"), gone=hook("gone")))
    before = await plane.everything()
    plane.secrets.absent = {"s"}
    plan = await plane.deployments.plan(
        LOCAL, {**definition(t=cron("0 2 * * *"), new=hook("new", SIGNED)), "fail_fast": True}
    )
    assert plan["action"] == "update"
    assert [entry["name"] for entry in plan["triggers"]["added"]] == ["new"]
    assert [entry["name"] for entry in plan["triggers"]["removed"]] == ["gone"]
    changed = plan["triggers"]["changed"][0]
    assert changed["next_fires_before"][0]["utc"] == "2027-01-06T01:00:00Z"
    assert changed["next_fires"][0] == {"utc": "2027-01-06T02:00:00Z", "local": "2027-01-06T02:00:00", "note": None}
    assert plan["settings"] == [{"path": ["fail_fast"], "op": "added", "after": True}]
    assert plan["problems"][0]["message"] == "the secret `s` of the trigger `new` is not set"
    assert await plane.everything() == before
    assert (await plane.deployments.plan(LOCAL, definition(t=cron("0 1 * * *"), gone=hook("gone"))))["action"] == "none"
    assert (await plane.deployments.plan(LOCAL, definition("unheard-of")))["action"] == "create"


async def test_a_hundred_triggers_are_published_together(plane):
    many = {f"t{i}": hook(f"path/{i}") for i in range(150)}
    await plane.deploy(definition(**many))
    assert len(await plane.keys()) == 150


async def test_other_tenants_see_nothing(plane):
    await plane.deploy(definition(t=cron("0 1 * * *")))
    workflow_id = (await plane.workflows.get(LOCAL, "report"))["id"]
    for reference in ("report", workflow_id):
        for call in (plane.deployments.status, plane.deployments.undeploy, plane.deployments.history,
                     plane.deployments.rollback, plane.deployments.deploy):  # fmt: skip
            with pytest.raises(NotFound):
                await call(STRANGER, reference)


async def test_the_stored_triggers_are_what_the_pipeline_reads(plane):
    await plane.deploy(definition(t={**hook("orders"), "condition": "event.data.x > 1", "input": {"a": 1}}))
    trigger = (await plane.matcher.cache._catalog.by_key("local", "webhook", "orders", 10))[0]
    assert (trigger.condition, trigger.input, trigger.config["path"]) == ("event.data.x > 1", {"a": 1}, "orders")
    due = from_iso("2027-01-06T02:00:00Z")
    await plane.deploy(definition("timed", t=cron("0 2 * * *")))
    rows = await plane.matcher.cache._catalog.due(due, 10)
    assert [row.trigger.name for row in rows] == ["t"]
    assert msgspec.json.encode(rows[0].trigger.config) == b'{"cron":"0 2 * * *","timezone":"UTC"}'


async def test_a_trigger_on_a_workflow_that_does_not_exist_is_warned_of(plane):
    waiting = definition("waiting", t=after("upstraem"), own=cron("0 2 * * *"))
    sentence = "t: there is no workflow `upstraem` yet, so its end cannot be heard"
    assert (await plane.deploy(waiting))["warnings"] == [sentence]
    assert (await plane.deployments.plan(LOCAL, waiting))["warnings"] == [sentence]
    assert (await plane.workflows.validate(LOCAL, waiting))["warnings"] == [sentence]
    await plane.deploy(definition("upstraem"))
    assert "yet" not in str((await plane.deploy(waiting))["warnings"])


async def test_triggers_of_a_failed_deployment_say_so_until_the_next_one(plane):
    plane.secrets.absent.add("s")
    with pytest.raises(ValidationFailed):
        await plane.deploy(definition(orders=hook("orders", SIGNED)))
    failed = (await plane.triggers_of("report"))["orders"]
    assert (failed["deployment_status"], failed["error"]) == (
        "failed",
        "the secret `s` of the trigger `orders` is not set",
    )
    await plane.workflows.update(LOCAL, "report", definition(other=hook("other", SIGNED)))
    shown = await plane.triggers_of("report")
    assert {name: (t["deployment_status"], t["error"]) for name, t in shown.items()} == {"other": ("pending", None)}
    plane.secrets.absent.clear()
    await plane.deploy(definition(orders=hook("orders", SIGNED)))
    live = (await plane.triggers_of("report"))["orders"]
    assert (live["deployment_status"], live["error"]) == ("active", None)


async def test_a_failed_deployment_leaves_live_triggers_active(plane):
    await plane.deploy(definition(orders=hook("orders")))
    plane.secrets.absent.add("s")
    with pytest.raises(ValidationFailed):
        await plane.deploy(definition(orders=hook("orders"), more=hook("more", SIGNED)))
    shown = await plane.triggers_of("report")
    assert {name: t["deployment_status"] for name, t in shown.items()} == {"orders": "active", "more": "failed"}
