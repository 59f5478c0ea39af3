"""Each mail that arrives in a folder of a mailbox, over IMAP.

The folder's UIDs are the place: a mail is stored, and its UID with it, before anything is marked as read. When the
server numbers the folder anew (UIDVALIDITY), what arrived since the day before the last mail is read again and what was
heard is left out by its Message-ID. Mails are heard at once where the server offers IDLE, else every `check_interval`.
Triggers of one mailbox share one connection, those that mark as read have one each. A reply to a mail that asked for an
approval answers it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import Field

from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.name import is_pattern, name_matches
from workflow_scheduler.core.match.verdict import Predicate, Verdict, conjunction
from workflow_scheduler.core.model.attachment import Attachment
from workflow_scheduler.core.model.connection import Imap as Fields
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_datetime

if TYPE_CHECKING:
    from workflow_scheduler.outbound.imap_mailbox import Mail, Mailbox

name = "email"
title = "E-mail"
icon = "mail"
shape = "stream"
since = "0.2"
extras = "email"
libraries = ("imap_tools",)

BATCH = 200
IDLE_SECONDS = 50.0
RECENT_MAX = 300
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which folder of which mailbox is read, and which mails count."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `imap`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "imap"}},
    )
    folder: Line = Field(default="INBOX", title="Folder", description="The folder that is read.")
    email_filter: Texts = Field(
        default=(),
        title="Sender",
        description="Addresses that count, of which one must fit: `boss@example.com`, `*@example.com`.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "*@example.com"}},
    )
    subject_filter: Texts = Field(
        default=(),
        title="Subject",
        description="Texts of which one stands in the subject; with `*` or `?`, all of it fits. Case does not count.",
    )
    body_filter: Texts = Field(
        default=(),
        title="Body",
        description="Texts of which one stands in the body; with `*` or `?`, all of it fits. Case does not count.",
    )
    mark_as_read: bool = Field(
        default=False, title="Mark as read", description="Whether mails that count are marked as read once stored."
    )
    check_interval: Duration = Field(
        default=60.0, ge=1, le=3_600, title="Check interval", description="How often the server is asked: 60s."
    )
    attachments: Literal["described", "included", "stored"] = Field(
        default="described",
        title="Attachments",
        description="described: name, type, size and hash; included: with their content, up to 200 kB each; "
        "stored: kept beside the event, up to 10 MB each, with a reference for jobs.",
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest",
        title="Start",
        description="Where the first reading begins: at what comes, or at what is there.",
    )


class Cursor(msgspec.Struct):
    """The place: the last UID under a UIDVALIDITY, the day of its arrival, and what is still to be marked as read.

    `recent` are digests of the last Message-IDs. Up to the UID `again` mails are left out that stand there.
    """

    uidvalidity: int
    uid: int
    day: str = ""
    recent: list[str] = []
    again: int = 0
    marks: list[int] = []


examples = (
    Example(
        title="Invoices",
        config={"connection": "office", "email_filter": "*@supplier.example", "subject_filter": "invoice"},
        event={
            "type": "email.received",
            "data": {
                "from": "billing@supplier.example", "from_name": "Billing", "to": ["office@example.com"], "cc": [],
                "subject": "Your invoice 1042", "date": "Tue, 5 Jan 2027 12:00:00 +0000",
                "message_id": "1042@supplier.example", "in_reply_to": "", "references": [], "text": "Dear customer …",
                "html": "", "whole": True,
                "attachments": [
                    {"name": "1042.pdf", "content_type": "application/pdf", "size": 48213, "sha256": "9f86d08…"}
                ],
            },
            "attributes": {"uid": 4711, "uidvalidity": 1},
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return mailbox and folder, and what is marked in it."""
    marking = (config.email_filter, config.subject_filter, config.body_filter) if config.mark_as_read else ()
    label = f"{config.connection}/{config.folder}"
    return key_of(label, config.check_interval, config.attachments, config.start, *marking)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:
    """Compare sender, subject and body."""
    data = event.data if isinstance(event.data, dict) else {}
    lines = [
        _line("sender", config.email_filter, _text(data, "from"), whole=True),
        _line("subject", config.subject_filter, _text(data, "subject"), whole=False),
        _line("body", config.body_filter, _text(data, "text") or _text(data, "html"), whole=False),
    ]
    return conjunction(line for line in lines if line is not None)


def silence_seconds(config: Config) -> float:
    """Return after what silence the connection is taken for dead; the server is asked more often than that."""
    return config.check_interval + 2 * IDLE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read the mails after `position`."""
    fields = await io.connection(config.connection, Fields)
    from workflow_scheduler.outbound.imap_mailbox import MAIL_BYTES_MAX, STORED_MAIL_BYTES_MAX, Mailbox

    keeps = config.attachments == "stored"
    most = STORED_MAIL_BYTES_MAX if keeps else MAIL_BYTES_MAX
    box = Mailbox(fields, io.dialer, config.folder, writable=config.mark_as_read, mail_bytes_max=most)
    try:
        following = await io.call(box.open)
        io.alive()
        at = await _place(config, box, position, following, io)
        yield Received(position=msgspec.to_builtins(at))
        while True:
            if at.marks:
                await io.call(partial(box.mark_seen, at.marks))
                at.marks = []
            mails = await io.call(partial(box.newer, at.uid, BATCH))
            if not mails:
                await _pause(config, box, io)
                continue
            stored = asyncio.Event()
            heard = await io.call(partial(_heard, config, at, mails))
            yield Received(heard=heard, position=msgspec.to_builtins(at), ack=partial(_told, stored))
            if at.marks or keeps:  # files are large: what is read ahead would fill the memory
                await stored.wait()
    finally:
        box.close()


async def _told(stored: asyncio.Event) -> None:
    stored.set()


async def _place(config: Config, box: Mailbox, position: Any, following: int, io: SourceIO) -> Cursor:
    """Return where to go on: at the stored place, at the beginning or end, or where a folder was numbered anew."""
    try:
        at = msgspec.convert(position, Cursor)
    except msgspec.ValidationError:
        return Cursor(box.uidvalidity, following - 1 if config.start == "latest" else 0)
    if at.uidvalidity == box.uidvalidity:
        return at
    first = await io.call(partial(box.first_since, _day_before(at.day))) if at.day else None
    return Cursor(box.uidvalidity, (following if first is None else first) - 1, at.day, at.recent, again=following - 1)


def _day_before(day: str) -> str:
    """Return the day before one, both as IMAP writes them (`5-Jan-2027`)."""
    found = dt.datetime.strptime(day.strip(), "%d-%b-%Y").replace(tzinfo=dt.UTC) - dt.timedelta(days=1)
    return f"{found.day}-{found.strftime('%b-%Y')}"


async def _pause(config: Config, box: Mailbox, io: SourceIO) -> None:
    if box.can_idle:
        await io.call(partial(box.wait, min(config.check_interval, IDLE_SECONDS)))
    else:
        await io.sleep(config.check_interval)
    await io.call(box.ask)
    io.alive()


def _heard(config: Config, at: Cursor, mails: Sequence[Mail]) -> list[Heard]:
    """Return the events of mails, and move the place behind them."""
    from workflow_scheduler.outbound.imap_mailbox import content_of, content_with_files

    found = []
    for mail in mails:
        files: tuple[Attachment, ...] = ()
        if config.attachments == "stored":
            data, files = content_with_files(mail)
        else:
            data = content_of(mail, include=config.attachments == "included")
        known = hashlib.sha256(data["message_id"].encode()).hexdigest()[:16] if data["message_id"] else None
        is_again = mail.uid <= at.again and known is not None and known in at.recent
        at.uid, at.day = mail.uid, mail.day or at.day
        if known is not None:
            at.recent = [*(one for one in at.recent if one != known), known][-RECENT_MAX:]
        if is_again:
            continue
        one = _event(at, mail, data, files)
        if config.mark_as_read:
            if not _counts(config, one):
                continue
            at.marks = [*at.marks, mail.uid]
        found.append(one)
    return found


def _event(at: Cursor, mail: Mail, data: dict[str, Any], files: tuple[Attachment, ...]) -> Heard:
    attributes = {"uid": mail.uid, "uidvalidity": at.uidvalidity}
    return Heard(
        source="", type="email.received", event_key=f"{at.uidvalidity}/{mail.uid}", data=_encode(data),
        attributes=_encode(attributes), subject=data["subject"][:500] or None, time=_instant(data["date"]),
        attachments=files,
    )  # fmt: skip


def _counts(config: Config, one: Heard) -> bool:
    event = Event(
        id="", tenant_id="", provider=name, source="", type=one.type, event_key="", time=0, received_at=0, data=one.data
    )
    return matches(config, EventView(event)).result is True


def _instant(date: str) -> int | None:
    try:
        return from_datetime(parsedate_to_datetime(date).astimezone(dt.UTC))
    except (ValueError, TypeError, OverflowError):
        return None


def _text(data: dict[str, Any], field: str) -> str | None:
    value = data.get(field)
    return value if isinstance(value, str) else None


def _line(what: str, wanted: tuple[str, ...], actual: str | None, *, whole: bool) -> Predicate | None:
    if not wanted:
        return None
    if actual is None:
        return Predicate(what, list(wanted), None, None, f"the event has no {what}")
    return Predicate(what, list(wanted), actual[:200], any(_fits(one, actual, whole=whole) for one in wanted))


def _fits(wanted: str, actual: str, *, whole: bool) -> bool:
    """Return whether a text fits: all of it where `wanted` is a pattern or `whole`, else a part of it."""
    wanted, actual = wanted.lower(), actual.lower()
    if whole or is_pattern(wanted):
        return name_matches(wanted, actual)
    return wanted in actual
