"""A context of stubs: enough for everything the API does before and after its resources."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel

from workflow_scheduler.api import problems
from workflow_scheduler.api.body import json_object
from workflow_scheduler.api.front import Front
from workflow_scheduler.api.ingress import Ingress
from workflow_scheduler.api.security import Authenticator, Caller
from workflow_scheduler.core.errors import MethodNotAllowed, NotFound, SignatureInvalid
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.pipeline.entries import Receipt
from workflow_scheduler.services.keys import KeyOwner, digest
from workflow_scheduler.settings import Settings
from workflow_scheduler.telemetry.metrics import Metrics
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import FakeClock

EVENT_ID = "0196b7a0-0000-7000-8000-000000000001"
KEY = "wfs_0123456789abcdef0123456789abcdef"


class StubKeys:
    """Keys by digest."""

    def __init__(self, owners=None):
        self.owners = owners or {}
        self.asked = 0

    async def owner(self, key_digest):
        self.asked += 1
        return self.owners.get(key_digest)

    async def any_active(self):
        return bool(self.owners)


class StubInbox:
    """Remembers what was accepted."""

    def __init__(self):
        self.events = []

    def event(self, heard, *, tenant_id, provider, principal=None):
        return Event(
            id=EVENT_ID, tenant_id=tenant_id, provider=provider, source=heard.source, type=heard.type,
            event_key=heard.event_key or EVENT_ID, time=heard.time or 1, received_at=1, data=heard.data,
            attributes=heard.attributes, subject=heard.subject, index_keys=heard.index_keys,
            traceparent=heard.traceparent, user_id=principal.user_id if principal else None,
        )  # fmt: skip

    async def accept_all(self, events):
        self.events += events
        return [Receipt(event.id, duplicate=False, decisions=[], run_ids=[]) for event in events]


class StubAudit:
    """Remembers what was asked for and how it was answered."""

    def __init__(self):
        self.entries = []

    async def begin(self, principal, method, path):
        self.entries.append([principal.user_id, method, path, None])
        return len(self.entries) - 1

    async def end(self, _principal, entry, status):
        self.entries[entry][-1] = status


class StubPush:
    """Hears at one route with one secret."""

    def __init__(self):
        self.requests = []
        self.receipts = [Receipt(EVENT_ID, duplicate=False, decisions=[], run_ids=[])]

    async def receive(self, provider, route, request):
        self.requests.append((provider, route, request))
        if route == "missing":
            raise NotFound("Nothing listens at this address.")
        if route == "get-only":
            raise MethodNotAllowed("This address takes GET.", allow=["GET"])
        if request.headers.get("x-signature") == "wrong":
            raise SignatureInvalid
        if route == "broken":
            message = "a fault of our own"
            raise RuntimeError(message)
        return self.receipts


class Named(BaseModel):
    """A body with a name."""

    name: str
    count: int = 1


def probe_router() -> APIRouter:
    """Resources that show what arrives behind the front."""
    router = APIRouter(prefix="/api/v1/probe")

    @router.get("")
    async def show(caller: Caller, limit: int = 5):
        return {"tenant": caller.tenant_id, "limit": limit}

    @router.post("", status_code=201)
    async def make(request: Request, caller: Caller):
        return {"got": await json_object(request), "tenant": caller.tenant_id}

    @router.post("/model")
    async def model(body: Named):
        return body

    @router.get("/fault")
    async def fault():
        message = "secret inside"
        raise RuntimeError(message)

    @router.get("/missing")
    async def missing():
        raise NotFound("there is no probe", fix="list the probes")

    return router


@pytest.fixture
def settings(tmp_path):
    return Settings(_env_file=None, data=tmp_path, max_body_bytes=65_536, github_max_body_bytes=131_072)


@pytest.fixture
def keys():
    return StubKeys()


@pytest.fixture
async def context(settings, keys):
    clock = FakeClock()
    authenticator = Authenticator(settings, keys, clock)
    await authenticator.start()
    return SimpleNamespace(
        settings=settings, clock=clock, store=None, metrics=Metrics(), authenticator=authenticator,
        inbox=StubInbox(), push=StubPush(), pokes=None, tracker=None, runs=None, audit=StubAudit(),
        trigger_types={
            "webhook": SimpleNamespace(shape="push"), "github": SimpleNamespace(shape="push"),
            "cron": SimpleNamespace(shape="timer"),
        },
    )  # fmt: skip


@pytest.fixture
def app(context):
    inner = FastAPI()
    inner.state.context = context
    problems.install(inner)
    inner.include_router(probe_router())
    return Ingress(Front(inner, context), context)


@pytest.fixture
def client(app):
    return AsgiClient(app)


@pytest.fixture
def owned(keys):
    keys.owners[digest(KEY)] = KeyOwner("acme", "ann", "editor")
    return KEY
