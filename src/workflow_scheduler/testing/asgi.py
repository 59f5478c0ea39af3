"""An HTTP client that calls an ASGI application in the same process: no sockets, no threads, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Reply(msgspec.Struct, frozen=True):
    """An answer. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body, decoded."""
        return msgspec.json.decode(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class AsgiClient:
    """Calls `app`; `headers` go with every request."""

    def __init__(self, app: App, headers: Mapping[str, str] | None = None) -> None:
        """Keep the application and the standing headers."""
        self._app = app
        self._headers = {"host": "localhost", **(headers or {})}

    async def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = msgspec.UNSET,
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request. `json` is encoded and typed; a `body` of several chunks arrives chunk by chunk."""
        given = {**self._headers, **{name.lower(): value for name, value in (headers or {}).items()}}
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            given.setdefault("content-type", "application/json")
        chunks = [body] if isinstance(body, bytes) else list(body)
        if isinstance(body, bytes) and body:
            given.setdefault("content-length", str(len(body)))
        call = _Call(chunks)
        await self._app(_scope(method, target, given), call.receive, call.send)
        return call.reply()

    async def get(self, target: str, **more: Any) -> Reply:
        """Send a GET."""
        return await self.request("GET", target, **more)

    async def post(self, target: str, **more: Any) -> Reply:
        """Send a POST."""
        return await self.request("POST", target, **more)

    async def put(self, target: str, **more: Any) -> Reply:
        """Send a PUT."""
        return await self.request("PUT", target, **more)

    async def delete(self, target: str, **more: Any) -> Reply:
        """Send a DELETE."""
        return await self.request("DELETE", target, **more)


class _Call:
    """One request under way."""

    def __init__(self, chunks: list[bytes]) -> None:
        last = len(chunks) - 1
        self._waiting: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": number < last} for number, chunk in enumerate(chunks)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        self._sent: list[Message] = []
        self._over = asyncio.Event()

    async def receive(self) -> Message:
        if self._waiting:
            return self._waiting.pop(0)
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self._sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._over.set()

    def reply(self) -> Reply:
        start = self._sent[0]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Reply(start["status"], headers, b"".join(message.get("body", b"") for message in self._sent[1:]))


def _scope(method: str, target: str, headers: Mapping[str, str]) -> Message:
    parts = urlsplit(target)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8003),
        "state": {},
    }
