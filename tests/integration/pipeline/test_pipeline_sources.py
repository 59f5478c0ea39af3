"""Requests and manual starts: checked against their triggers first, then stored, then answered."""

import asyncio

import msgspec
import pytest

from workflow_scheduler.core.errors import (
    BadRequest,
    Conflict,
    MethodNotAllowed,
    NotFound,
    SignatureInvalid,
    ValidationFailed,
)
from workflow_scheduler.core.inbound import scheme
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.triggers import github, webhook

OPEN = {"type": "webhook", "path": "orders", "signature": "none"}
SIGNED = {
    "type": "webhook", "path": "orders",
    "signature": {"scheme": "hmac-sha256", "header": "X-Sig", "secret": "key", "timestamp_header": "X-Time"},
}  # fmt: skip
STRANGER = Principal(tenant_id="other", user_id="eve")
PUSH = {"type": "github", "repository": "acme/shop", "secret": "gh", "events": {"push": {}}}
BODY = msgspec.json.encode(
    {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop", "owner": {"login": "acme"}}, "commits": []}
)


async def post(instance, route="orders", body=b"{}", method="POST", **headers):
    return await instance.push.receive("webhook", route, instance.post(f"/x/{route}", body, method, **headers))


async def signed(instance, **more):
    rule = webhook.Config.model_validate({key: value for key, value in SIGNED.items() if key != "type"}).signature
    headers = scheme.sign(rule, instance.post("/x/orders"), "k3y")
    return {**{name.replace("-", "_"): value for name, value in headers.items()}, **more}


async def delivery(instance, secret, key="d-1"):
    request = instance.post("/", BODY, x_github_event="push", x_github_delivery=key)
    headers = github.sign(None, request, secret)
    request = instance.post(
        "/", BODY, x_github_event="push", x_github_delivery=key,
        **{name.replace("-", "_"): value for name, value in headers.items()},
    )  # fmt: skip
    return await instance.push.receive("github", "", request)


async def test_a_request_starts_its_workflow(one):
    await one.deploy("orders", {"in": OPEN})
    (receipt,) = await post(one, body=b'{"a":1}')
    assert len(receipt.run_ids) == 1
    assert await one.all("SELECT input FROM runs") == [(b'{"a":1}',)]


async def test_it_is_found_by_path_trigger_and_workflow(one):
    await one.deploy("orders", {"in": OPEN})
    ((trigger, workflow),) = await one.all("SELECT id, workflow_id FROM trigger_index")
    for route in ("orders", trigger, workflow):
        ((receipt),) = await post(one, route)
        assert len(receipt.run_ids) == 1


async def test_several_triggers_of_one_path_each_start_their_run(one):
    await one.deploy("orders", {"in": OPEN})
    await one.deploy("audit", {"in": OPEN})
    (receipt,) = await post(one)
    assert len(receipt.run_ids) == 2
    assert await one.count("events") == 1


@pytest.mark.parametrize("route", ["nothing", "id:x", "secret:local/key", "wf:x", "or\x00ders", "order", "orders/x"])
async def test_what_is_no_address_is_not_found(one, route):
    await one.deploy("orders", {"in": OPEN})
    with pytest.raises(NotFound):
        await post(one, route)


async def test_a_wrong_method_names_the_right_ones(one):
    await one.deploy("orders", {"in": {**OPEN, "methods": ["PUT"]}})
    with pytest.raises(MethodNotAllowed) as caught:
        await post(one)
    assert caught.value.allow == ("PUT",)
    assert len(await post(one, method="PUT")) == 1


async def test_a_wrong_signature_stores_nothing(one):
    one.secrets.values["local", "key"] = "k3y"
    await one.deploy("orders", {"in": SIGNED})
    headers = await signed(one)
    for wrong in ({}, {**headers, "x_sig": "00"}, {**headers, "x_time": "1"}):
        with pytest.raises(SignatureInvalid):
            await post(one, **wrong)
    assert await one.count("events") == 0
    assert len((await post(one, **headers))[0].run_ids) == 1


async def test_a_secret_that_is_gone_closes_the_door(one):
    one.secrets.values["local", "key"] = "k3y"
    await one.deploy("orders", {"in": SIGNED})
    headers = await signed(one)
    one.secrets.values.clear()
    with pytest.raises(SignatureInvalid):
        await post(one, **headers)


async def test_a_signed_request_that_is_sent_again_is_a_duplicate(one, two):
    one.secrets.values["local", "key"] = two.secrets.values["local", "key"] = "k3y"
    await one.deploy("orders", {"in": SIGNED})
    await two.cache.refresh()
    headers = await signed(one)
    first, again = await asyncio.gather(post(one, **headers), post(two, **headers))
    assert sorted(receipt.duplicate for receipt in (*first, *again)) == [False, True]
    await one.clock.advance(1)
    assert not (await post(one, **await signed(one)))[0].duplicate
    assert await one.count("runs") == 2


async def test_the_senders_id_goes_before_the_expression(one):
    await one.deploy("orders", {"in": {**OPEN, "event_key": "body.id"}})
    await post(one, body=b'{"id":"a"}')
    assert (await post(one, body=b'{"id":"a","again":true}'))[0].duplicate
    assert not (await post(one, body=b'{"id":"a"}', webhook_id="m1"))[0].duplicate
    assert (await post(one, body=b'{"id":"b"}', webhook_id="m1"))[0].duplicate


async def test_a_redeploy_moves_the_address_at_once(one):
    await one.deploy("orders", {"in": OPEN})
    await post(one)
    await one.deploy("orders", {"in": {**OPEN, "path": "bills"}})
    with pytest.raises(NotFound):
        await post(one)
    assert len((await post(one, "bills"))[0].run_ids) == 1
    await one.deployments.undeploy(LOCAL, "orders")
    await one.hear()
    with pytest.raises(NotFound):
        await post(one, "bills")


async def test_a_deploy_elsewhere_is_heard(one, two):
    with pytest.raises(NotFound):
        await post(two)
    await one.deploy("orders", {"in": OPEN})
    await two.until(lambda: two.cache.epoch == one.cache.epoch)
    assert len((await post(two))[0].run_ids) == 1


async def test_a_body_that_cannot_be_read_is_refused(one):
    await one.deploy("orders", {"in": OPEN})
    with pytest.raises(BadRequest):
        await post(one, body=b'{"a":')
    assert await one.count("events") == 0


async def test_an_id_too_long_for_an_index_still_counts_once(one):
    await one.deploy("orders", {"in": OPEN})
    await post(one, webhook_id="x" * 5000)
    assert (await post(one, webhook_id="x" * 5000))[0].duplicate


async def test_github_deliveries_reach_every_tenant_whose_secret_fits(one):
    one.secrets.values.update({("local", "gh"): "same", ("other", "gh"): "same", ("third", "gh"): "different"})
    for tenant in ("local", "other", "third"):
        await one.deploy("build", {"push": PUSH}, principal=Principal(tenant_id=tenant, user_id="u"))
    receipts = await delivery(one, "same")
    assert len(receipts) == 2
    assert sorted(row[0] for row in await one.all("SELECT tenant_id FROM runs")) == ["local", "other"]
    again = await delivery(one, "same")
    assert [receipt.duplicate for receipt in again] == [True, True]
    with pytest.raises(SignatureInvalid):
        await delivery(one, "wrong")


async def test_a_type_that_takes_no_requests_has_no_address(one):
    for provider in ("cron", "nonsense"):
        with pytest.raises(NotFound):
            await one.push.receive(provider, "x", one.post("/"))


# Manual starts


async def test_a_start_by_hand(one):
    await one.deploy("orders", {"in": OPEN})
    receipt = await one.manual.start(LOCAL, "orders", input={"a": 1})
    assert await one.all("SELECT input, trigger_type, user_id FROM runs") == [(b'{"a":1}', "manual", "local")]
    await one.until(lambda: one.engine.started == receipt.run_ids)
    facts = msgspec.json.decode((await one.all("SELECT data FROM events"))[0][0])
    assert facts["input"] == {"a": 1}
    assert facts["user_id"] == "local"


async def test_without_a_key_each_start_is_new(one):
    await one.deploy("orders", {"in": OPEN})
    for _ in range(2):
        assert not (await one.manual.start(LOCAL, "orders")).duplicate
    assert await one.count("runs") == 2


async def test_the_same_key_gives_the_first_run_and_another_body_is_refused(one, two):
    await one.deploy("orders", {"in": OPEN})
    await two.cache.refresh()
    first, again = await asyncio.gather(
        *(each.manual.start(LOCAL, "orders", input={"a": 1}, idempotency_key="k") for each in (one, two))
    )
    assert first.run_ids == again.run_ids
    assert {first.duplicate, again.duplicate} == {True, False}
    with pytest.raises(ValidationFailed):
        await one.manual.start(LOCAL, "orders", input={"a": 2}, idempotency_key="k")
    assert await one.count("runs") == 1


@pytest.mark.parametrize("key", ["a\x00b", "k" * 3000, "\ud800"])
async def test_a_key_that_cannot_be_kept_is_refused(one, key):
    await one.deploy("orders", {"in": OPEN})
    with pytest.raises(BadRequest):
        await one.manual.start(LOCAL, "orders", idempotency_key=key)


async def test_a_confirmation_that_is_wanted(one):
    await one.deploy("orders", {"go": {"type": "manual", "require_confirmation": True}})
    with pytest.raises(Conflict):
        await one.manual.start(LOCAL, "orders")
    assert len((await one.manual.start(LOCAL, "orders", confirm=True)).run_ids) == 1


async def test_a_disabled_trigger_and_an_undeployed_workflow_refuse(one):
    await one.deploy("orders", {"go": {"type": "manual"}})
    await one.write("UPDATE trigger_index SET mode = 'disabled'")
    with pytest.raises(Conflict):
        await one.manual.start(LOCAL, "orders")
    await one.deployments.undeploy(LOCAL, "orders")
    with pytest.raises(Conflict):
        await one.manual.start(LOCAL, "orders")


async def test_what_belongs_to_others_does_not_exist(one):
    await one.deploy("orders", {"go": {"type": "manual"}})
    for name, trigger in (("orders", None), ("nothing", None)):
        with pytest.raises(NotFound):
            await one.manual.start(STRANGER, name, trigger=trigger)
    with pytest.raises(NotFound):
        await one.manual.start(LOCAL, "orders", trigger="other")


async def test_a_token_is_handed_on_sealed_and_kept_with_the_run_only(one):
    await one.deploy("orders", {"go": {"type": "manual"}})
    caller = Principal(tenant_id="local", user_id="ann", bearer="t0ken")
    receipt = await one.manual.start(caller, "orders")
    ((sealed,),) = await one.all("SELECT bearer FROM runs")
    assert sealed == b"sealed:" + receipt.event_id.encode() + b":" + b"nek0t"
    rows = await one.all("SELECT data, attributes FROM events")
    assert b"t0ken" not in b"".join(value for row in rows for value in row)


async def test_a_paused_workflow_can_still_be_started_by_hand(one):
    await one.deploy("orders", {"go": {"type": "manual"}})
    await one.write("UPDATE workflows SET paused = 1")
    assert len((await one.manual.start(LOCAL, "orders")).run_ids) == 1


async def test_a_deploy_in_between_starts_the_new_version(one):
    await one.deploy("orders", {"go": {"type": "manual"}})
    submit, held = one.inbox.submit, []

    def redeploy_first(entry):
        if entry.prepared and not held:
            held.append(asyncio.ensure_future(one.deploy("orders", {"go": {"type": "manual"}, "in": OPEN})))
            held[0].add_done_callback(lambda _: submit(entry))
        else:
            submit(entry)

    one.inbox.submit = redeploy_first
    await one.manual.start(LOCAL, "orders")
    assert await one.all("SELECT version FROM runs") == [(2,)]
