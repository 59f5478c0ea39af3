"""Something that happens in Slack: a message, a mention, a reaction, a pressed button, a command.

Requests go to `/api/v1/slack/events` (events, interactivity and commands alike) and are checked with `secret`, the
app's signing secret. Each counts once, however often Slack tries. `channels` are ids or names, `users`
ids or mail addresses; names are turned into ids at deploy by the token of `connection`, or by the secret
SLACK_BOT_TOKEN, which finds `workspace_id` as well. Bots are left out unless `ignore_bots: false`.

With `socket: true` Slack is connected to in place of calling (Socket Mode), with the app token of `connection`: neither
an address nor a signing secret is needed. With `history: true` the history of the channels is read every five minutes,
and at once after the service was away, for messages that never arrived.

`event_types` are those of the Events API (`message app_mention reaction_added member_joined_channel …`), also with the
place (`message.channels message.groups message.im message.mpim`), changes of messages (`message_changed
message_deleted`), interactions (`block_actions view_submission shortcut message_action`) and `slash_command`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import msgspec
import re2
from pydantic import AfterValidator, Field, field_validator, model_validator

from workflow_scheduler.core.inbound import scheme
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.inbound.merged import merged
from workflow_scheduler.core.inbound.scheme import Signature
from workflow_scheduler.core.inbound.slack import (
    CHANNEL_TYPES,
    Facts,
    challenge_of,
    facts_of,
    identity_of,
    is_silent,
    known_types,
    payload_of,
    written_kinds,
)
from workflow_scheduler.core.inbound.slack_history import Api, Past, catch_up
from workflow_scheduler.core.inbound.slack_socket import listen
from workflow_scheduler.core.match.fields import Patterns, Texts
from workflow_scheduler.core.match.pattern import compile_pattern
from workflow_scheduler.core.match.verdict import Predicate, Verdict, conjunction
from workflow_scheduler.core.model.connection import Slack
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.resolving import Resolved, Resolving
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard, PushRequest

name = "slack"
title = "Slack"
icon = "brand-slack"
shape = "push"
since = "0.1"
extras = ""

DEFAULT_SECRET = "SLACK_SIGNING_SECRET"  # noqa: S105 - the name of a secret
EVERY_WORKSPACE = "*"
_SUB_KEYS_MAX = 20
_ID = re2.compile(r"[CGD][A-Z0-9]{1,20}")
_USER_ID = re2.compile(r"[UWB][A-Z0-9]{1,20}")
_TEAM_ID = re2.compile(r"[TE][A-Z0-9]{1,20}")
_RULE = Signature(scheme="slack", secret=DEFAULT_SECRET)
_HIDDEN = frozenset({"x-slack-signature", "authorization", "cookie", "proxy-authorization"})
_TAGS: dict[str, Any] = {"ui": {"widget": "tags"}}
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which events of which workspace start the workflow."""

    workspace_id: str | None = Field(
        default=None,
        title="Workspace",
        description="The id of the workspace (T…). None: the one of the token, or every one whose secret fits.",
        json_schema_extra={"ui": {"placeholder": "T1234567890"}},
    )
    channels: Texts = Field(
        default=(),
        title="Channels",
        description="Ids (C…) or names (`#general`). None: every channel that the app can see.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "#general"}},
    )
    event_types: Annotated[Texts, AfterValidator(known_types)] = Field(
        default=("message", "app_mention"),
        title="Event types",
        description="Names of events, interactions, or `slash_command`. An empty list: every one.",
        json_schema_extra=_TAGS,
    )
    users: Texts = Field(
        default=(),
        title="Users",
        description="Ids (U…) or mail addresses of those who count. None: everybody.",
        json_schema_extra=_TAGS,
    )
    mention_required: bool = Field(
        default=False, title="Mention required", description="Only messages that mention the app's bot."
    )
    ignore_bots: bool = Field(default=True, title="Ignore bots", description="Leave out what bots write.")
    require_thread: bool = Field(default=False, title="Thread required", description="Only replies within a thread.")
    text: Patterns = Field(
        default=(),
        title="Text",
        description="Regular expressions (RE2), of which one must occur in the text.",
        json_schema_extra=_TAGS,
    )
    connection: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        title="Connection",
        description="A connection of kind `slack`, whose token turns names into ids. Default: SLACK_BOT_TOKEN.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "slack"}},
    )
    secret: str = Field(
        default=DEFAULT_SECRET,
        min_length=1,
        title="Signing secret",
        description="The name of the stored secret that Slack signs with. Default: the one of the whole service.",
        json_schema_extra={"secret": True, "ui": {"widget": "secret"}},
    )
    socket: bool = Field(
        default=False,
        title="Socket Mode",
        description="Connect to Slack in place of being called; the connection needs an app token (xapp-…).",
    )
    history: bool = Field(
        default=False,
        title="Read the history",
        description="Look in the channels for messages that never arrived; the token needs channels:history.",
    )
    ids: dict[str, str] = Field(
        default_factory=dict,
        max_length=2_000,
        title="Ids",
        description="The ids of named channels and users, found at deploy.",
        json_schema_extra={"ui": {"widget": "hidden"}},
    )

    @field_validator("workspace_id")
    @classmethod
    def _is_a_workspace(cls, given: str | None) -> str | None:
        if given is not None and _TEAM_ID.fullmatch(given) is None:
            message = f"`{given}` is not the id of a workspace; it begins with T"
            raise ValueError(message)
        return given

    @model_validator(mode="after")
    def _connected(self) -> Config:
        if self.socket and self.connection is None:
            message = "Socket Mode needs a `connection` of kind slack with an app token"
            raise ValueError(message)
        if self.history and not (self.connection and self.channels and self.kinds):
            message = "`history` needs a `connection`, `channels`, and message or app_mention among `event_types`"
            raise ValueError(message)
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which of message and app_mention count."""
        return written_kinds(self.event_types)

    @property
    def origin(self) -> str:
        """What proves that an event is for this trigger: the secret of its requests, or its own socket."""
        return f"socket:{self.connection}" if self.socket else self.secret

    def ids_of(self, names: tuple[str, ...]) -> frozenset[str]:
        """Return the ids of channels or users; a name whose id is not known stands for itself."""
        return frozenset(self.ids.get(one, one) for one in names)


_MESSAGE = {
    "type": "event_callback",
    "team_id": "T1234567890",
    "event_id": "Ev08MFMKH6",
    "event_time": 1_804_000_000,
    "authorizations": [{"team_id": "T1234567890", "user_id": "U0BOT", "is_bot": True}],
    "event": {
        "type": "message", "channel": "C09D2JW6814", "channel_type": "channel", "user": "U061F7AUR",
        "text": "<@U0BOT> deploy billing", "ts": "1804000000.000100",
    },
}  # fmt: skip
_PRESSED = {
    "type": "block_actions", "trigger_id": "13345224609.738474920.8088930838d88f008e0",
    "team": {"id": "T1234567890"}, "user": {"id": "U061F7AUR"}, "channel": {"id": "C09D2JW6814"},
    "message": {"ts": "1804000000.000100"}, "actions": [{"action_id": "wfs:approve", "value": "0196b7a0"}],
}  # fmt: skip
examples = (
    Example(
        title="Messages in a channel that mention the bot",
        config={
            "workspace_id": "T1234567890",
            "channels": ["C09D2JW6814", "C09D2JW6815"],
            "event_types": ["message", "app_mention"],
            "mention_required": True,
            "ignore_bots": True,
        },
        event={"path": "/api/v1/slack/events", "body": _MESSAGE},
    ),
    Example(
        title="Pressed buttons",
        config={"event_types": ["block_actions"], "secret": "slack_signing", "users": ["U061F7AUR"]},
        event={"path": "/api/v1/slack/events", "body": _PRESSED},
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the workspace, or the key of every one."""
    return (config.workspace_id or EVERY_WORKSPACE,)


def sub_keys(config: Config) -> tuple[str, ...]:
    """Return the channels that count, where they are few."""
    ids = config.ids_of(config.channels)
    return tuple(sorted(ids)) if 0 < len(ids) <= _SUB_KEYS_MAX else ("",)


def secret_name(config: Config) -> str | None:
    """Return the name of the secret that requests are checked with."""
    return None if config.socket else config.secret


def verify(config: Config | None, request: PushRequest, secret: str | None) -> None:  # noqa: ARG001 - one endpoint for all
    """Check `X-Slack-Signature` over time and raw body.

    Raises:
        SignatureInvalid: it is missing, wrong or older than five minutes, or the secret is not set.

    """
    scheme.verify(_RULE, request, secret)


def sign(config: Config | None, request: PushRequest, secret: str) -> dict[str, str]:  # noqa: ARG001 - as verify
    """Return the headers with which Slack signs `request`."""
    return scheme.sign(_RULE, request, secret)


def reply(request: PushRequest) -> tuple[str, bytes]:
    """Return media type and body of the answer to a request that was heard: its challenge, else nothing.

    Slack shows people whatever stands in the answer to a command, so that nothing may.
    """
    _, payload = payload_of(request.body, request.headers.get("content-type", ""))
    return "text/plain", (challenge_of(payload) or "").encode("utf-8", "replace")


def parse(config: Config | None, request: PushRequest) -> list[Heard]:  # noqa: ARG001 - one endpoint for all
    """Return the event that the request is; nothing for one that only asks whether somebody is here.

    Raises:
        BadRequest: the body is neither a JSON object nor a form.

    """
    headers = request.headers
    data, payload = payload_of(request.body, headers.get("content-type", ""))
    if is_silent(payload):
        return []
    facts = facts_of(payload)
    attributes = {
        "method": request.method,
        "path": request.path,
        "headers": {key: value for key, value in headers.items() if key not in _HIDDEN},
        "content_type": headers.get("content-type"),
        "event": facts.kind,
        "team": facts.team,
        "channel": facts.channel,
        "signed_with": request.signed_with,
    }
    time = payload.get("event_time")
    return [
        Heard(
            source=f"/slack/{facts.team or ''}",
            type=f"slack.{facts.kind}" if facts.kind else "slack",
            subject=_subject(facts),
            event_key=identity_of(payload),
            time=time * 1_000_000 if type(time) is int and 0 <= time < 10**11 else None,
            data=data,
            attributes=_encode(attributes),
            index_keys=(facts.team, EVERY_WORKSPACE) if facts.team else (EVERY_WORKSPACE,),
            sub_keys=("", facts.channel) if facts.channel else ("",),
            traceparent=headers.get("traceparent"),
        )
    ]


def _subject(facts: Facts) -> str | None:
    if facts.channel is None:
        return None
    return f"{facts.channel}/{facts.ts}" if facts.ts else facts.channel


def source_key(config: Config) -> str | None:
    """Return the app whose socket or history is read; None for one that only sends requests."""
    if config.history:
        past = (sorted(config.ids_of(config.channels)), config.kinds, config.origin)
        return key_of(f"{config.connection}", "history", *past)
    return key_of(f"{config.connection}", "socket") if config.socket else None


def silence_seconds(config: Config) -> float | None:  # noqa: ARG001 -- the contract of streams
    """Return None: a lost socket is noticed by its pings."""
    return None


def open(config: Config, position: Any, io: SourceIO) -> AsyncGenerator[Received]:  # noqa: A001 -- the contract of streams
    """Read what Slack hands over on a socket, and what the history of the channels has."""
    from workflow_scheduler.outbound.slack_api import SlackApi

    def hear(request: PushRequest) -> list[Heard]:
        return parse(config, msgspec.structs.replace(request, signed_with=(config.origin,)))

    def ask(app: Slack) -> Api:
        return SlackApi(io, app, "source", io.now())

    connection = str(config.connection)
    streams = [listen(connection, io, ask, hear)] if config.socket else []
    if config.history:
        past = Past(connection, sorted(config.ids_of(config.channels)), config.kinds)
        streams.append(catch_up(past, position, io, ask, hear))
    return merged(*streams) if len(streams) > 1 else streams[0]


def matches(config: Config, event: EventView) -> Verdict:
    """Compare workspace, type, channel, user, bot, mention, thread and text."""
    facts = _facts(event)
    lines = [_type_line(config, facts)]
    if config.workspace_id is not None:
        lines.append(_line("workspace", config.workspace_id, facts.team, {config.workspace_id}))
    signed = event.attributes.get("signed_with") if isinstance(event.attributes, dict) else None
    if signed:  # one request is heard for all triggers of a tenant; it counts for those whose own secret it passed
        lines.append(Predicate("secret", config.origin, signed, config.origin in signed))
    if config.channels:
        lines.append(_line("channel", list(config.channels), facts.channel, config.ids_of(config.channels)))
    if config.users:
        lines.append(_line("user", list(config.users), facts.user, config.ids_of(config.users)))
    if config.ignore_bots:
        bot = facts.bot or (facts.me is not None and facts.user == facts.me)
        lines.append(Predicate("bot", expected=False, actual=bot, verdict=not bot))
    if config.mention_required and facts.is_message:
        note = None if facts.mentions_us is not None else "the event does not name the app's bot"
        lines.append(Predicate("mention", True, facts.mentions_us, facts.mentions_us, note))  # noqa: FBT003
    if config.require_thread:
        lines.append(Predicate("thread", True, facts.in_thread, facts.in_thread))  # noqa: FBT003
    if config.text:
        lines.append(_text_line(config.text, facts.text))
    return conjunction(lines)


def _facts(event: EventView) -> Facts:
    """Return the facts of an event; made once, however many triggers look at it."""
    found: Facts | None = event.__dict__.get("slack_facts")
    if found is None:
        found = facts_of(event.data)
        event.__dict__["slack_facts"] = found
    return found


def _type_line(config: Config, facts: Facts) -> Predicate:
    if not config.event_types:
        return Predicate("event type", "any", facts.kind, bool(facts.kind))
    fits = facts.kind in config.event_types
    if not fits and facts.kind == "message":
        fits = any(CHANNEL_TYPES.get(one) == (facts.channel_type or "channel") for one in config.event_types)
    return Predicate("event type", list(config.event_types), facts.kind, fits)


def _line(what: str, expected: Any, actual: str | None, wanted: frozenset[str] | set[str]) -> Predicate:
    return Predicate(what, expected, actual, None if actual is None else actual in wanted)


def _text_line(patterns: tuple[str, ...], text: str | None) -> Predicate:
    if text is None:
        return Predicate("text", list(patterns), None, None, "the event has no text")
    fits = any(compile_pattern(pattern).search(text) for pattern in patterns)
    return Predicate("text", list(patterns), text[:200], bool(fits))


async def resolve(config: Config, around: Resolving) -> Resolved:
    """Find the workspace of the token, and the ids of channels and users that are given by name.

    Raises:
        ValidationFailed: there is no such channel or user, or no token to ask with.
        SchedulerError: Slack cannot be asked now, and names depend on it.

    """
    from workflow_scheduler.outbound.slack_resolve import Wanted, resolved

    channels = [one for one in config.channels if _ID.fullmatch(one) is None]
    users = [one for one in config.users if _USER_ID.fullmatch(one) is None]
    return await resolved(Wanted(config.connection, config.workspace_id, channels, users), around)
