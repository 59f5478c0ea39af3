"""Serves the built app: its page under every route it has, its files under `/assets`, and everything else to the API.

The page may load scripts, styles and data from this service only. It stands behind the front of the API, which checks
paths and sets the other headers of safety.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Scope]]
Send: TypeAlias = Callable[[Scope], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ROUTES: Final = frozenset(
    {
        "workflows", "runs", "events", "upcoming", "explain", "approvals", "connections", "templates", "dead-letters",
        "metrics", "settings",
    }
)  # fmt: skip
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
}
_FOR_EVER: Final = b"public, max-age=31536000, immutable"  # the name of such a file holds the hash of what is in it
_ASKED: Final = frozenset({"GET", "HEAD"})


class _File(NamedTuple):
    plain: bytes
    packed: bytes
    type: bytes
    cache: bytes


def site(app: Asgi) -> Asgi:
    """Return `app` behind the web UI."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        found = _find(scope) if scope["type"] == "http" and scope["method"] in _ASKED else None
        if found is None:
            await app(scope, receive, send)
        else:
            await _answer(found, scope, send)

    return serve


def _find(scope: Scope) -> _File | None:
    path: str = scope["path"]
    first, _, rest = path.removeprefix("/").partition("/")
    if first == "assets" or path == "/icon.svg":
        return _files().get(path)
    if path == "/" or first in ROUTES:
        # Programs read the figures at the same address.
        read = path == "/metrics" and b"text/html" not in _header(scope, b"accept")
        return None if read or "." in rest else _files()["/index.html"]
    return None


async def _answer(found: _File, scope: Scope, send: Send) -> None:
    packs = b"gzip" in _header(scope, b"accept-encoding")
    content = found.packed if packs else found.plain
    headers = [
        (b"content-type", found.type),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", found.cache),
        (b"vary", b"accept-encoding"),
        (b"content-security-policy", POLICY.encode()),
    ]
    if packs:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


def _header(scope: Scope, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


@functools.cache
def _files() -> dict[str, _File]:
    """Return the built files by path; they are read once, when the first page is asked for."""
    return dict(_walk(resources.files(__package__).joinpath("app"), ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, _File]]:
    found: list[tuple[str, _File]] = []
    for one in folder.iterdir():
        path = f"{prefix}/{one.name}"
        kind = _TYPES.get(one.name.rpartition(".")[2])
        if one.is_dir():
            found += _walk(one, path)
        elif kind is not None:
            plain = one.read_bytes()
            cache = _FOR_EVER if prefix == "/assets" else b"no-cache"
            found.append((path, _File(plain, gzip.compress(plain, mtime=0), kind, cache)))
    return found
