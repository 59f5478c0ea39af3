"""What is particular about mailboxes, on a real IMAP server."""

import asyncio
from contextlib import aclosing

import pytest
from peers.email import Peer, mail

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.connection import Imap
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.outbound.imap_mailbox import Mail, content_of
from workflow_scheduler.testing.sources import LoneIO
from workflow_scheduler.triggers import email


@pytest.fixture
async def peer():
    made = Peer()
    await made.start()
    yield made
    await made.stop()


def fields(peer, **more):
    given = peer.connections["office"]["fields"]
    return Imap(**{**given, **more})


def config(**more):
    given = {"connection": "office", "start": "earliest", "check_interval": "1s", **more}
    return email.Config.model_validate(given)


async def keys(peer, wanted, position=None, count=1):
    async with LoneIO(connections={"office": ("imap", fields(peer))}) as lent:
        return await read(lent, wanted, position, count)


async def read(lent, wanted, position, count):
    """Return subjects of `count` mails, and the position behind them."""
    subjects = []
    async with asyncio.timeout(30), aclosing(email.open(wanted, position, lent)) as feed:
        async for piece in feed:
            subjects += [one.subject for one in piece.heard]
            position = piece.position
            if piece.ack is not None:
                await piece.ack()
            if len(subjects) >= count:
                break
    return subjects, position


async def test_only_mails_that_count_are_marked_as_read_also_after_a_crash(peer):
    peer.put([mail(1, "Invoice"), mail(2, "Advert"), mail(3, "Invoice")])
    wanted = config(mark_as_read=True, subject_filter="invoice")
    subjects, position = await keys(peer, wanted, count=2)
    assert subjects == ["Invoice 1", "Invoice 3"]
    peer.put([mail(4, "Invoice")])
    assert (await keys(peer, wanted, position))[0] == ["Invoice 4"]
    assert peer.seen() == {"Invoice 1", "Invoice 3"}, (
        "what was stored before the connection ended is marked in the next"
    )


async def test_a_folder_that_is_numbered_anew_doubles_and_loses_nothing(peer):
    peer.put([mail(1), mail(2)])
    subjects, position = await keys(peer, config(), count=2)
    await asyncio.to_thread(peer.kill)
    await asyncio.to_thread(peer.serve)  # its memory is gone, and with it the numbers
    peer.put([mail(0), mail(1), mail(2), mail(3)])
    more, after = await keys(peer, config(), position, count=2)
    assert (subjects, more) == (["Number 1", "Number 2"], ["Number 0", "Number 3"])
    assert after["uidvalidity"] != position["uidvalidity"]


async def test_a_new_trigger_begins_at_what_comes(peer):
    peer.put([mail(1)])
    async with LoneIO(connections={"office": ("imap", fields(peer))}) as lent:
        feed = email.open(config(start="latest"), None, lent)
        async with asyncio.timeout(30), aclosing(feed):
            first = await anext(feed)
            assert first.heard == ()
            waiting = asyncio.ensure_future(anext(feed))
            await asyncio.to_thread(peer.put, [mail(2)])
            assert [one.subject for one in (await waiting).heard] == ["Number 2"]


@pytest.mark.parametrize(
    ("changed", "folder", "error", "words"),
    [
        ({"password": "wrong"}, "INBOX", Rejected, "does not accept the log-in of ann"),
        ({}, "Nowhere", Rejected, "does not open the folder `Nowhere`"),
        ({"ca_certificate": None}, "INBOX", Rejected, "cannot be trusted"),
        ({"port": 1}, "INBOX", NotConnected, "127.0.0.1"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(peer, changed, folder, error, words):
    async with LoneIO(connections={"office": ("imap", fields(peer, **changed))}) as lent:
        with pytest.raises(error, match=words):
            await read(lent, config(folder=folder), None, 1)


def view(data):
    event = Event(
        id="e", tenant_id="t", provider="email", source="", type="email.received", event_key="k", time=0, received_at=0,
        data=data,
    )  # fmt: skip
    return EventView(event)


def test_filters_look_at_sender_subject_and_body():
    raw = bytes(mail(7, "Your Invoice", sender="Billing <billing@supplier.example>"))
    data = email._encode(content_of(Mail(1, "", raw, True), include=False))  # noqa: FBT003 -- as it is stored
    for wanted, fits in (
        ({"email_filter": "*@supplier.example"}, True),
        ({"email_filter": "billing@supplier.example"}, True),
        ({"email_filter": "supplier.example"}, False),
        ({"subject_filter": ["reminder", "invoice"]}, True),
        ({"subject_filter": "invoice*"}, False),
        ({"body_filter": "THE TEXT"}, True),
        ({"body_filter": "THE TEXT", "email_filter": "*@other.example"}, False),
    ):
        assert email.matches(config(**wanted), view(data)).result is fits, wanted
    assert email.matches(config(subject_filter="x"), view(b"[]")).result is None


def test_attachments_are_described_and_small_ones_included_where_wanted():
    made = mail(1, in_reply_to="<asked@example.com>", references="<a@example.com> <asked@example.com>")
    made.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    plain = content_of(Mail(1, "", bytes(made), True), include=False)  # noqa: FBT003
    assert plain["in_reply_to"] == "asked@example.com"
    assert plain["references"] == ["a@example.com", "asked@example.com"]
    (one,) = plain["attachments"]
    assert (one["name"], one["content_type"], one["size"]) == ("Rechnung März.pdf", "application/pdf", 8)
    assert "content" not in one
    (full,) = content_of(Mail(1, "", bytes(made), True), include=True)["attachments"]  # noqa: FBT003
    assert full["content"] == "JVBERi0xLjc="


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"Subject: =?utf-8?b?!!!?=\nDate: never\n\n\xff", b"From: <\n\n", b":"]
)
def test_a_mail_that_is_broken_is_heard_all_the_same(raw):
    data = content_of(Mail(1, "", raw, True), include=True)  # noqa: FBT003
    assert email._encode(data)
    assert set(data) >= {"from", "subject", "text", "message_id"}
