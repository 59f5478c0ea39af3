"""The whole service with two tenants: `ann` of acme owns one of everything, `eve` of other owns nothing of it."""

from __future__ import annotations

import pytest
from joserfc import jwk, jwt

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.attachment import Attachment
from workflow_scheduler.core.model.github import installation_of
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable import attachments
from workflow_scheduler.stores.portable.github_installations import InstallationRepository
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.factories import Rows, make_dead_letter

SECRET = "a shared secret that is long enough, surely"
INSTALLED = {"id": 77, "account": {"login": "acme", "id": 7, "type": "Organization"}}
FLOW = {
    "version": 1,
    "name": "orders",
    "triggers": {
        "hand": {"type": "manual"},
        "hook": {"type": "webhook", "path": "orders", "signature": "none"},
        "signed": {
            "type": "webhook",
            "path": "signed",
            "signature": {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hmac"},
        },
        "nightly": {"type": "cron", "cron": "0 2 * * *"},
        "created": {"type": "event", "event": "order.created"},
        "pushes": {"type": "github", "repository": "acme/billing", "secret": "hub", "events": {"push": {}}},
    },
    "jobs": {"work": {"uses": "noop"}},
}
SLOW = {"version": 1, "name": "slow-one", "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}}}
INVOICE = Attachment(number=1, name="invoice.pdf", content_type="application/pdf", sha256="0" * 64, content=b"%PDF")
ASKING = {"version": 1, "name": "asking", "jobs": {"ask": {"uses": "approval", "with": {"ask": "Go on?"}}}}


def token(tenant, user="user", **claims):
    """Return a token of the installation's issuer."""
    given = {"sub": user, "tenant_id": tenant, "role": "owner", "exp": 4_000_000_000, **claims}
    return jwt.encode({"alg": "HS256"}, given, jwk.OctKey.import_key(SECRET))


class Tenancy:
    """The service, a client for each tenant, and the ids of what acme has."""

    token = staticmethod(token)

    def __init__(self, application):
        self.application = application
        self.asgi = application.asgi()
        self.nobody = AsgiClient(self.asgi)
        self.ann = AsgiClient(self.asgi, {"authorization": f"Bearer {token('acme', 'ann')}"})
        self.eve = AsgiClient(self.asgi, {"authorization": f"Bearer {token('other', 'eve')}"})
        self.ids = {}

    async def key_client(self, tenant):
        """Return a client that shows an API key of `tenant`."""
        made = await self.application.context.keys.create(Principal(tenant_id=tenant, user_id="bot"), "bot")
        return AsgiClient(self.asgi, {"x-api-key": made["key"]})

    async def deploy(self, client, definition):
        """Deploy, and return the workflow."""
        name = definition["name"]
        reply = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": definition})
        assert reply.status == 200, reply.text
        return (await client.get(f"/api/v1/workflows/{name}")).json()

    async def furnish(self):
        """Give acme one of everything, and remember the ids by the names of the path parameters."""
        ann = self.ann
        for name in ("hmac", "hub"):
            assert (await ann.post("/api/v1/secrets", json={"name": name, "value": f"{name}-of-acme"})).status == 201
        web = {"name": "hmac", "kind": "http", "fields": {"auth": "bearer", "secret": "of-acme"}}
        assert (await ann.post("/api/v1/connections", json=web)).status == 201
        template = {"name": "hmac", "definition": {"version": 1, "jobs": {"work": {"uses": "noop"}}}}
        assert (await ann.post("/api/v1/templates", json=template)).status == 201
        window = {"name": "hmac", "cron": "0 22 * * FRI", "duration": "8h", "workflows": ["nothing-*"]}
        assert (await ann.post("/api/v1/blackouts", json=window)).status == 201
        workflow = await self.deploy(ann, FLOW)
        slow = await self.deploy(ann, SLOW)
        triggers = {trigger["name"]: trigger["id"] for trigger in workflow["triggers"]}
        heard = (await self.nobody.post("/api/v1/public/webhook/orders?wait=run", json={"amount": 1})).json()
        started = (await ann.post("/v2/workflows/slow-one/execute", json={"input": 1})).json()
        rows = Rows(self.application.store)
        await attachments.keep(self.application.store, "acme", heard["event_id"], [INVOICE])
        letter = await rows.dead_letter(make_dead_letter(tenant_id="acme"))
        broken = {"tenant_id": "acme", "kind": "events", "id": heard["event_id"]}
        await rows.raw("quarantine", **broken, detail="no JSON", found_at=1)
        key = (await ann.post("/api/v1/keys", json={"name": "spare"})).json()
        span = {"workflow": "orders", "from": "2026-01-01T00:00:00Z", "to": "2026-01-04T00:00:00Z"}
        backfill = (await ann.post("/api/v1/backfills", json=span)).json()
        for _ in range(200):
            if (await ann.get(f"/api/v1/backfills/{backfill['id']}")).json()["status"] == "completed":
                break
            await self.application.clock.sleep(0.05)
        asking = await self.deploy(ann, ASKING)
        await ann.post("/v2/workflows/asking/execute", json={"input": 1})
        waiting: list = []
        while not waiting:
            waiting = (await ann.get("/api/v1/waits")).json()["items"]
            await self.application.clock.sleep(0.02)
        (asked,) = waiting
        for name in ("asking", "slow-one"):
            while not (await ann.get(f"/api/v1/runs?status=PAUSED&workflow={name}")).json()["items"]:
                await self.application.clock.sleep(0.02)
        member = (await ann.post("/api/v1/members", json={"user_id": "member-of-acme"})).json()
        # The service accepts what it has to tell by itself; a second hand would be counted as a duplicate.
        while (await self.application.store.read("SELECT COUNT(*) FROM outbox", {}))[0][0]:
            await self.application.clock.sleep(0.02)
        calendar = {"name": "acme-closed", "dates": ["2027-12-24"]}
        assert (await ann.post("/api/v1/calendars", json=calendar)).status == 201
        installations = InstallationRepository(self.application.store)
        await installations.keep(installation_of(INSTALLED), 0)
        assert await installations.claim(77, "acme", "ann", 0)
        self.ids = {
            "calendar": ["acme-closed"],
            "backfill_id": [backfill["id"]],
            "workflow_id": [workflow["id"], slow["id"], asking["id"], "orders"],
            "trigger_id": list(triggers.values()),
            "schedule_id": [triggers["nightly"]],
            "event_id": [heard["event_id"]],
            "run_id": [heard["run_id"], started["execution_id"]],
            "execution_id": [heard["run_id"], started["execution_id"]],
            "dead_letter_id": [letter.id],
            "key_id": [key["id"]],
            "user_id": [member["user_id"]],
            "name": ["hmac"],
            "wait_id": [asked["id"]],
            "row_id": [heard["event_id"]],
            "installation_id": ["77"],
        }

    async def operations(self):
        """Return (method, path, operation) of every operation with its example body, from the OpenAPI document."""
        document = (await self.nobody.get("/openapi.json")).json()
        return [
            (method.upper(), path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        ], document


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"


@pytest.fixture
async def tenancy(database, tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, database_url=database, jwt_secret=SECRET))
    await application.start()
    made = Tenancy(application)
    await made.furnish()
    yield made
    await application.stop()
