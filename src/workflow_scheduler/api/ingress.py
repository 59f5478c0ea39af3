"""Raw ASGI for the routes that hear events: the hot path, so there is no router and no request object on it.

=========================================  ===========================================================
`POST /webhooks/{provider}/{id}`           a push trigger, by trigger id (or a webhook's workflow or path); the
                                           provider is a trigger type, or the sender a webhook's signature names
`ANY /api/v1/public/webhook/{path}`        a webhook trigger, with the methods it allows
`POST /api/v1/github/webhook`              every GitHub trigger whose secret fits
`POST /api/v1/slack/events`                every Slack trigger whose secret fits
`POST /api/v1/google_calendar/notifications`
                                           the calendar whose channel it is, which is asked at once
`POST /api/v1/events`                      CloudEvents of an authenticated caller
=========================================  ===========================================================

The answer is 202 after the durable commit. `?wait=decision` adds what was decided, `?wait=run` waits for the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from workflow_scheduler.api import body as bodies
from workflow_scheduler.api import cloudevents, problems, roles
from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.api.front import App, Receive, Scope, Send, check_target, refuse
from workflow_scheduler.api.idempotency import Idempotency
from workflow_scheduler.api.outcome import Wish, describe, wish
from workflow_scheduler.core.errors import MethodNotAllowed, NotFound, SchedulerError
from workflow_scheduler.core.inbound.presets import PROVIDERS
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.pipeline.entries import Receipt

WEBHOOKS = "/webhooks/"
PUBLIC = "/api/v1/public/webhook/"
GITHUB = "/api/v1/github/webhook"
SLACK = "/api/v1/slack/events"
POKES = {"/api/v1/google_calendar/notifications": "google_calendar"}
_SHARED = {GITHUB: "github", SLACK: "slack"}
EVENTS = "/api/v1/events"
_WEBHOOKS_LENGTH = len(WEBHOOKS)
_PUBLIC_LENGTH = len(PUBLIC)
_POST_ONLY = ("POST",)
_ID_CHARACTERS = 36
_ONE = '{{"event_id":"{0}","explain":"/api/v1/events/{0}/explain"}}'
_ONE_LENGTH = str(len(_ONE.format("x" * _ID_CHARACTERS))).encode()
_HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_START_ONE = {
    "type": "http.response.start",
    "status": 202,
    "headers": [*_HEADERS, (b"content-length", _ONE_LENGTH)],
}


class _Events(NamedTuple):
    """A request with CloudEvents that has been read."""

    caller: Principal
    headers: Mapping[str, str]
    query: bytes
    content: bytes


class Ingress:
    """Hears events on their routes and leaves everything else to `app`."""

    def __init__(self, app: App, context: ApiContext) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._context = context
        self._clock = context.clock
        self._push = context.push
        self._pokes = context.pokes
        self._inbox = context.inbox
        self._authenticator = context.authenticator
        self._idempotency = Idempotency(context.store, context.clock)
        settings = context.settings
        self._seconds = settings.body_timeout_seconds
        self._limit = settings.max_body_bytes
        self._limits = {"github": max(settings.github_max_body_bytes, settings.max_body_bytes)}
        kinds = context.trigger_types.items()
        self._providers = frozenset(name for name, kind in kinds if getattr(kind, "shape", "") == "push") | {*PROVIDERS}

        self._replies = {name: kind.reply for name, kind in kinds if hasattr(kind, "reply")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif path.startswith(WEBHOOKS):
            provider, _, route = path[_WEBHOOKS_LENGTH:].partition("/")
            await self._guarded(provider, route, scope, receive, send)
        elif path.startswith(PUBLIC):
            await self._guarded("webhook", path[_PUBLIC_LENGTH:], scope, receive, send)
        elif path in _SHARED:
            await self._guarded(_SHARED[path], "", scope, receive, send)
        elif path in POKES:
            await self._guarded(POKES[path], "", scope, receive, send)
        elif path == EVENTS and scope["method"] == "POST":
            await self._guarded(cloudevents.PROVIDER, "", scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _guarded(self, provider: str, route: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Hear, and turn what goes wrong into a problem document."""
        try:
            check_target(scope)
            if provider == cloudevents.PROVIDER:
                await self._events(scope, receive, send)
            elif scope["path"] in POKES:
                await self._poke(provider, scope, receive, send)
            else:
                await self._delivery(provider, route, scope, receive, send)
        except bodies.Disconnected:
            return
        except SchedulerError as error:
            await refuse(error, send)
        except Exception as error:  # noqa: BLE001 - the last stop: the sender gets an answer whatever happened
            await refuse(problems.unexpected(error), send)

    async def _delivery(self, provider: str, route: str, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        path = scope["path"]
        public = path.startswith(PUBLIC)
        if provider not in self._providers or (not route and path not in _SHARED):
            raise NotFound("nothing listens at this path")
        if method != "POST" and not public:
            raise MethodNotAllowed(f"{method} is not allowed here", allow=_POST_ONLY)
        headers = header_map(scope)
        query = scope["query_string"]
        wanted = wish(query) if b"wait=" in query else None
        content = await self._content(headers, receive, self._limits.get(provider, self._limit))
        request = PushRequest(method, path, query.decode("latin-1"), headers, content, self._clock.now())
        receipts = await self._push.receive(provider, route, request)
        if path in _SHARED and provider in self._replies:
            media_type, answer = self._replies[provider](request)
            await _reply(media_type, answer, send)
            return
        await self._answer(receipts, wanted, None, send)

    async def _poke(self, provider: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not allowed here", allow=_POST_ONLY)
        headers = header_map(scope)
        content = await self._content(headers, receive, self._limit)
        request = PushRequest("POST", scope["path"], "", headers, content, self._clock.now())
        await self._pokes.receive(provider, request)
        await _reply("application/json", b"{}", send, 202)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._authenticator.authenticate(scope["headers"])
        roles.check(caller, "POST", EVENTS)
        headers = header_map(scope)
        content = await self._content(headers, receive, self._limit)
        key = headers.get("idempotency-key")
        if key:
            request = _Events(caller, headers, scope["query_string"], content)
            whole = _attributes(headers) + content
            await self._idempotency.serve(
                caller.tenant_id, key, scope, whole, lambda send: self._once(request, send), send
            )
        else:
            await self._accept(_Events(caller, headers, scope["query_string"], content), send)

    async def _once(self, request: _Events, send: Send) -> None:
        """Accept events under an Idempotency-Key: a refusal is an answer here, so that the key is free again."""
        try:
            await self._accept(request, send)
        except SchedulerError as error:
            await refuse(error, send)

    async def _accept(self, request: _Events, send: Send) -> None:
        caller, headers, query, content = request
        wanted = wish(query) if b"wait=" in query else None
        found, batch = cloudevents.parse(headers, content)
        inbox = self._inbox
        events = [
            inbox.event(heard, tenant_id=caller.tenant_id, provider=cloudevents.PROVIDER, principal=caller)
            for heard in found
        ]
        receipts = await inbox.accept_all(events) if events else []
        await self._answer(receipts, wanted, caller, send, batch=batch)

    async def _content(self, headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
        if bodies.declared_length(headers.get("content-length")) > limit:
            raise bodies.too_large(limit)
        content = await bodies.read(receive, limit, self._seconds)
        encoding = headers.get("content-encoding")
        return bodies.unpack(content, encoding, limit) if encoding else content

    async def _answer(
        self,
        receipts: Sequence[Receipt],
        wanted: Wish | None,
        caller: Principal | None,
        send: Send,
        *,
        batch: bool = False,
    ) -> None:
        if len(receipts) == 1 and wanted is None and not batch:
            receipt = receipts[0]
            if not receipt.duplicate and len(receipt.event_id) == _ID_CHARACTERS:
                await send(_START_ONE)
                await send({"type": "http.response.body", "body": _ONE.format(receipt.event_id).encode()})
                return
        content = await describe(self._context, receipts, wanted, caller, batch=batch)
        headers = [*_HEADERS, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _reply(media_type: str, content: bytes, send: Send, status: int = 200) -> None:
    """Send what the sender wants as an answer, in place of a receipt."""
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _attributes(headers: Mapping[str, str]) -> bytes:
    """Return the attributes of an event in binary mode, which belong to what its Idempotency-Key stands for."""
    found = sorted((name, value) for name, value in headers.items() if name.startswith("ce-"))
    return "".join(f"{name}:{value}\n" for name, value in found).encode("latin-1", "replace")


def header_map(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name; a header that was sent several times is joined by commas."""
    pairs = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    if len(headers) != len(pairs):
        headers.clear()
        for name, value in pairs:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
