"""Idempotency-Key on every POST: the same key and body give the same answer for a day, and the work is done once.

The key is reserved before the work begins and completed with its answer afterwards. After a crash in between nobody
knows whether the work was done: the same key is then refused with a sentence that says so, so that nothing is done
twice. Where the work itself is keyed (the key becomes the event_key of a run), it is simply asked for again, because
the unique constraint in the database gives the first run back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from workflow_scheduler.core.errors import BadRequest, Conflict, StoreUnavailable, ValidationFailed
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import DAY_US, Clock

KEY_CHARACTERS_MAX = 255
LIFETIME_US = DAY_US
ANSWER_BYTES_MAX = 1 << 20
KEYED_SUFFIXES = ("/manual", "/execute", "/run", "/trigger")
_UNFINISHED = 0
_REFUSED_FROM = 400
_FAULT_FROM = 500

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class _Place(msgspec.Struct, frozen=True):
    """Where a key is kept: tenant, what was asked (method and path), the key, and the fingerprint of the body."""

    tenant: str
    scope: str
    key: str
    fingerprint: str

    def params(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a statement about this key."""
        return {"tenant": self.tenant, "scope": self.scope, "key": self.key, **more}


class Idempotency:
    """Serves POSTs that carry a key."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep keys in `store`."""
        self._store = store
        self._clock = clock
        self._running: set[tuple[str, str, str]] = set()

    async def serve(
        self,
        tenant: str,
        key: str,
        request: MutableMapping[str, Any],
        body: bytes,
        call: Callable[[Send], Awaitable[None]],
        send: Send,
    ) -> None:
        """Answer from what is stored, or do the work by `call` and store its answer.

        Raises:
            BadRequest: the key is too long or holds control characters.
            ValidationFailed: the key was used for another body.
            Conflict: the first request is still running, or its outcome is not known.

        """
        place = _place(tenant, key, request, body)
        keyed = request["path"].endswith(KEYED_SUFFIXES)
        name = (place.tenant, place.scope, place.key)
        if name in self._running and not keyed:
            raise Conflict("a request with this Idempotency-Key is still running", fix="ask again in a moment")
        stored = await self._store.transact(_reserve(place, self._clock.now()))
        if stored is not None and stored.status != _UNFINISHED:
            await _send_stored(stored, send)
            return
        if stored is not None and not keyed:
            raise Conflict(
                "a request with this Idempotency-Key was begun and its outcome is not known",
                fix="look whether it was carried out, then use a new key",
            )
        self._running.add(name)
        try:
            await self._carry_out(place, call, send)
        finally:
            self._running.discard(name)

    async def _carry_out(self, place: _Place, call: Callable[[Send], Awaitable[None]], send: Send) -> None:
        recording = _Recording()
        await call(recording)
        if recording.status >= _REFUSED_FROM:
            if recording.status < _FAULT_FROM or recording.retryable:
                await self._store.transact(_release(place))
        elif recording.size <= ANSWER_BYTES_MAX:
            try:
                await self._store.transact(_complete(place, recording.status, recording.stored()))
            except StoreUnavailable:  # the work is done and durable; only the memory of its answer is missing
                await recording.replay(send)
                return
        await recording.replay(send)


class _Stored(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class _Recording:
    """Collects an answer instead of sending it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = _FAULT_FROM
        self.size = 0

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.size += len(message.get("body", b""))

    @property
    def retryable(self) -> bool:
        """Whether the answer says that nothing was done and asks to come again."""
        return any(name == b"retry-after" for name, _ in self._headers())

    def stored(self) -> bytes:
        """Return the answer as it is kept."""
        kept = {b"content-type", b"location", b"etag"}
        headers = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in self._headers() if n in kept]
        content = b"".join(message.get("body", b"") for message in self.messages[1:])
        return msgspec.json.encode({"headers": headers, "body": content.decode("latin-1")})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.messages[0].get("headers", ())) if self.messages else []

    async def replay(self, send: Send) -> None:
        """Send what was collected."""
        for message in self.messages:
            await send(message)


async def _send_stored(stored: _Stored, send: Send) -> None:
    kept = msgspec.json.decode(stored.body)
    content = kept["body"].encode("latin-1")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["headers"]]
    headers += [(b"content-length", str(len(content)).encode()), (b"idempotent-replayed", b"true")]
    await send({"type": "http.response.start", "status": stored.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _place(tenant: str, key: str, request: MutableMapping[str, Any], body: bytes) -> _Place:
    if len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
        raise BadRequest(f"Idempotency-Key must be at most {KEY_CHARACTERS_MAX} printable characters")
    fingerprint = hashlib.sha256(request.get("query_string", b"") + b"\x00" + body).hexdigest()
    return _Place(tenant, f"{request['method']} {request['path']}", key, fingerprint)


def _reserve(place: _Place, now: int) -> Work[_Stored | None]:
    """Reserve the key, or return what is stored under it."""
    yield Sql(
        "DELETE FROM idempotency_keys WHERE tenant_id = :tenant AND scope = :scope AND key = :key"
        " AND created_at < :oldest",
        place.params(oldest=now - LIFETIME_US),
    )
    fresh = yield Sql(
        "INSERT INTO idempotency_keys (tenant_id, scope, key, fingerprint, status, body, created_at)"
        " VALUES (:tenant, :scope, :key, :fingerprint, 0, :body, :now) ON CONFLICT DO NOTHING RETURNING status",
        place.params(fingerprint=place.fingerprint, body=b"", now=now),
    )
    if fresh:
        return None
    rows = yield Sql(
        "SELECT fingerprint, status, body FROM idempotency_keys"
        " WHERE tenant_id = :tenant AND scope = :scope AND key = :key",
        place.params(),
    )
    fingerprint, status, body = rows[0]
    if fingerprint != place.fingerprint:
        raise ValidationFailed(
            "this Idempotency-Key was used with another body", fix="use a new key for a new request"
        )
    return _Stored(status, bytes(body))


def _complete(place: _Place, status: int, body: bytes) -> Work[None]:
    yield Sql(
        "UPDATE idempotency_keys SET status = :status, body = :body"
        " WHERE tenant_id = :tenant AND scope = :scope AND key = :key",
        place.params(status=status, body=body),
    )


def _release(place: _Place) -> Work[None]:
    yield Sql(
        "DELETE FROM idempotency_keys WHERE tenant_id = :tenant AND scope = :scope AND key = :key AND status = 0",
        place.params(),
    )
