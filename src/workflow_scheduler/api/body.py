"""Request bodies: read within a size and a time, unpacked within the same size, decoded strictly."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from typing import Any

import msgspec
from fastapi import Request

from workflow_scheduler.core.errors import BadRequest, RequestTimeout, TooLarge, UnsupportedMedia

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
JSON_TYPES = ("application/json", "+json")
_GZIP_WINDOW = 31
_ZLIB_WINDOW = 15
DEPTH_MAX = 100
_decode = msgspec.json.decode


class Disconnected(Exception):
    """The client went away before its body was complete."""


class _Patience:
    """Awaits `receive` and gives up after a time, but starts no timer when the message is there already.

    The body of a small request nearly always arrives together with its headers; a timer for each of them would cost
    more than all the rest of the reading.
    """

    __slots__ = ("_receive", "_seconds")

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds

    def __await__(self) -> Generator[Any, Any, Message]:
        steps = self._receive().__await__()
        try:
            pending = next(steps)
        except StopIteration as done:
            found: Message = done.value
            return found
        async_limit = asyncio.timeout(self._seconds)
        yield from async_limit.__aenter__().__await__()
        try:
            message = yield from _resume(steps, pending)
        except BaseException as error:
            yield from async_limit.__aexit__(type(error), error, error.__traceback__).__await__()
            raise
        yield from async_limit.__aexit__(None, None, None).__await__()
        return message


def _resume(steps: Generator[Any, Any, Message], pending: Any) -> Generator[Any, Any, Message]:
    """Go on with a coroutine whose first step has been taken by hand."""
    while True:
        try:
            sent = yield pending
        except BaseException as error:  # noqa: BLE001 - cancellation has to reach the inner coroutine
            try:
                pending = steps.throw(error)
            except StopIteration as done:
                found: Message = done.value
                return found
        else:
            try:
                pending = steps.send(sent)
            except StopIteration as done:
                found = done.value
                return found


async def read(receive: Receive, limit: int, seconds: float) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: it is longer than `limit` bytes; reading stopped there.
        RequestTimeout: it did not arrive within `seconds`.
        Disconnected: the client went away.

    """
    try:
        message = await _Patience(receive, seconds)
        if message["type"] != "http.request":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(chunk) > limit:
                raise too_large(limit)
            return chunk
        async with asyncio.timeout(seconds):
            return await _rest(receive, chunk, limit)
    except TimeoutError:
        raise RequestTimeout(
            f"the body did not arrive within {seconds:g} s", fix="send the body without pauses"
        ) from None


async def _rest(receive: Receive, first: bytes, limit: int) -> bytes:
    chunks = [first]
    size = len(first)
    while size <= limit:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        chunk = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body", False):
            break
    if size > limit:
        raise too_large(limit)
    return b"".join(chunks)


def too_large(limit: int) -> TooLarge:
    """Return the error for a body beyond `limit` bytes."""
    return TooLarge(f"the body is larger than {limit} bytes", fix="send less, or raise WFS_MAX_BODY_BYTES")


def declared_length(value: str | bytes | None) -> int:
    """Return the number in a Content-Length header, or 0 when there is none.

    Raises:
        BadRequest: it is not a number.

    """
    if not value:
        return 0
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not (text.isascii() and text.isdigit()):
        raise BadRequest("Content-Length is not a number")
    return int(text[:19]) if len(text) < 19 else (1 << 62)  # noqa: PLR2004 - 19 digits fit 64 bits


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Return `body` without its Content-Encoding, never more than `limit` bytes.

    Raises:
        UnsupportedMedia: the encoding is neither gzip, deflate nor identity.
        TooLarge: the unpacked body is larger than `limit`.
        BadRequest: the packed bytes are damaged.

    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise UnsupportedMedia(f"the content encoding `{name[:40]}` is not supported", fix="use gzip, deflate or none")
    inflater = zlib.decompressobj(_ZLIB_WINDOW if name == "deflate" else _GZIP_WINDOW)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        raise BadRequest(f"the body is not valid {name}") from None
    if len(plain) > limit:
        raise too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise BadRequest(f"the body is not one complete {name} stream")
    return plain


def decode_json(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259, UTF-8), strictly: no NaN, no lone surrogates, bounded depth.

    Raises:
        BadRequest: the text is not JSON, or a number or the depth is beyond what any reader keeps.

    """
    if not body:
        raise BadRequest("the body is empty; a JSON document is expected")
    try:
        value = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Refuse a value that is nested deeper than DEPTH_MAX.

    Raises:
        BadRequest: it is; readers further on, with less of the stack left, could not decode it any more.

    """
    level: list[Any] = [[value]]
    for _ in range(DEPTH_MAX + 1):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> BadRequest:
    return BadRequest(f"the JSON is nested deeper than {DEPTH_MAX} levels", fix="flatten the document")


def is_json(content_type: str) -> bool:
    """Return whether the media type is JSON or one built on it."""
    media = content_type.partition(";")[0].strip().lower()
    return media.endswith(JSON_TYPES)


def without_nul(value: Any) -> Any:
    """Return `value`, checked: databases keep no NUL in text, so no name or text may hold one.

    Raises:
        BadRequest: a string holds a NUL character.

    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise BadRequest("the body holds a NUL character (\\u0000)", fix="remove it")
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


def header(pairs: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the first header of that lower-case name as text, or an empty string."""
    for key, value in pairs:
        if key == name:
            return value.decode("latin-1")
    return ""


async def body(request: Request) -> Any:
    """Dependency: the request's JSON value (already read, checked and decoded by the front), None when empty."""
    raw = await request.body()
    return decode_json(raw) if raw else None


async def json_object(request: Request) -> dict[str, Any]:
    """Dependency: the request's JSON object; an empty body is an empty object.

    Raises:
        BadRequest: the body is JSON of another kind.

    """
    value = await body(request)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


async def raw(request: Request) -> bytes:
    """Dependency: the request's bytes, unpacked and within the size limit."""
    return await request.body()
