"""Objects that are put into a bucket of Amazon S3, or of a store that speaks its protocol.

The bucket is listed every so often and compared with what was seen, so that an object counts once whatever happens in
between. Where the bucket notifies a queue (SQS), `queue` is read in place of the listing: that is sooner, and any
number of objects may be there; a notification is deleted after it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote, unquote_plus

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.inbound.listed import NOTIFIED_SECONDS, ListedConfig, heard_of
from workflow_scheduler.core.inbound.listing import Change, Kind, Look, Object, Page
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Aws
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Polled, SourceIO
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_iso

name = "s3"
title = "Amazon S3"
icon = "bucket"
shape = "poll"
since = "0.2"
extras = ""

TAKEN_MAX = 10
REPLY_BYTES_MAX = 8 << 20  # a thousand objects whose keys are as long as they may be


class Config(ListedConfig):
    """Which objects of which bucket count, and how they are found."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `aws`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "aws"}},
    )
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = Field(
        title="Bucket", description="The name of the bucket.", json_schema_extra={"ui": {"placeholder": "shop-exports"}}
    )
    queue: Line | None = Field(
        default=None,
        title="Queue",
        description="An SQS queue that the bucket notifies; it is read in place of listing the bucket.",
    )

    @model_validator(mode="after")
    def _told(self) -> Config:
        self.only_created(notified=self.queue is not None)
        return self


examples = (
    Example(
        title="Tables of the shop",
        config={"connection": "cloud", "bucket": "shop-exports", "prefix": "orders/", "patterns": ["**/*.csv"]},
        event={
            "type": "s3.created",
            "data": {
                "key": "orders/2027-01-05.csv", "name": "2027-01-05.csv", "bucket": "shop-exports", "size": 1042,
                "etag": "9b2cf535f27731c974343645a3985328", "modified_at": "2027-01-05T12:00:00Z", "content": None,
            },
            "attributes": {"event": "created", "bucket": "shop-exports", "key": "orders/2027-01-05.csv"},
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return connection and bucket, and what counts in it."""
    what = (config.prefix, config.patterns, config.events, config.queue, config.content, config.max_bytes)
    return key_of(f"{config.connection}/{config.bucket}", *what)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: what does not count is not heard; `condition` looks into it."""
    return TRUE


def poll_seconds(config: Config) -> float:
    """Return the pause between two looks; notifications are asked for sooner."""
    return config.every if config.queue is None else min(config.every, NOTIFIED_SECONDS)


async def poll(config: Config, cursor: Any, io: SourceIO) -> Polled:
    """List the next page of the bucket, or take what its queue holds."""
    bucket = _Bucket(config, io, await io.connection(config.connection, Aws))
    if config.queue is not None:
        return await bucket.notified(config.queue, cursor)
    look = Look(cursor, config.events, io.items, earliest=config.start == "earliest")
    changes = await look.take(await bucket.page(look.after))
    heard = [await bucket.heard(one) for one in changes]
    return Polled(heard=heard, cursor=look.cursor, items=look.items, more=look.more)


class _Notified(NamedTuple):
    """One object of a notification of S3."""

    change: Change
    at: int | None


class _Bucket:
    """One bucket, as one look needs it."""

    def __init__(self, config: Config, io: SourceIO, fields: Aws) -> None:
        self._config = config
        self._io = io
        self._fields = fields

    async def page(self, after: str) -> Page:
        """Return the page of the listing behind a key (ListObjectsV2).

        Raises:
            Rejected: there is no such bucket, or the keys may not list it.

        """
        query = {"encoding-type": "url", "list-type": "2", "max-keys": "1000", "prefix": self._config.prefix}
        if after:
            query["start-after"] = after
        while True:
            text = await self._get("", "&".join(f"{key}={_escaped(query[key])}" for key in sorted(query)))
            objects, token = _read_page(text)
            if objects or not token:
                break
            query["continuation-token"] = token  # a page may be empty though there are more
        end = objects[-1].name if token else None
        return Page([one for one in objects if self._config.counts(one.name)], end)

    async def heard(self, change: Change, at: int | None = None) -> Heard:
        """Return the event of a change."""
        content = self._config.shown(await self._content(change.object)) if self._config.wants_content(change) else None
        return heard_of("s3", self._config.bucket, change, content, {"etag": change.object.etag}, at)

    async def notified(self, queue: str, cursor: Any) -> Polled:
        """Delete the notifications that `cursor` names, which are stored by now, and take the next ones."""
        from workflow_scheduler.outbound.aws import queue_action, queue_url

        send, now = self._io.send, self._io.now()
        url = await queue_url(send, self._fields, queue, now)
        if cursor:
            entries = [{"Id": str(place), "ReceiptHandle": one} for place, one in enumerate(cursor)]
            await queue_action(send, self._fields, "DeleteMessageBatch", {"QueueUrl": url, "Entries": entries}, now)
        wanted = {"QueueUrl": url, "MaxNumberOfMessages": TAKEN_MAX, "WaitTimeSeconds": 0}
        answer = await queue_action(send, self._fields, "ReceiveMessage", wanted, now)
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        found = [each for one in messages for each in self._changes(str(one.get("Body") or ""))]
        heard = [await self.heard(each.change, each.at) for each in found]
        return Polled(heard=heard, cursor=[one["ReceiptHandle"] for one in messages] or None, more=bool(messages))

    def _changes(self, body: str) -> list[_Notified]:
        """Return what a notification says of objects that count; one that SNS or nobody wrote is left out."""
        try:
            told = msgspec.json.decode(body)
        except ValueError:
            return []
        if isinstance(told, dict) and told.get("Type") == "Notification":
            return self._changes(str(told.get("Message") or ""))
        records = told.get("Records") if isinstance(told, dict) else None
        found = [self._change(one) for one in records or () if isinstance(one, Mapping)]
        return [one for one in found if one is not None]

    def _change(self, record: Mapping[str, Any]) -> _Notified | None:
        told = record.get("s3") or {}
        one = told.get("object") or {}
        key = unquote_plus(str(one.get("key") or ""))
        action = str(record.get("eventName") or "").partition(":")[0]
        kind: Kind | None = {"ObjectCreated": "created", "ObjectRemoved": "deleted"}.get(action)  # type: ignore[assignment]
        counts = (
            kind in self._config.events
            and (told.get("bucket") or {}).get("name") == self._config.bucket
            and self._config.counts(key)
        )
        if kind is None or not counts:
            return None
        etag = one.get("eTag")
        version = str(one.get("sequencer") or one.get("versionId") or etag)
        at = from_iso(str(record["eventTime"])) if record.get("eventTime") else None
        return _Notified(Change(kind, Object(key, version, int(one.get("size") or 0), at, etag)), at)

    async def _content(self, one: Object) -> bytes | None:
        try:
            return await self._get("/" + quote(one.name, safe="/-_.~"), "")
        except Rejected:
            return None  # it was removed meanwhile, or may not be read

    async def _get(self, path: str, query: str) -> bytes:
        from workflow_scheduler.outbound.aws import EMPTY_SHA256, Call, ask, endpoint

        url = f"{endpoint(self._fields, 's3')}{self._config.bucket}{path}" + (f"?{query}" if query else "")
        headers = {"x-amz-content-sha256": EMPTY_SHA256}
        call = Call("s3", url, method="GET", headers=headers, reply_bytes_max=REPLY_BYTES_MAX)
        return await ask(self._io.send, self._fields, call, self._io.now())


def _escaped(value: str) -> str:
    return quote(value, safe="-_.~")


def _read_page(text: bytes) -> tuple[list[Object], str]:
    """Return the objects of a page from the XML of ListObjectsV2, and what asks for the next page.

    Raises:
        NotConnected: the answer is not such a page.

    """
    from xml.etree import ElementTree as ET

    try:
        # expat, which reads it, refuses documents whose entities explode.
        root = ET.fromstring(text)  # noqa: S314
        escapes = _text(root, "EncodingType") == "url"
        objects = []
        for one in root.iterfind("{*}Contents"):
            key = _text(one, "Key")
            at, etag = _text(one, "LastModified"), _text(one, "ETag").strip('"')
            name, size = unquote_plus(key) if escapes else key, int(_text(one, "Size") or 0)
            objects.append(Object(name, f"{etag}@{at}", size, from_iso(at), etag))
    except (ET.ParseError, ValueError) as error:
        raise NotConnected(f"the answer of the store is no listing: {error}") from error
    return objects, _text(root, "NextContinuationToken") if _text(root, "IsTruncated") == "true" else ""


def _text(element: Any, name: str) -> str:
    found = element.find(f"{{*}}{name}")
    return "" if found is None or found.text is None else str(found.text)
