"""The front of the API: what happens to every request before a resource sees it, and to every answer after.

Path and query are checked, the caller is authenticated, the body is read within its limits, unpacked and checked;
an Idempotency-Key is honoured; security headers are set. A resource behind it never meets a hostile body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from workflow_scheduler.api import body as bodies
from workflow_scheduler.api import problems, roles
from workflow_scheduler.api.audited import is_recorded, recorded
from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.api.idempotency import Idempotency
from workflow_scheduler.core.errors import BadRequest, Forbidden, NotFound, RequestTimeout, SchedulerError
from workflow_scheduler.core.model.principal import Principal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PRIVATE = ("/api/", "/v2/")
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE = (b"cache-control", b"no-store")


class Front:
    """ASGI middleware around the resources."""

    def __init__(self, app: App, context: ApiContext) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._context = context
        self._idempotency = Idempotency(context.store, context.clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._serve(scope, receive, answer)
        except bodies.Disconnected:
            return
        except SchedulerError as error:
            await refuse(error, answer)
        except Exception as error:  # noqa: BLE001 - the last stop: the client gets an answer whatever happened
            await refuse(problems.unexpected(error), answer)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_target(scope)
        state = scope.setdefault("state", {})
        principal = None
        if scope["path"].startswith(PRIVATE) and not is_callback(scope["path"]):
            principal = await self._context.authenticator.authenticate(scope["headers"])
            state["principal"] = principal
            await self._check_role(principal, scope)
        if scope["method"] not in _WRITING:
            await self._app(scope, receive, send)
            return
        content = await self._body(scope, receive)
        inner = _replay(content, receive)
        if principal is None:
            await self._app(scope, inner, send)
        elif not is_recorded(scope["path"]):
            await self._write(principal, content, (scope, inner, send))
        else:
            request = (scope["method"], scope["path"])
            await recorded(
                self._context.audit,
                principal,
                request,
                lambda send: self._write(principal, content, (scope, inner, send)),
                send,
            )

    async def _check_role(self, principal: Principal, scope: Scope) -> None:
        method, path = scope["method"], scope["path"]
        try:
            roles.check(principal, method, path)
        except Forbidden:
            if method in _WRITING:
                audit = self._context.audit
                await audit.end(principal, await audit.begin(principal, method, path), Forbidden.status)
            raise

    async def _write(self, principal: Principal, content: bytes, call: tuple[Scope, Receive, Send]) -> None:
        """Pass a writing request on; an Idempotency-Key on a POST is honoured."""
        scope, receive, send = call
        key = bodies.header(scope["headers"], b"idempotency-key")
        if not key or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        await self._idempotency.serve(
            principal.tenant_id, key, scope, content, lambda send: self._app(scope, receive, send), send
        )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = scope["headers"]
        limit = self._context.settings.max_body_bytes
        if bodies.declared_length(bodies.header(headers, b"content-length")) > limit:
            raise bodies.too_large(limit)
        content = await bodies.read(receive, limit, self._context.settings.body_timeout_seconds)
        encoding = bodies.header(headers, b"content-encoding")
        if encoding:
            content = bodies.unpack(content, encoding, limit)
            scope["headers"] = [pair for pair in headers if pair[0] not in {b"content-encoding", b"content-length"}]
        if content:
            _check_content(scope, content)
        return content


def _check_content(scope: Scope, content: bytes) -> None:
    """Refuse JSON that is not strictly JSON; a body without a media type counts as JSON where it is."""
    media = bodies.header(scope["headers"], b"content-type")
    if bodies.is_json(media):
        bodies.without_nul(bodies.decode_json(content))
    elif not media:
        with suppress(BadRequest):
            bodies.without_nul(bodies.decode_json(content))
            scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]


def is_callback(path: str) -> bool:
    """Return whether providers lead browsers to `path`, which know no credentials; the resource looks for them."""
    return path.startswith("/api/v1/auth/") and path.endswith("/callback")


class _Answer:
    """Passes an answer on, with the security headers added where the resource has not set its own."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            present = {name.lower() for name, _ in message["headers"]}
            extra = [pair for pair in (*SECURITY_HEADERS, _POLICY, _NO_STORE) if pair[0] not in present]
            message = {**message, "headers": [*message["headers"], *extra]}
        await self._send(message)


def check_target(scope: Scope) -> None:
    """Refuse paths and queries that hold bytes no id, name or text may hold.

    Raises:
        NotFound: the path holds a control character or is not UTF-8.
        BadRequest: the query holds a NUL or is not UTF-8.

    """
    path: str = scope["path"]
    if not path.isprintable() or "\ufffd" in path:
        raise NotFound("there is no such path")
    query: bytes = scope.get("query_string", b"")
    if b"%" in query or not query.isascii():
        plain = unquote_to_bytes(query)
        try:
            plain.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest("the query is not UTF-8") from None
        if b"\x00" in plain:
            raise BadRequest("the query holds a NUL character")


async def refuse(error: SchedulerError, send: Send) -> None:
    """Answer with the problem, unless an answer has begun already.

    The connection stays open: the server throws away what is left of a body that was refused, and a client that is
    still sending gets to read the answer. Closing at once would reset the connection instead. Only a client that was
    too slow is cut off.
    """
    if isinstance(send, _Answer) and send.started:
        return
    status, headers, content = problems.render(error)
    headers.append((b"content-length", str(len(content)).encode()))
    if isinstance(error, RequestTimeout):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _replay(content: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body that was read, then what the server says."""
    waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
