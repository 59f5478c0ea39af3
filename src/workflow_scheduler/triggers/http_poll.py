"""Each new item of a list that a web service answers with, asked for again and again.

`items` says where the items are in the JSON answer, `id` what tells them apart: each id starts a run once, and with
`version` (a time of change, a number) each version of it. What the list holds at the first look is only remembered;
`start: earliest` takes it as new. `ETag` and `Last-Modified` are sent back, so that a service that knows them answers
nothing while nothing is new.

With `watermark` the service is asked only for what changed since the newest item, and a little before (`overlap`), so
that items which become visible late are found; without one the whole list is read each time, and what is new in it
counts. Pages are followed by `Link` headers, by the address or cursor in the answer, or by number; each page is stored
before the next one is asked for. `Retry-After` and exhausted rate limits are waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import AliasChoices, BeforeValidator, Field, model_validator
from yarl import URL

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.answers import check_answer
from workflow_scheduler.core.inbound.identity import digest, item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.inbound.pages import CursorPages, NumberedPages, Pages, following
from workflow_scheduler.core.inbound.watermark import Kind, instant, kind_of, text_of
from workflow_scheduler.core.match.jsonpath import MISSING, JsonPath, items_at, value_at
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection_fields import Url
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

name = "http_poll"
title = "HTTP polling"
icon = "refresh"
shape = "poll"
since = "0.2"
extras = ""

SEEN_MAX = 10_000
_NOT_MODIFIED = 304
_SECOND_US = 1_000_000
_encode = msgspec.json.encode


class Watermark(BaseConfig):
    """How the service is asked only for what is new."""

    path: JsonPath = Field(title="Path", description="JSONPath in an item of what only grows, usually its change time.")
    param: str = Field(min_length=1, max_length=200, title="Parameter", description="Query parameter that takes it.")
    kind: Kind = Field(
        default="auto",
        title="Kind",
        description="iso, unix or unix_ms for times, value for anything else; auto looks at the first item.",
    )
    overlap: Duration = Field(
        default=300.0, le=86_400, title="Overlap", description="How far before the newest time is asked again: 5m."
    )


class Config(BaseConfig):
    """Who is asked, how often, and what is new in the answer."""

    url: Url = Field(
        title="Address",
        description="The http or https address that answers with the items as JSON.",
        json_schema_extra={"ui": {"placeholder": "https://api.example.com/orders?status=paid"}},
    )
    every: Duration = Field(
        default=60.0,
        ge=1,
        le=30 * 86_400,
        validation_alias=AliasChoices("every", "interval", "check_interval"),
        title="Every",
        description="The pause between two polls: 30s, 5m, 1h.",
    )
    items: JsonPath = Field(default="$", title="Items", description="JSONPath of the list of items in the answer.")
    id: JsonPath | None = Field(
        default="$.id",
        title="Identity",
        description="JSONPath in an item of what tells it apart. None: its whole content.",
    )
    version: JsonPath | None = Field(
        default=None,
        title="Version",
        description="JSONPath in an item of what changes with it; each version starts a run. None: each id once.",
    )
    watermark: Watermark | None = Field(
        default=None, title="Watermark", description="Asks only for what changed since the newest item."
    )
    pages: Annotated[
        Pages | None,
        BeforeValidator(
            lambda value: {"by": value} if isinstance(value, str) else value,
            json_schema_input_type=Literal["link", "number"] | Pages | None,
        ),
    ] = Field(default=None, title="Pages", description="How to come to the next page. None: there is only one.")
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="latest: what is there at first is only remembered."
    )
    method: Literal["GET", "POST"] = Field(default="GET", title="Method", description="GET, or POST with a body.")
    body: Any = Field(default=None, title="Body", description="What is sent with POST, as JSON; text as it is.")
    headers: dict[str, str] = Field(
        default_factory=dict,
        title="Headers",
        description="Further headers; credentials belong into a connection.",
        json_schema_extra={"ui": {"widget": "key-value"}},
    )
    connection: str | None = Field(
        default=None,
        title="Connection",
        description="A connection of kind `http` with the credentials.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "http"}},
    )
    timeout: Duration = Field(default=30.0, gt=0, le=240, title="Time-out", description="For one answer: 30s.")
    max_bytes: int = Field(
        default=10 << 20, ge=1_024, le=64 << 20, title="Size", description="The largest answer that is read, in bytes."
    )

    @model_validator(mode="after")
    def _whole(self) -> Config:
        if self.body is not None and self.method == "GET":
            raise ValueError("`body` goes with `method: POST`")
        return self


examples = (
    Example(
        title="Paid orders of a shop, newest changes only",
        config={
            "url": "https://api.example.com/orders?status=paid",
            "every": "1m",
            "items": "$.orders",
            "version": "$.updated_at",
            "watermark": {"path": "$.updated_at", "param": "updated_since"},
            "pages": "link",
            "connection": "shop",
        },
        event={
            "type": "http_poll.item",
            "subject": "1042",
            "data": {"id": 1042, "updated_at": "2027-03-14T07:30:00Z", "amount": 99.5},
            "attributes": {"url": "https://api.example.com/orders", "id": 1042, "version": "2027-03-14T07:30:00Z"},
        },
    ),
    Example(
        title="New entries of a plain list",
        config={"url": "https://status.example.com/incidents.json", "every": "5m"},
        event={"type": "http_poll.item", "subject": "7", "data": {"id": 7, "title": "Database is slow"}},
    ),
)


class Cursor(msgspec.Struct, omit_defaults=True):
    """How far a source has been read.

    `seen` are the digests of what was there at the last whole look, `now` of what the present one has found so far.
    `next` is the next page's address or parameter of a look that is under way, `high` the greatest watermark in it.
    """

    seen: list[str] = []
    now: list[str] = []
    begun: bool = False
    next: str | None = None
    mark: Any = None
    high: Any = None
    etag: str | None = None
    modified: str | None = None
    since: int | None = None


def source_key(config: Config) -> str:
    """Return who is asked for what, and what tells items apart."""
    parts = urlsplit(config.url)
    asked = (config.url, config.method, config.body, config.headers, config.connection)
    return key_of(f"{parts.netloc}{parts.path}", *asked, config.items, config.id, config.version)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every item of the source counts; `condition` looks into it."""
    return TRUE


def poll_seconds(config: Config) -> float:
    """Return the pause between two polls."""
    return config.every


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """Ask for one page."""
    state = Cursor() if cursor is None else msgspec.convert(cursor, Cursor)
    if not state.begun and state.since is None:
        state.since = io.now()
    reply = await io.send(await _request(config, state, io))
    first = state.next is None
    if reply.status == _NOT_MODIFIED and first:
        return Polled(cursor=msgspec.to_builtins(state))
    check_answer(reply.status, reply.headers, config.url, io.now(), reply.body)
    answer = _json(reply, config.url)
    found = items_at(config.items, answer)
    if first:
        state.now, state.high = [], state.mark
        state.etag, state.modified = reply.headers.get("etag"), reply.headers.get("last-modified")
    heard = _new(config, state, found)
    state.next = following(config.pages, state.next, reply, answer, len(found))
    if state.next is None:
        _complete(state, config)
    return Polled(heard=heard, cursor=msgspec.to_builtins(state), more=state.next is not None)


async def _request(config: Config, state: Cursor, io: SourceIO) -> HttpRequest:
    url, pages = URL(config.url), config.pages
    if config.watermark is not None:
        asked = _asked(config.watermark, state, config.start)
        url = url if asked is None else url.update_query({config.watermark.param: asked})
    if isinstance(pages, NumberedPages):
        url = url.update_query({pages.param: state.next or str(pages.first)})
    elif state.next is not None:
        url = url.update_query({pages.param: state.next}) if isinstance(pages, CursorPages) else URL(state.next)
    body = config.body.encode() if isinstance(config.body, str) else _encode(config.body)
    body = body if config.method == "POST" and config.body is not None else b""
    headers = {"Accept": "application/json", **config.headers}
    if body and "content-type" not in {key.lower() for key in headers}:
        headers["Content-Type"] = "application/json"
    if state.next is None and state.begun:
        headers |= {"If-None-Match": state.etag} if state.etag else {}
        headers |= {"If-Modified-Since": state.modified} if state.modified else {}
    headers |= await io.credentials(config.connection, str(url), body)
    return HttpRequest(
        method=config.method,
        url=str(url),
        headers=headers,
        body=body or None,
        timeout_seconds=config.timeout,
        reply_bytes_max=config.max_bytes,
    )


def _asked(rule: Watermark, state: Cursor, start: str) -> str | None:
    """Return the value for the watermark's parameter: of the newest item, a little earlier where it is a time."""
    if state.mark is None:
        if start == "latest" and rule.kind != "value" and state.since is not None:
            return text_of(state.since - round(rule.overlap * _SECOND_US), rule.kind)
        return None
    kind = kind_of(state.mark) if rule.kind == "auto" else rule.kind
    at = instant(state.mark, kind)
    if at is None:
        return state.mark if isinstance(state.mark, str) else _encode(state.mark).decode()
    return text_of(at - round(rule.overlap * _SECOND_US), kind)


def _json(reply: HttpReply, url: str) -> Any:
    try:
        return msgspec.json.decode(reply.body)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        kind = reply.headers.get("content-type", "nothing that says what it is")
        raise Rejected(
            f"{url} answers with {kind}, not with JSON: {error}", fix="Name an address of an API."
        ) from error


def _new(config: Config, state: Cursor, found: Iterable[Any]) -> list[Heard]:
    """Return what is new among the items of a page, the oldest first where there is a watermark."""
    known = {*state.seen, *state.now}
    heard: list[tuple[Any, Heard]] = []
    for item in found:
        one, mark = _heard(config, item)
        own = digest(one.event_key)
        if mark is not MISSING:
            state.high = _greater(state.high, mark)
        if own in known:
            if own not in state.now:
                state.now.append(own)
            continue
        known.add(own)
        state.now.append(own)
        if state.begun or config.start == "earliest" or _after_start(one, state):
            heard.append((mark, one))
    if config.watermark is not None:
        heard.sort(key=lambda pair: (pair[1].time is not None, pair[1].time or 0))
    return [one for _, one in heard]


def _after_start(one: Heard, state: Cursor) -> bool:
    """Return whether an item of the first look came about after the trigger was deployed."""
    return one.time is not None and state.since is not None and one.time >= state.since


def _heard(config: Config, item: Any) -> tuple[Heard, Any]:
    """Return an item as it is heard, and its watermark."""
    own = MISSING if config.id is None else value_at(config.id, item)
    version = MISSING if config.version is None else value_at(config.version, item)
    rule = config.watermark
    mark = MISSING if rule is None else value_at(rule.path, item)
    parts = [f"content:{digest(item)}"] if own is MISSING or own is None else [own]
    parts += [] if version is MISSING else [version]
    at = None if rule is None or mark is MISSING else instant(mark, rule.kind)
    attributes = {
        "url": config.url.split("?", 1)[0],
        "id": None if own is MISSING else own,
        "version": None if version is MISSING else version,
    }
    subject = item_key(own) if own is not MISSING and own is not None else None
    key = item_key(*parts)
    heard = Heard(
        source="", type="http_poll.item", event_key=key, data=_encode(item), attributes=_encode(attributes),
        subject=subject, time=at,
    )  # fmt: skip
    return heard, mark


def _greater(one: Any, other: Any) -> Any:
    """Return the greater watermark: by time where both are times, else by value, else the later one."""
    if one is None or other is None:
        return other if one is None else one
    first, second = instant(one, "auto"), instant(other, "auto")
    if first is not None and second is not None:
        return other if second >= first else one
    try:
        return max(one, other)
    except TypeError:
        return other


def _complete(state: Cursor, config: Config) -> None:
    """Close a look: what it found is what the next one is compared with.

    Raises:
        Rejected: the list is longer than what can be compared.

    """
    if config.watermark is None:
        if len(state.now) > SEEN_MAX:
            raise Rejected(
                f"the list holds more than {SEEN_MAX:,} items, too many to tell which of them are new",
                fix="Ask for a part of it in the address, or name a `watermark`.",
            )
        state.seen = state.now
    else:
        state.seen = [*dict.fromkeys([*state.seen, *state.now])][-SEEN_MAX:]
    state.now = []
    state.mark, state.high = state.high, None
    state.begun = True
