"""What happens in a Google calendar: an entry is created, updated or cancelled, or it starts soon.

The calendar is asked every so often for what changed since the last answer (a sync token). With `push` Google tells of
changes at once, on a channel that is replaced at half its life; what it does not tell is found by asking. Where Google
has forgotten the token (410), what changed since the last answer is looked up by its time, and counts once. Deleted
entries of which Google names no time are remembered for that, up to 2,000.

An entry that starts within `starts_in` counts as `starting`, once for each time that it is set to.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Google
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard, Poke, PushRequest
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, from_datetime, from_iso, to_iso
from workflow_scheduler.outbound.google import Client
from workflow_scheduler.outbound.google_calendar import SCOPE, Calendar, Channel, Events

name = "google_calendar"
title = "Google Calendar"
icon = "calendar"
shape = "poll"
since = "0.2"
extras = ""

NOTIFICATIONS = "/api/v1/google_calendar/notifications"
PUSHED_EVERY = 600.0
ASKED_EVERY = 60.0
GONE_MAX = 2_000
_LABEL_CHARACTERS = 60
_encode = msgspec.json.encode
Kind = Literal["created", "updated", "cancelled", "starting"]
What = Literal["first", "changes", "again"]


class Config(BaseConfig):
    """Which calendar is followed, and what counts in it."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `google`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "google"}},
    )
    calendar: Line = Field(
        default="primary",
        title="Calendar",
        description="The id of the calendar, often a mail address; `primary` is the account's own.",
    )
    events: tuple[Kind, ...] = Field(
        default=("created", "updated", "cancelled"),
        min_length=1,
        title="Events",
        description="created, updated, cancelled, starting.",
    )
    starts_in: Annotated[Duration, Field(ge=0, le=30 * 86_400)] | None = Field(
        default=None, title="Starts in", description="For `starting`: how long before its start an entry counts: 10m."
    )
    every: Annotated[Duration, Field(ge=1, le=86_400)] | None = Field(
        default=None, title="Every", description="The pause between two questions: a minute, with `push` ten."
    )
    push: bool = Field(
        default=False,
        title="Push",
        description="Whether Google tells of changes at once; it must reach this service over HTTPS (WFS_PUBLIC_URL).",
    )

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if ("starting" in self.events) != (self.starts_in is not None):
            message = "`starting` and `starts_in` belong together: events: [starting], starts_in: 10m"
            raise ValueError(message)
        return self

    @property
    def hears_changes(self) -> bool:
        """Whether anything counts beside what starts soon."""
        return set(self.events) != {"starting"}


class Cursor(msgspec.Struct, omit_defaults=True):
    """How far the calendar is read: `since` the newest change that was heard, microseconds.

    `what` is read now, from `page`; `newest` is the newest change of it. `started` are entries that counted as
    starting, with their starts; `looked_at` is the last look at what starts. `gone` are marks of deleted entries of
    which Google tells no time; `knows_gone`, whether they are all of those that there were.
    """

    what: What = "first"
    sync: str | None = None
    page: str | None = None
    since: int = 0
    newest: int = 0
    started: dict[str, int] = {}
    looked_at: int | None = None
    gone: list[str] = []
    knows_gone: bool = False
    channel: Channel | None = None


examples = (
    Example(
        title="Ten minutes before a meeting",
        config={"connection": "office", "events": ["starting"], "starts_in": "10m"},
        event={
            "type": "google_calendar.starting",
            "data": {
                "id": "7kukuqrfedlm", "status": "confirmed", "summary": "Planning", "calendar": "primary",
                "start": {"dateTime": "2027-01-05T12:10:00Z"}, "end": {"dateTime": "2027-01-05T13:00:00Z"},
            },
            "attributes": {"event": "starting", "calendar": "primary", "id": "7kukuqrfedlm"},
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return the calendar, and what counts in it; short, since a channel carries it."""
    what = (config.connection, config.calendar, config.events, config.starts_in, config.push)
    return key_of(config.calendar[:_LABEL_CHARACTERS], *what)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: what does not count is not heard; `condition` looks into it."""
    return TRUE


def poll_seconds(config: Config) -> float:
    """Return the pause between two questions."""
    if config.every is not None:
        return config.every
    return PUSHED_EVERY if config.push and config.starts_in is None else ASKED_EVERY


def poke(request: PushRequest) -> Poke | None:
    """Return which source a notification of Google is about, and what proves it; None for what is no notification."""
    token = request.headers.get("x-goog-channel-token", "")
    try:
        tenant_id, key, _ = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=tuple[str, str, str])
    except (msgspec.MsgspecError, ValueError):
        return None
    return Poke(tenant_id, key, (request.headers.get("x-goog-channel-id", ""), token))


def knows(cursor: Any, proof: Any) -> bool:
    """Tell whether a notification is one of the channel that the source has now."""
    channel = None if cursor is None else msgspec.convert(cursor, Cursor).channel
    if channel is None:
        return False
    name, token = proof
    same = hmac.compare_digest(channel.id.encode(), name.encode())
    return hmac.compare_digest(channel.token.encode(), token.encode()) and same


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Ask for the next page of what changed, and for what starts soon."""
    fields = await io.connection(config.connection, Google)
    calendar = Calendar(Client(io.send, fields, SCOPE, io.kept, io.now), config.calendar)
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    heard = await _changes(config, calendar, state) if config.hears_changes else []
    more = state.page is not None or (config.hears_changes and state.sync is None)
    if not more:
        heard += await _starting(config, calendar, state, io.now())
        await _keep_channel(config, calendar, state, io)
    return Polled(heard=heard, cursor=msgspec.to_builtins(state), more=more)


async def _changes(config: Config, calendar: Calendar, state: Cursor) -> list[Heard]:
    """Take the next page of changes into `state`; return those that count."""
    query = {} if state.page is None else {"pageToken": state.page}
    if state.what == "changes":
        query["syncToken"] = state.sync or ""
    found = await calendar.events(**query, showDeleted="true")
    if found is None:
        state.what, state.sync, state.page = "again", None, None
        return []
    counts = state.what != "first"
    heard = []
    for one in found.items:
        updated, made = _instant(one.get("updated")), _instant(one.get("created"))
        state.newest = max(state.newest, updated or 0)
        if updated is None and one.get("status") == "cancelled":
            is_new = _is_news(state, one)
        else:
            is_new = state.what != "again" or (updated or 0) > state.since
        if not counts or not is_new:
            continue
        kind: Kind = "updated" if (made or 0) <= state.since else "created"
        kind = "cancelled" if one.get("status") == "cancelled" else kind
        if kind in config.events:
            heard.append(_heard(config, kind, one, item_key(str(one["id"]), str(one.get("etag"))), updated))
    _go_on(state, found)
    return heard


def _is_news(state: Cursor, one: Mapping[str, Any]) -> bool:
    """Take note of a deleted entry of which Google tells no time; return whether that may be told.

    After a forgotten token it may be one that was heard long ago, or that was gone before anything was heard.
    """
    mark = hashlib.sha256(item_key(str(one["id"]), str(one.get("etag"))).encode()).hexdigest()[:16]
    known = mark in state.gone
    if not known and len(state.gone) < GONE_MAX:
        state.gone = [*state.gone, mark]
    return state.what != "again" or (state.knows_gone and not known)


def _go_on(state: Cursor, found: Events) -> None:
    state.page = found.page
    if found.page is not None:
        return
    if found.sync is None:
        raise Rejected("Google gave no sync token for the calendar", fix="Look whether the account may read all of it.")
    state.sync, state.since = found.sync, max(state.since, state.newest)
    if state.what != "changes" or len(state.gone) >= GONE_MAX:
        state.knows_gone = len(state.gone) < GONE_MAX
    state.what = "changes"


async def _starting(config: Config, calendar: Calendar, state: Cursor, now: int) -> list[Heard]:
    """Return the entries that start within `starts_in` and have not been heard for that start."""
    if config.starts_in is None:
        return []
    ahead = now + round(config.starts_in * SECOND_US)
    looked, state.looked_at = state.looked_at if state.looked_at is not None else now, now
    state.started = {mark: at for mark, at in state.started.items() if at >= looked - DAY_US}
    heard: list[Heard] = []
    page: str | None = None
    while True:
        query = {} if page is None else {"pageToken": page}
        found = await calendar.events(
            **query, singleEvents="true", orderBy="startTime", timeMin=to_iso(looked), timeMax=to_iso(ahead + SECOND_US)
        )
        for one in [] if found is None else found.items:
            start = _start(one, "UTC" if found is None else found.zone)
            mark = item_key(str(one["id"]), start)
            if (
                start is None
                or not looked <= start <= ahead
                or mark in state.started
                or one.get("status") == "cancelled"
            ):
                continue
            state.started[mark] = start
            heard.append(_heard(config, "starting", one, f"starting:{mark}"[:500], now))
        page = None if found is None else found.page
        if page is None:
            return heard


async def _keep_channel(config: Config, calendar: Calendar, state: Cursor, io: SourceIO) -> None:
    """Open a channel where there is none, and replace one at half its life."""
    now, old = io.now(), state.channel
    if not config.push or (old is not None and not old.is_old(now)):
        return
    address = f"{io.public_url}{NOTIFICATIONS}"
    token = base64.urlsafe_b64encode(_encode((io.tenant_id, source_key(config), secrets.token_urlsafe(12)))).decode()
    state.channel = await calendar.watch(secrets.token_hex(16), address, token, now)
    if old is not None:
        await calendar.stop(old)


def _heard(config: Config, kind: Kind, one: Mapping[str, Any], key: str, at: int | None) -> Heard:
    return Heard(
        source="", type=f"google_calendar.{kind}", event_key=key,
        data=_encode({**one, "calendar": config.calendar}),
        attributes=_encode({"event": kind, "calendar": config.calendar, "id": one["id"]}),
        subject=str(one.get("summary") or one["id"])[:500], time=at,
    )  # fmt: skip


def _instant(text: Any) -> int | None:
    try:
        return from_iso(text)
    except (TypeError, ValueError):
        return None


def _start(one: Mapping[str, Any], zone: str) -> int | None:
    """Return when an entry starts; one of whole days at midnight in the zone of the calendar."""
    told = one.get("start")
    if not isinstance(told, Mapping):
        return None
    if told.get("dateTime"):
        return _instant(told["dateTime"])
    try:
        day = dt.datetime.fromisoformat(str(told.get("date")))
        return from_datetime(day.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, ZoneInfoNotFoundError):
        return None
