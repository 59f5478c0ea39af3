"""An HTTP server that enforces the rules that Google documents: tokens, subscriptions with their deadlines.

Rules: https://developers.google.com/identity/protocols/oauth2/service-account (assertion, token, expiry) and
https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions (pull, acknowledge, modifyAckDeadline;
a message whose deadline has passed is delivered again, under another ackId).
"""

import asyncio
import base64
import itertools
import json
import secrets
import time

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk, jwt

TOKEN_REQUESTS = 25  # so often a token may be used before it is taken back
WAIT_SECONDS = 0.5
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def refusal(status, code, message):
    """Return an error as AIP-193 describes it."""
    return web.json_response({"error": {"code": status, "status": code, "message": message}}, status=status)


class Google:
    """The server with one service account, and whatever routes a subclass adds."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.public = jwk.RSAKey.import_key(
            self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        self.pem = pem
        self.port = 0
        self.tokens = {}
        self.exchanged = []
        self.secrets = {}
        self._runner = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self):
        account = {
            "type": "service_account", "client_email": "robot@shop.iam.example", "private_key": self.pem,
            "token_uri": f"{self.url}/token",
        }  # fmt: skip
        return {"cloud": {"kind": "google", "fields": {"service_account": json.dumps(account), "endpoint": self.url}}}

    async def start(self):
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/token", self._token)
        self.routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def stop(self):
        await self._runner.cleanup()

    async def cut(self):
        await self.stop()

    async def restore(self):
        await self.start()

    def routes(self, router):
        """Add the routes of a service."""

    @web.middleware
    async def _guard(self, request, handler):
        if request.path == "/token" or request.path.startswith("/open/"):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        left = self.tokens.get(token, 0)
        if scheme != "Bearer" or left <= 0:
            return refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        self.tokens[token] = left - 1
        return await handler(request)

    async def _token(self, request):
        form = await request.post()
        if form.get("grant_type") == "refresh_token":
            good = form.get("refresh_token") == "1//refresh" and form.get("client_secret") == "the client's secret"
        else:
            good = form.get("grant_type") == GRANT and self._is_good(form.get("assertion", ""))
        if not good:
            return web.json_response(
                {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400
            )
        self.exchanged.append(dict(form))
        token = secrets.token_urlsafe(24)
        self.tokens[token] = TOKEN_REQUESTS
        return web.json_response({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _is_good(self, assertion):
        try:
            claims = jwt.decode(assertion, self.public, algorithms=["RS256"]).claims
        except Exception:  # noqa: BLE001 -- whatever it is, it is no good assertion
            return False
        now = time.time()  # noqa: TID251 -- the server's own clock
        return (
            claims["iss"] == "robot@shop.iam.example"
            and claims["aud"] == f"{self.url}/token"
            and bool(claims["scope"])
            and claims["exp"] - claims["iat"] <= 3600
            and claims["iat"] - 60 <= now < claims["exp"]
        )


class Subscriptions(Google):
    """The server with Pub/Sub: one subscription, whose messages come again until they are acknowledged in time."""

    subscription = "projects/shop/subscriptions/numbers"
    deadline_seconds = 10

    def __init__(self):
        super().__init__()
        self.waiting = []
        self.leased = {}  # ackId: (message, until)
        self.acknowledged = 0
        self._numbers = itertools.count(1)
        self._new = asyncio.Event()

    def routes(self, router):
        router.add_post(f"/v1/{self.subscription}:pull", self._pull)
        router.add_post(f"/v1/{self.subscription}:acknowledge", self._acknowledge)
        router.add_post(f"/v1/{self.subscription}:modifyAckDeadline", self._modify)

    def put(self, data, attributes=None, key=None):
        """Publish a message."""
        message = {
            "data": base64.b64encode(data).decode(), "messageId": str(next(self._numbers)),
            "publishTime": "2027-01-05T12:00:00.123Z", "attributes": attributes or {},
        }  # fmt: skip
        self.waiting.append({**message, "orderingKey": key} if key else message)
        self._new.set()

    def _expire(self):
        now = time.monotonic()
        for ack_id, (message, until) in list(self.leased.items()):
            if until <= now:
                del self.leased[ack_id]
                self.waiting.append(message)

    async def _pull(self, request):
        body = await request.json()
        if not 1 <= body.get("maxMessages", 0) <= 1000:
            return refusal(400, "INVALID_ARGUMENT", "maxMessages must be between 1 and 1000")
        self._expire()
        if not self.waiting and not body.get("returnImmediately"):
            self._new.clear()
            try:
                await asyncio.wait_for(self._new.wait(), WAIT_SECONDS)
            except TimeoutError:
                self._expire()
        taken, self.waiting = self.waiting[: body["maxMessages"]], self.waiting[body["maxMessages"] :]
        received = []
        for message in taken:
            ack_id = secrets.token_urlsafe(12)
            self.leased[ack_id] = (message, time.monotonic() + self.deadline_seconds)
            received.append({"ackId": ack_id, "message": message})
        return web.json_response({"receivedMessages": received} if received else {})

    async def _acknowledge(self, request):
        for ack_id in (await request.json())["ackIds"]:
            self._expire()
            self.acknowledged += self.leased.pop(ack_id, None) is not None
        return web.json_response({})

    async def _modify(self, request):
        body = await request.json()
        if not 0 <= body["ackDeadlineSeconds"] <= 600:
            return refusal(400, "INVALID_ARGUMENT", "ackDeadlineSeconds must be between 0 and 600")
        for ack_id in body["ackIds"]:
            if ack_id in self.leased:
                self.leased[ack_id] = (self.leased[ack_id][0], time.monotonic() + body["ackDeadlineSeconds"])
        return web.json_response({})
