"""What a Slack request says: an event, a pressed button, a command; read defensively, every field may be missing.

- Events API: https://docs.slack.dev/apis/events-api/ (envelope, retries, `app_rate_limited`)
- URL verification: https://docs.slack.dev/reference/events/url_verification
- messages and their subtypes: https://docs.slack.dev/reference/events/message
- interactivity: https://docs.slack.dev/interactivity/handling-user-interaction (a form with a field `payload`)
- commands: https://docs.slack.dev/interactivity/implementing-slash-commands (a plain form)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import re2

from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.inbound.body import read_body, read_json

PLAIN_SUBTYPES: Final = frozenset({"", "bot_message", "file_share", "me_message", "thread_broadcast"})
"""Subtypes of what somebody has written; every other one tells of a change and is an event type of its own."""
CHANNEL_TYPES: Final = {
    "message.channels": "channel", "message.groups": "group", "message.im": "im", "message.mpim": "mpim",
}  # fmt: skip
INTERACTIONS: Final = frozenset(
    {"block_actions", "block_suggestion", "message_action", "shortcut", "view_submission", "view_closed"}
)
COMMAND: Final = "slash_command"
MESSAGE: Final = "message"
MENTION: Final = "app_mention"
_EVENT_TYPE = re2.compile(r"[a-z0-9_]{1,80}(?:\.[a-z]{1,20})?")
RATE_LIMITED: Final = "app_rate_limited"


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The parts of a request that filters look at. `bot` says whether a bot wrote it; `me` is our bot's user id."""

    kind: str
    team: str | None
    channel: str | None
    channel_type: str | None
    user: str | None
    text: str | None
    ts: str | None
    thread: str | None
    bot: bool
    me: str | None

    @property
    def is_message(self) -> bool:
        """Whether somebody has written something."""
        return self.kind in (MESSAGE, MENTION)

    @property
    def in_thread(self) -> bool:
        """Whether it is a reply within a thread."""
        return self.thread is not None and self.thread != self.ts

    @property
    def mentions_us(self) -> bool | None:
        """Whether our bot is addressed; None where it is not known which user it is."""
        if self.kind == MENTION or self.channel_type == "im":
            return True
        if self.me is None:
            return None
        return f"<@{self.me}>" in (self.text or "") or f"<@{self.me}|" in (self.text or "")


def known_types(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of event types.

    Raises:
        ValueError: one of them cannot be the name of an event.

    """
    for one in value:
        if _EVENT_TYPE.fullmatch(one) is None or ("." in one and one not in CHANNEL_TYPES):
            message = f"`{one}` is not the name of a Slack event"
            raise ValueError(message)
    return value


def written_kinds(event_types: Iterable[str]) -> tuple[str, ...]:
    """Return which of message and app_mention are among event types; none given are all."""
    wanted = {MESSAGE if one in CHANNEL_TYPES else one for one in event_types} or {MESSAGE, MENTION}
    return tuple(sorted({MESSAGE, MENTION} & wanted))


def payload_of(body: bytes, content_type: str) -> tuple[bytes, dict[str, Any]]:
    """Return what a request says as JSON bytes and as an object: events, the `payload` of a form, or a command's form.

    Raises:
        BadRequest: it is none of them.

    """
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        data = read_body(body, content_type).data
        form = read_json(data)
        inner = form.get("payload") if isinstance(form, dict) else None
        if isinstance(inner, str):
            data = inner.encode("utf-8", "replace")
    else:
        data = read_body(body, "application/json").data
    value = read_json(data)
    if not isinstance(value, dict):
        raise BadRequest("The body is not what Slack sends: a JSON object, or a form.")
    return data, value


def facts_of(payload: Any) -> Facts:
    """Return the facts of a request; total over any JSON."""
    whole = payload if isinstance(payload, dict) else {}
    event = _dict(whole, "event")
    inner = event or whole
    message = _dict(inner, "message")
    team = _text(whole, "team_id") or _text(_dict(whole, "team"), "id") or _text(inner, "team")
    return Facts(
        kind=_kind(whole, event),
        team=team,
        channel=_channel(inner),
        channel_type=_text(inner, "channel_type"),
        user=_text(inner, "user") or _text(_dict(inner, "user"), "id") or _text(inner, "user_id"),
        text=_text(inner, "text") if not message or event else _text(message, "text"),
        ts=_text(inner, "ts") or _text(message, "ts"),
        thread=_text(inner, "thread_ts") or _text(message, "thread_ts"),
        bot=bool(inner.get("bot_id")) or inner.get("subtype") == "bot_message",
        me=_me(whole),
    )


def identity_of(payload: dict[str, Any]) -> str | None:
    """Return what identifies a request.

    A message is named by its channel and `ts`, which the history of the channel knows as well; anything else by the
    envelope's `event_id`, interactions and commands by their `trigger_id`. Retries carry the same ones; the header
    `X-Slack-Retry-Num` says nothing about identity.
    """
    event = _dict(payload, "event")
    kind, channel, ts = _kind(payload, event), _text(event, "channel"), _text(event, "ts")
    if kind in (MESSAGE, MENTION) and channel is not None and ts is not None:
        return f"{kind}:{channel}:{ts}"
    if payload.get("type") == RATE_LIMITED:
        return f"{_text(payload, 'team_id')}:{payload.get('minute_rate_limited')}"
    known = _text(payload, "event_id")
    if known is not None:
        return known
    trigger, kind = _text(payload, "trigger_id"), _text(payload, "type") or COMMAND
    return None if trigger is None else f"{kind}:{trigger}"


def challenge_of(payload: dict[str, Any]) -> str | None:
    """Return the challenge of a request that only asks whether the address is ours."""
    return _text(payload, "challenge") if payload.get("type") == "url_verification" else None


def is_silent(payload: dict[str, Any]) -> bool:
    """Return whether a request tells of nothing that happened."""
    return challenge_of(payload) is not None or "ssl_check" in payload


def _kind(whole: dict[str, Any], event: dict[str, Any]) -> str:
    """Return the event type; what changes a message has the name of its subtype."""
    if event:
        kind, subtype = _text(event, "type") or "", _text(event, "subtype") or ""
        return subtype if kind == "message" and subtype not in PLAIN_SUBTYPES else kind
    if _text(whole, "command") is not None:
        return COMMAND
    return _text(whole, "type") or ""


def _channel(inner: dict[str, Any]) -> str | None:
    for place in (inner, _dict(inner, "item"), _dict(inner, "container")):
        found = _text(place, "channel") or _text(_dict(place, "channel"), "id") or _text(place, "channel_id")
        if found is not None:
            return found
    return None


def _me(whole: dict[str, Any]) -> str | None:
    found = whole.get("authorizations")
    for one in found if isinstance(found, list) else []:
        if isinstance(one, dict) and one.get("is_bot") is True:
            return _text(one, "user_id")
    return None


def _dict(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None
