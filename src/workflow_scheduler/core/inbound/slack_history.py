"""Messages of Slack that never arrived: Slack tries for some minutes, and its history has them afterwards.

Source: https://docs.slack.dev/reference/methods/conversations.history (newest first, page by page; replies within
threads are not in it).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from workflow_scheduler.core.errors import NotConnected, Unavailable
from workflow_scheduler.core.inbound.slack import MENTION, MESSAGE, PLAIN_SUBTYPES
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Heard, PushRequest
from workflow_scheduler.core.time.clock import SECOND_US

LOOK_SECONDS: Final = 300.0
SETTLED_US: Final = 60 * SECOND_US
"""What is newer may still be on its way here."""
PORTION: Final = 200
PATH: Final = "/slack/history"
_HEADERS: Final = {"content-type": "application/json"}


class Api(Protocol):
    """Slack's Web API, as one token sees it."""

    async def get(self, method: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that reads."""
        ...

    async def post(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that takes JSON."""
        ...


Ask = Callable[[Slack], Api]
Hear = Callable[[PushRequest], list[Heard]]


class Past(msgspec.Struct, frozen=True):
    """What is looked for: ids of channels, and whether as messages, as mentions of the bot, or as both."""

    connection: str
    channels: Sequence[str]
    kinds: Sequence[str]


async def catch_up(past: Past, position: Any, io: SourceIO, ask: Ask, hear: Hear) -> AsyncGenerator[Received]:
    """Look at once, and every LOOK_SECONDS; `position` has the time up to which each channel was read.

    The first look only takes note of the time.

    Raises:
        Rejected, RetryAfter, NotConnected: as Slack says.

    """
    fields = await io.connection(past.connection, Slack)
    read: dict[str, str] = dict(position) if isinstance(position, dict) else {}
    envelopes: dict[str, dict[str, Any]] = {}
    while True:
        until = f"{(io.now() - SETTLED_US) / SECOND_US:.6f}"
        for channel in past.channels:
            after = read.setdefault(channel, until)
            if float(after) >= float(until):
                continue
            try:
                if channel not in envelopes:
                    envelopes[channel] = await _envelope(ask(fields), channel)
                missed = await _messages(ask(fields), channel, after, until)
            except Unavailable as error:
                raise NotConnected(error.detail) from error
            for at in range(0, len(missed), PORTION):
                some = missed[at : at + PORTION]
                heard = [one for message in some for one in _heard(past, envelopes[channel], message, hear, io.now())]
                read[channel] = some[-1]["ts"]
                yield Received(heard=heard, position=dict(read))
            read[channel] = until
        io.alive()
        yield Received(position=dict(read))
        await io.sleep(LOOK_SECONDS)


async def _envelope(api: Api, channel: str) -> dict[str, Any]:
    """Return what Slack would have put around an event of a channel."""
    us = await api.get("auth.test", {})
    told = (await api.get("conversations.info", {"channel": channel})).get("channel") or {}
    kinds = (("is_im", "im"), ("is_mpim", "mpim"), ("is_private", "group"))
    kind = next((kind for flag, kind in kinds if told.get(flag)), "channel")
    me = {"team_id": us.get("team_id"), "user_id": us.get("user_id"), "is_bot": True}
    event = {"channel": channel, "channel_type": kind}
    return {"type": "event_callback", "team_id": us.get("team_id"), "authorizations": [me], "event": event}


async def _messages(api: Api, channel: str, after: str, until: str) -> list[dict[str, Any]]:
    """Return what somebody has written in a span of time, the oldest first."""
    found: list[dict[str, Any]] = []
    query = {"channel": channel, "oldest": after, "latest": until, "inclusive": "true", "limit": PORTION}
    cursor = ""
    while True:
        answer = await api.get("conversations.history", {**query, **({"cursor": cursor} if cursor else {})})
        found += [
            one
            for one in answer.get("messages") or ()
            if one.get("type", MESSAGE) == MESSAGE and one.get("subtype", "") in PLAIN_SUBTYPES and one.get("ts")
        ]
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return found[::-1]


def _heard(past: Past, envelope: dict[str, Any], message: dict[str, Any], hear: Hear, now: int) -> list[Heard]:
    (me,) = envelope["authorizations"]
    mentions = f"<@{me['user_id']}" in str(message.get("text"))
    found: list[Heard] = []
    for kind in past.kinds:
        if kind == MENTION and not mentions:
            continue
        event = {**message, **envelope["event"], "type": kind}
        body = msgspec.json.encode({**envelope, "event_time": int(float(message["ts"])), "event": event})
        found += [one.healed() for one in hear(PushRequest("POST", PATH, "", _HEADERS, body, now))]
    return found
