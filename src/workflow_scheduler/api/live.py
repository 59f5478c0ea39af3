"""`/api/v1/stream`: server-sent events of what changes, in the order it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import FieldError, ValidationFailed, did_you_mean
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.pipeline.live import TOPICS, LiveItem

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_HEARTBEAT = b": still here\n\n"

router = APIRouter(prefix="/api/v1", tags=["live"])


@router.get(
    "/stream",
    summary="Follow what changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    context: Context,
    caller: Caller,
    topics: Annotated[str, Query(description="Topics, separated by commas; all of them by default.")] = "",
    last_event_id: Annotated[str | None, Header(description="The last id that was seen; goes on after it.")] = None,
) -> StreamingResponse:
    """Send every change as it comes. After a gap that cannot be filled an event `reset` asks to load anew."""
    wanted = _topics(topics)
    items = context.live.subscribe(caller.tenant_id, wanted, _position(last_event_id))
    return StreamingResponse(encoded(items, HEARTBEAT_SECONDS), media_type="text/event-stream", headers=_HEADERS)


async def encoded(items: AsyncIterator[LiveItem | None], heartbeat_seconds: float) -> AsyncIterator[bytes]:
    """Yield server-sent events; a comment when nothing has changed for `heartbeat_seconds`."""
    yield f"retry: {RETRY_MILLISECONDS}\n: connected\n\n".encode()
    following: asyncio.Task[LiveItem | None] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.ensure_future(anext(items))
            done, _ = await asyncio.wait((following,), timeout=heartbeat_seconds)
            if not done:
                yield _HEARTBEAT
                continue
            item, following = following.result(), None
            yield render(item)
    except StopAsyncIteration:
        return
    finally:
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await following
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def render(item: LiveItem | None) -> bytes:
    """Return one change in the form of server-sent events; None becomes `reset`."""
    if item is None:
        return b'event: reset\ndata: {"reason":"some changes are no longer known; load anew"}\n\n'
    text = msgspec.json.encode(
        {"id": item.id, "topic": item.topic, "type": item.type, "at": to_iso(item.at), "data": item.data}
    )
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (item.id, item.type.encode(), text)


def _topics(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in TOPICS:
            near = did_you_mean(name, TOPICS)
            message = f"unknown topic `{name[:40]}`" + (f", did you mean `{near}`?" if near else "")
            raise ValidationFailed(
                message, fix=f"the topics are {', '.join(TOPICS)}", errors=[FieldError("topics", message)]
            )
    return frozenset(names)


def _position(text: str | None) -> int | None:
    """Return the id in Last-Event-ID; one that is no number of ours is older than everything, hence a reset."""
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1  # noqa: PLR2004 - 64 bits
