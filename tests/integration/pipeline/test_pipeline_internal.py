"""Internal events: told by the outbox in the transaction of their change, heard by `event` triggers once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS, SystemEvent
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable import outbox
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import FakeClock

HEARS = {
    "version": 1,
    "name": "hears",
    "triggers": {"all": {"type": "event", "event": ["user_created", "api_key_created", "workflow_deployed"]}},
    "jobs": {"one": {"uses": "noop"}},
}


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    return {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("postgres_url")}


@pytest.fixture
async def application(database, tmp_path):
    # Without the role `sources`: the test decides when the outbox is looked into.
    app = Application(Settings(_env_file=None, data=tmp_path, roles="api,ingest,dispatch,timer,engine", **database))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
async def client(application):
    made = AsgiClient(application.asgi())
    await made.post("/api/v1/workflows", json=HEARS)
    assert (await made.post("/api/v1/deployment/workflows/hears/deploy")).status == 200
    return made


async def heard(application, client):
    while await application.internal.accept_some():
        pass
    events = (await client.get("/api/v1/events")).json()["items"]
    return {one["type"]: one["data"] for one in events if one["type"] in SYSTEM_EVENTS}


async def test_a_new_member_starts_the_workflow_that_greets(application, client):
    await client.post("/api/v1/members", json={"user_id": "ada", "email": "ada@example.org", "name": "Ada"})
    assert (await heard(application, client))["user_created"] == {
        "user_id": "ada", "name": "Ada", "email": "ada@example.org", "role": "editor", "actor": "local",
    }  # fmt: skip
    runs = (await client.get("/api/v1/runs?workflow=hears")).json()["items"]
    assert [run["trigger_type"] for run in runs][:1] == ["event"]


async def test_a_deployment_is_told_with_version_and_actor(application, client):
    data = (await heard(application, client))["workflow_deployed"]
    assert set(data) == set(SYSTEM_EVENTS["workflow_deployed"])
    assert (data["workflow_name"], data["workflow_version"], data["action"]) == ("hears", 1, "deploy")


async def test_a_new_key_is_told_without_the_key(application, client):
    made = (await client.post("/api/v1/keys", json={"name": "ci", "role": "viewer"})).json()
    data = (await heard(application, AsgiClient(application.asgi(), {"x-api-key": made["key"]})))["api_key_created"]
    assert set(data) == set(SYSTEM_EVENTS["api_key_created"])
    assert made["key"] not in msgspec.json.encode(data).decode()


async def test_a_fact_that_is_accepted_twice_is_one_event(application, client, monkeypatch):
    async def lost(_work):
        message = "the connection is gone"
        raise StoreUnavailable(message)

    await heard(application, client)
    await client.post("/api/v1/members", json={"user_id": "bob"})
    monkeypatch.setattr(application.store, "transact", lost)  # the removal fails: as after a crash, the fact stays
    with pytest.raises(StoreUnavailable):
        await application.internal.accept_some()
    monkeypatch.undo()
    await heard(application, client)
    events = (await client.get("/api/v1/events?type=user_created")).json()["items"]
    assert len(events) == 1
    assert await outbox.waiting(application.store, 10) == []


async def test_a_fact_that_cannot_become_an_event_holds_up_no_other(application, client):
    async def store(subject):
        fact = SystemEvent(tenant_id="local", type="user_created", source="/system/access", subject=subject, data={})

        def work():
            yield outbox.put(fact, application.clock.now())

        await application.store.transact(work())

    long = "x" * 100_000
    await store(long)
    await store("fine")
    await heard(application, client)
    assert await outbox.waiting(application.store, 10) == []
    subjects = [one["subject"] for one in (await client.get("/api/v1/events?type=user_created")).json()["items"]]
    assert "fine" in subjects


async def test_the_service_tells_of_a_change_without_being_asked(tmp_path, monkeypatch):
    application = Application(Settings(_env_file=None, data=tmp_path))
    told = asyncio.Event()
    accept = application.inbox.accept_all

    async def accepting(events):
        receipts = await accept(events)
        told.set()
        return receipts

    monkeypatch.setattr(application.inbox, "accept_all", accepting)
    await application.start()
    try:
        client = AsgiClient(application.asgi())
        await client.post("/api/v1/members", json={"user_id": "ada"})
        await asyncio.wait_for(told.wait(), 30)
        events = (await client.get("/api/v1/events?type=user_created")).json()["items"]
        assert [one["subject"] for one in events] == ["ada"]
    finally:
        await application.stop()


async def test_a_trigger_runs_on_every_event_that_is_told_through_the_outbox(application, client):
    """The ends of runs come with the runs; everything else comes through the outbox."""
    types = sorted(name for name in SYSTEM_EVENTS if name not in {"workflow_completed", "workflow_failed"})
    watch = {**HEARS, "name": "watch", "triggers": {"all": {"type": "event", "event": types}}}
    assert (await client.post("/api/v1/workflows", json=watch)).status == 201
    assert (await client.post("/api/v1/deployment/workflows/watch/deploy")).status == 200
    while await application.internal.accept_some():
        pass

    def work():
        for name in types:
            data = dict.fromkeys(SYSTEM_EVENTS[name])
            fact = SystemEvent(tenant_id="local", type=name, source="/system/test", subject=name, data=data)
            yield outbox.put(fact, application.clock.now())

    await application.store.transact(work())
    while await application.internal.accept_some():
        pass
    events = (await client.get("/api/v1/events?source=/system/test&limit=100")).json()["items"]
    assert sorted(one["type"] for one in events) == types
    runs = (await client.get("/api/v1/runs?workflow=watch&limit=100")).json()["items"]
    assert {one["id"] for one in events} <= {run["event_id"] for run in runs}


async def test_on_postgres_another_instance_hears_of_a_fact_at_once(postgres_url, tmp_path):
    """Its clock stands still, so that it would never look by itself."""
    clock = FakeClock()
    settings = {"_env_file": None, "database_url": postgres_url}
    hears = Application(Settings(data=tmp_path / "a", roles="api,ingest,dispatch,engine,sources", **settings), clock)
    tells = Application(Settings(data=tmp_path / "b", roles="api,ingest,dispatch,engine", **settings))
    await hears.start()
    await tells.start()
    try:
        await AsgiClient(tells.asgi()).post("/api/v1/members", json={"user_id": "ada"})
        client = AsgiClient(hears.asgi())
        async with asyncio.timeout(20):
            while not (await client.get("/api/v1/events?type=user_created")).json()["items"]:
                await hears.store.read("SELECT 1")
    finally:
        await tells.stop()
        await hears.stop()
