"""The service with people of two tenants, and what they do to connect an account."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

from joserfc import jwk, jwt

from workflow_scheduler.testing.asgi import AsgiClient

ISSUER = "a shared secret that is long enough, surely"
PAGE = {"accept": "text/html,application/xhtml+xml"}
JSON = {"accept": "application/json"}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_given):
        return None


def visit(address):
    """Open an address as a browser does, and return where it is led to."""
    try:
        urllib.request.build_opener(_Stay).open(address, timeout=10)
    except urllib.error.HTTPError as error:
        with error:
            return error.headers["location"]
    raise AssertionError(f"{address} leads nowhere")


class Consenting:
    """The service with people of two tenants, and what they do."""

    def __init__(self, application, peer):
        self.application, self.peer = application, peer
        asgi = application.asgi()
        self.nobody = AsgiClient(asgi)
        self.ann, self.bob, self.eve = (
            AsgiClient(asgi, {"authorization": f"Bearer {token(*who)}"})
            for who in (("acme", "ann", "editor"), ("acme", "bob", "viewer"), ("other", "ann", "owner"))
        )

    async def begin(self, query="connection=mine", provider="google"):
        """Begin as ann, and return what the service says."""
        begun = await self.ann.get(f"/api/v1/auth/{provider}/start?{query}", headers=JSON)
        assert begun.status == 200, begun.text
        return begun.json()

    async def consent(self, query="connection=mine", provider="google"):
        """Begin as ann, consent at the provider, and return the path to which the browser is sent back."""
        begun = await self.begin(query, provider)
        back = await asyncio.to_thread(visit, begun["address"])
        assert back.startswith(begun["redirect_uri"] + "?")
        return back.removeprefix("http://localhost")

    async def connect(self, query="connection=mine", provider="google"):
        """Do all of it, and return the connection."""
        done = await self.ann.get(await self.consent(query, provider), headers=JSON)
        assert done.status == 200, done.text
        return done.json()["connection"]

    async def names(self, client=None):
        return [one["name"] for one in (await (client or self.ann).get("/api/v1/connections")).json()["items"]]

    async def open(self, name, tenant="acme"):
        return await self.application.connections.open(tenant, name)


def token(tenant, user, role):
    given = {"sub": user, "tenant_id": tenant, "role": role, "exp": 4_000_000_000}
    return jwt.encode({"alg": "HS256"}, given, jwk.OctKey.import_key(ISSUER))
