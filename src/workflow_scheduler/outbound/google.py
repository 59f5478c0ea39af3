"""Requests to Google's services: their tokens, and their errors as ours.

Sources: "Using OAuth 2.0 for Server to Server Applications" (a signed JWT is exchanged for a token), "Using OAuth 2.0
for Web Server Applications" (a refresh token is), RFC 7523; "AIP-193: Errors" for what an error looks like.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from workflow_scheduler.core.errors import NotConnected, Rejected, RetryAfter
from workflow_scheduler.core.inbound.answers import object_of
from workflow_scheduler.core.model.connection import GOOGLE_TOKENS, Google
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.time.clock import SECOND_US, to_iso

Send = Callable[[HttpRequest], Awaitable[HttpReply]]
IDENTITY: Final = "https://www.googleapis.com/auth/userinfo.email"
ASSERTION_SECONDS: Final = 3_600
EARLY_US: Final = 60 * SECOND_US
RETRY_SECONDS: Final = 5.0
RETRY_SECONDS_MAX: Final = 600.0
REPLY_BYTES_MAX: Final = 16 << 20
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIMITS: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RESOURCE_EXHAUSTED"})
_OK = 300
_UNAUTHENTICATED = 401
_TOO_MANY = 429
_SERVER_ERROR = 500
_FIX: Final = "Check the credentials of the connection, and what the account may do."


class Refused(Rejected):
    """A service refused a request for good; `http_status` is its status, for peers that say something by it."""

    def __init__(self, detail: str, http_status: int) -> None:
        """Say what was refused, and with which status."""
        super().__init__(detail, fix=_FIX)
        self.http_status = http_status


class _Token(NamedTuple):
    value: str
    expires_at: int


class Client:
    """One account, for one scope; its token is kept in `kept` until shortly before it ends."""

    def __init__(
        self, send: Send, fields: Google, scope: str, kept: MutableMapping[str, Any], now: Callable[[], int]
    ) -> None:
        """Ask for tokens with `fields`; `now` gives microseconds UTC."""
        self._send = send
        self._fields = fields
        self._scope = scope
        self._kept = kept
        self._now = now

    def address(self, service: str) -> str:
        """Return where a service is, without a slash at the end."""
        return (self._fields.endpoint or f"https://{service}.googleapis.com").rstrip("/")

    async def until(self) -> str:
        """Return when the token ends that the credentials give now.

        Raises:
            Rejected, RetryAfter, NotConnected: as `ask`.

        """
        token = await self._token()
        return "the end of time: the endpoint wants none" if token is None else to_iso(token.expires_at)

    async def ask(self, method: str, url: str, body: Any = None, *, timeout_seconds: float = 30.0) -> bytes:
        """Send a request (`body` as JSON) and return the body of the answer.

        Raises:
            Refused: the service refuses it for good, with its own words.
            RetryAfter: it asks to wait.
            NotConnected: it cannot be reached, or does not work now.

        """
        content = None if body is None else msgspec.json.encode(body)
        reply = await self._once(method, url, content, timeout_seconds)
        if reply.status == _UNAUTHENTICATED and self._kept.pop("google_token", None) is not None:
            reply = await self._once(method, url, content, timeout_seconds)  # the token was taken back before its time
        if reply.status < _OK:
            return reply.body
        raise _problem(reply)

    async def _once(self, method: str, url: str, content: bytes | None, timeout_seconds: float) -> HttpReply:
        token = await self._token()
        headers = {} if token is None else {"authorization": f"Bearer {token.value}"}
        if content is not None:
            headers["content-type"] = "application/json"
        return await self._send(
            HttpRequest(
                method=method, url=url, headers=headers, body=content, timeout_seconds=timeout_seconds,
                reply_bytes_max=REPLY_BYTES_MAX,
            )
        )  # fmt: skip

    async def _token(self) -> _Token | None:
        held: _Token | None
        giver, held = self._kept.get("google_token", (None, None))
        now = self._now()
        # Credentials that were changed may name another endpoint: it must not see the token of those before.
        if giver != self._fields or held is None or held.expires_at - EARLY_US <= now:
            held = await self._exchange(now)
            if held is not None:
                self._kept["google_token"] = (self._fields, held)
        return held

    async def _exchange(self, now: int) -> _Token | None:
        fields = self._fields
        url = GOOGLE_TOKENS
        if fields.service_account is not None:
            account = fields.account()
            url = account.token_uri
            form = {"grant_type": _GRANT, "assertion": self._assertion(now)}
        elif fields.refresh_token is not None:
            url = fields.tokens
            form = {
                "grant_type": "refresh_token", "refresh_token": fields.refresh_token,
                "client_id": fields.client_id or "", "client_secret": fields.client_secret or "",
            }  # fmt: skip
        else:
            return None
        content = {"content-type": "application/x-www-form-urlencoded"}
        reply = await self._send(HttpRequest(method="POST", url=url, headers=content, body=urlencode(form).encode()))
        if reply.status >= _OK:
            raise _problem(reply)
        told = object_of(reply.body)
        value, seconds = told.get("access_token"), told.get("expires_in")
        if not isinstance(value, str) or not isinstance(seconds, int | float):
            raise NotConnected(f"{url} answered without a token")
        return _Token(value, now + round(seconds * SECOND_US))

    def _assertion(self, now: int) -> str:
        from joserfc import jwk, jwt
        from joserfc.errors import JoseError

        account, issued = self._fields.account(), now // SECOND_US
        claims: dict[str, Any] = {
            "iss": account.client_email, "scope": self._scope, "aud": account.token_uri,
            "iat": issued, "exp": issued + ASSERTION_SECONDS,
        }  # fmt: skip
        if self._fields.subject is not None:
            claims["sub"] = self._fields.subject
        try:
            return jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, jwk.RSAKey.import_key(account.private_key))
        except (JoseError, ValueError, TypeError) as error:
            raise Rejected("the private key of the service account cannot be read", fix=_FIX) from error


def _problem(reply: HttpReply) -> Exception:
    """Return the error that an answer stands for."""
    told = object_of(reply.body)
    error = told.get("error")
    if isinstance(error, Mapping):
        reasons = {str(one.get("reason")) for one in error.get("errors") or () if isinstance(one, Mapping)}
        reasons.add(str(error.get("status")))
        words = str(error.get("message") or "")[:300]
    else:
        reasons, words = {str(error)}, str(told.get("error_description") or error or "")[:300]
    if reply.status == _TOO_MANY or reasons & _LIMITS:
        wait = reply.headers.get("retry-after", "")
        seconds = min(float(wait), RETRY_SECONDS_MAX) if wait.isdigit() else RETRY_SECONDS
        return RetryAfter(f"Google asks to wait: {words}", retry_after_seconds=seconds)
    if reply.status >= _SERVER_ERROR:
        return NotConnected(f"Google answered {reply.status}: {words}")
    return Refused(f"Google refuses the request ({reply.status}): {words or min(reasons)}", reply.status)


def for_pubsub(fields: Google, emulator: str) -> Google:
    """Return with which account, and where, Pub/Sub is asked: at the emulator, where a connection names no endpoint."""
    return fields if fields.endpoint is not None or not emulator else Google(endpoint=f"http://{emulator}")


class Pulled(NamedTuple):
    """A message of a subscription, and by what it is acknowledged."""

    ack_id: str
    message: Mapping[str, Any]
    attempt: int | None


class Subscription:
    """A subscription of Pub/Sub, over its REST interface (google.pubsub.v1.Subscriber)."""

    def __init__(self, client: Client, name: str) -> None:
        """`name` is projects/PROJECT/subscriptions/NAME."""
        self._client = client
        self._url = f"{client.address('pubsub')}/v1/{name}"

    async def pull(self, most: int, *, wait: bool, timeout_seconds: float = 30.0) -> list[Pulled]:
        """Return up to `most` messages that are there; with `wait` those that come soon.

        Raises:
            Refused, RetryAfter, NotConnected: as Client.ask.

        """
        body = {"maxMessages": most} if wait else {"maxMessages": most, "returnImmediately": True}
        told = object_of(await self._client.ask("POST", f"{self._url}:pull", body, timeout_seconds=timeout_seconds))
        return [
            Pulled(str(one["ackId"]), one.get("message") or {}, one.get("deliveryAttempt"))
            for one in told.get("receivedMessages") or ()
        ]

    async def hold(self, ack_ids: list[str], seconds: int) -> None:
        """Keep messages from others for so long; 0 gives them back."""
        if ack_ids:
            body = {"ackIds": ack_ids, "ackDeadlineSeconds": seconds}
            await self._client.ask("POST", f"{self._url}:modifyAckDeadline", body)

    async def acknowledge(self, ack_ids: list[str]) -> None:
        """Say that messages need not come again."""
        if ack_ids:
            await self._client.ask("POST", f"{self._url}:acknowledge", {"ackIds": ack_ids})
