"""Objects that are put into a bucket of Google Cloud Storage.

The bucket is listed every so often and compared with what was seen, so that an object counts once whatever happens in
between. Where the bucket notifies a topic of Pub/Sub, a `subscription` to it is read in place of the listing: that is
sooner, and any number of objects may be there; a notification is acknowledged after it is stored.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.inbound.listed import NOTIFIED_SECONDS, ListedConfig, heard_of
from workflow_scheduler.core.inbound.listing import Change, Kind, Look, Object, Page
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Google
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_iso

name = "gcs"
title = "Google Cloud Storage"
icon = "bucket"
shape = "poll"
since = "0.2"
extras = ""

PULLED_MAX = 100
SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
BOTH = f"{SCOPE} https://www.googleapis.com/auth/pubsub"
_KINDS: dict[str, Kind] = {"OBJECT_FINALIZE": "created", "OBJECT_DELETE": "deleted"}


class Config(ListedConfig):
    """Which objects of which bucket count, and how they are found."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `google`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "google"}},
    )
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")] = Field(
        title="Bucket", description="The name of the bucket.", json_schema_extra={"ui": {"placeholder": "shop-exports"}}
    )
    subscription: Annotated[str, Field(pattern=r"^projects/[^/\s]+/subscriptions/[^/\s]+$")] | None = Field(
        default=None,
        title="Subscription",
        description="A subscription to the topic that the bucket notifies; it is read in place of listing the bucket.",
    )

    @model_validator(mode="after")
    def _told(self) -> Config:
        self.only_created(notified=self.subscription is not None)
        return self


examples = (
    Example(
        title="Tables of the shop",
        config={"connection": "cloud", "bucket": "shop-exports", "prefix": "orders/", "patterns": ["**/*.csv"]},
        event={
            "type": "gcs.created",
            "data": {
                "key": "orders/2027-01-05.csv", "name": "2027-01-05.csv", "bucket": "shop-exports", "size": 1042,
                "generation": "1704456000000000", "modified_at": "2027-01-05T12:00:00Z", "content": None,
            },
            "attributes": {"event": "created", "bucket": "shop-exports", "key": "orders/2027-01-05.csv"},
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return account and bucket, and what counts in it."""
    what = (config.prefix, config.patterns, config.events, config.subscription, config.content, config.max_bytes)
    return key_of(f"{config.connection}/{config.bucket}", *what)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: what does not count is not heard; `condition` looks into it."""
    return TRUE


def poll_seconds(config: Config) -> float:
    """Return the pause between two looks; notifications are asked for sooner."""
    return config.every if config.subscription is None else min(config.every, NOTIFIED_SECONDS)


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """List the next page of the bucket, or take what its subscription holds."""
    bucket = _Bucket(config, io, await io.connection(config.connection, Google))
    if config.subscription is not None:
        return await bucket.notified(config.subscription, cursor)
    look = Look(cursor, config.events, io.items, earliest=config.start == "earliest")
    changes = await look.take(await bucket.page(look.after))
    heard = [await bucket.heard(one) for one in changes]
    return Polled(heard=heard, cursor=look.cursor, items=look.items, more=look.more)


class _Bucket:
    """One bucket, as one look needs it."""

    def __init__(self, config: Config, io: SourceIO, fields: Google) -> None:
        from workflow_scheduler.outbound.google import Client, for_pubsub

        self._config = config
        queue = for_pubsub(fields, io.pubsub_emulator)
        self._queue = Client(io.send, queue, BOTH, io.kept if queue is fields else {}, io.now)
        self._client = Client(io.send, fields, SCOPE if config.subscription is None else BOTH, io.kept, io.now)
        self._url = f"{self._client.address('storage')}/storage/v1/b/{config.bucket}/o"

    async def page(self, after: str) -> Page:
        """Return the page of the listing behind a name (objects.list).

        Raises:
            Rejected: there is no such bucket, or the account may not list it.

        """
        query = {"maxResults": "1000", "fields": "items(name,generation,size,updated),nextPageToken"}
        if self._config.prefix:
            query["prefix"] = self._config.prefix
        if after:
            query["startOffset"] = after  # the first one that is listed: what was seen last comes again
        while True:
            told = _decoded(await self._client.ask("GET", f"{self._url}?{urlencode(query)}"))
            items = [_object(one) for one in told.get("items") or ()]
            token = told.get("nextPageToken")
            if not token or (items and items[-1].name > after):
                break
            query["pageToken"] = token  # a page may be empty though there are more
        end = items[-1].name if token else None
        return Page([one for one in items if self._config.counts(one.name)], end)

    async def heard(self, change: Change, at: int | None = None) -> Heard:
        """Return the event of a change."""
        one, config = change.object, self._config
        content = config.shown(await self._content(one)) if config.wants_content(change) else None
        return heard_of("gcs", config.bucket, change, content, {"generation": one.version}, at)

    async def notified(self, subscription: str, cursor: Any) -> Polled:
        """Acknowledge the notifications that `cursor` names, which are stored by now, and take the next ones."""
        from workflow_scheduler.outbound.google import Subscription

        read = Subscription(self._queue, subscription)
        await read.acknowledge(list(cursor or ()))
        pulled = await read.pull(PULLED_MAX, wait=False)
        found = [self._change(one.message.get("attributes") or {}, one.message) for one in pulled]
        heard = [await self.heard(*one) for one in found if one is not None]
        return Polled(heard=heard, cursor=[one.ack_id for one in pulled] or None, more=bool(pulled))

    def _change(self, told: Any, message: Any) -> tuple[Change, int | None] | None:
        """Return what a notification says of an object that counts ("Pub/Sub notifications for Cloud Storage")."""
        kind = _KINDS.get(str(told.get("eventType")))
        key = str(told.get("objectId") or "")
        counts = kind in self._config.events and told.get("bucketId") == self._config.bucket
        if kind is None or not counts or not self._config.counts(key):
            return None
        when = told.get("eventTime") or message.get("publishTime")
        at = from_iso(str(when)) if when else None
        return Change(kind, Object(key, str(told.get("objectGeneration")), _size(message), at)), at

    async def _content(self, one: Object) -> bytes | None:
        from workflow_scheduler.outbound.google import Refused

        try:
            return await self._client.ask("GET", f"{self._url}/{quote(one.name, safe='')}?alt=media")
        except Refused:
            return None  # it was removed meanwhile, or may not be read


def _object(told: Any) -> Object:
    at = from_iso(told["updated"]) if told.get("updated") else None
    return Object(str(told["name"]), str(told.get("generation")), int(told.get("size") or 0), at)


def _size(message: Any) -> int:
    """Return the size that the object in a notification has; 0 where the notification holds none."""
    try:
        return int(msgspec.json.decode(base64.b64decode(message.get("data") or "")).get("size") or 0)
    except (ValueError, AttributeError, TypeError):
        return 0


def _decoded(body: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        NotConnected: the answer is none.

    """
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotConnected(f"the answer of the store is no listing: {error}") from error
