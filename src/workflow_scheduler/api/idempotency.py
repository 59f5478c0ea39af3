"""Idempotency-Key on every POST: the same key and body give the same answer for a day, and the work is done once.

The key is reserved before the work begins and completed with its answer afterwards. After a crash in between nobody
knows whether the work was done: the same key is then refused with a sentence that says so, so that nothing is done
twice. Where the work itself is keyed (the key becomes the event_key of a run), it is simply asked for again, because
the unique constraint in the database gives the first run back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import msgspec

from workflow_scheduler.core.errors import BadRequest, Conflict, StoreUnavailable
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable.idempotency import IdempotencyRepository, Place, Stored

KEY_CHARACTERS_MAX = 255
ANSWER_BYTES_MAX = 1 << 20
SHOWN_ONCE = {"/api/v1/keys": "key"}
HARMLESS_AGAIN = ("/api/v1/secrets", "/api/v1/connections")
KEYED_SUFFIXES = ("/manual", "/execute", "/run", "/trigger", "/rerun", "/v1/events")
_REFUSED_FROM = 400
_FAULT_FROM = 500

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Idempotency:
    """Serves POSTs that carry a key."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep keys in `store`."""
        self._keys = IdempotencyRepository(store)
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
        if request["path"].startswith(HARMLESS_AGAIN):  # and not even a digest of a secret belongs beside its key
            await call(send)
            return
        keyed = request["path"].endswith(KEYED_SUFFIXES)
        name = (place.tenant_id, place.scope, place.key)
        if name in self._running and not keyed:
            raise Conflict("a request with this Idempotency-Key is still running", fix="ask again in a moment")
        self._running.add(name)
        try:
            stored = await self._keys.reserve(place, self._clock.now())
            if stored is not None and stored.finished:
                await _send_stored(stored, send)
            elif stored is None or keyed:
                await self._carry_out(place, call, send, SHOWN_ONCE.get(request["path"]))
            else:
                raise Conflict(
                    "a request with this Idempotency-Key was begun and its outcome is not known",
                    fix="look whether it was carried out, then use a new key",
                )
        finally:
            self._running.discard(name)

    async def _carry_out(
        self, place: Place, call: Callable[[Send], Awaitable[None]], send: Send, hidden: str | None
    ) -> None:
        recording = _Recording()
        await call(recording)
        if recording.status >= _REFUSED_FROM:
            if recording.status < _FAULT_FROM or recording.retryable:
                await self._keys.release(place)
        elif recording.size <= ANSWER_BYTES_MAX:
            with suppress(StoreUnavailable):  # the work is done and durable; only its answer would not be remembered
                await self._keys.complete(place, recording.status, recording.stored(hidden))
        await recording.replay(send)


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

    def stored(self, hidden: str | None) -> bytes:
        """Return the answer as it is kept; the field `hidden` is shown once and never stored."""
        kept = {b"content-type", b"location", b"etag"}
        headers = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in self._headers() if n in kept]
        content = b"".join(message.get("body", b"") for message in self.messages[1:])
        if hidden is not None:
            content = msgspec.json.encode({**msgspec.json.decode(content), hidden: None})
        return msgspec.json.encode({"headers": headers, "body": content.decode("latin-1")})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.messages[0].get("headers", ())) if self.messages else []

    async def replay(self, send: Send) -> None:
        """Send what was collected."""
        for message in self.messages:
            await send(message)


async def _send_stored(stored: Stored, send: Send) -> None:
    kept = msgspec.json.decode(stored.body)
    content = kept["body"].encode("latin-1")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept["headers"]]
    headers += [(b"content-length", str(len(content)).encode()), (b"idempotent-replayed", b"true")]
    await send({"type": "http.response.start", "status": stored.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _place(tenant: str, key: str, request: MutableMapping[str, Any], body: bytes) -> Place:
    if len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
        raise BadRequest(f"Idempotency-Key must be at most {KEY_CHARACTERS_MAX} printable characters")
    fingerprint = hashlib.sha256(request.get("query_string", b"") + b"\x00" + body).hexdigest()
    return Place(tenant, f"{request['method']} {request['path']}", key, fingerprint)
