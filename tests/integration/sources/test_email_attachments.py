"""What comes with a mail: stored before its event, read through the API, passed on by jobs, gone with the event."""

import asyncio
import sys
from pathlib import Path

import pytest
from peers.email import Peer, mail

from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.outbound import imap_mailbox
from workflow_scheduler.outbound.imap_mailbox import Mail, content_with_files
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.stores.portable.attachments import PART_BYTES
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.sources import SourceBench

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from mailbox import PASSWORD, USER, Post

PDF = b"%PDF-1.7" + bytes(range(256)) * (PART_BYTES // 128)
PAGE = b"<script>alert(1)</script>"


@pytest.fixture
async def peer():
    made = Peer()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["sqlite", "postgres"])
async def bench(request, peer, tmp_path):
    more = {"database_url": request.getfixturevalue("postgres_url")} if request.param == "postgres" else {}
    made = SourceBench(tmp_path, peer, **more)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def office(tmp_path):
    with Post(tmp_path, "starttls", login=True) as post:
        yield post


def invoice(number=1):
    made = mail(number)
    made.add_attachment(PDF, maintype="application", subtype="pdf", filename="../Rechnung März.pdf")
    made.add_attachment(PAGE, maintype="text", subtype="html", filename='a";b.html')
    return made


async def event_of(bench):
    found = []

    async def come():
        items = (await bench.ask("GET", "/api/v1/events?provider=email"))["items"]
        found[:] = items
        return bool(items)

    await bench.until(come, "the mail")
    return await bench.ask("GET", f"/api/v1/events/{found[0]['id']}")


async def test_attachments_are_described_with_a_reference_and_read_through_the_api(bench, peer):
    await bench.deploy(attachments="stored")
    await asyncio.to_thread(peer.put, [invoice()])
    event = await event_of(bench)
    base = f"/api/v1/events/{event['id']}/attachments"
    pdf, page = event["data"]["attachments"]
    assert (pdf["size"], pdf["content_type"], pdf["ref"]) == (len(PDF), "application/pdf", f"{event['id']}/0")
    listed = (await bench.ask("GET", base))["items"]
    assert [(one["number"], one["ref"], one["sha256"]) for one in listed] == [
        (0, pdf["ref"], pdf["sha256"]), (1, page["ref"], page["sha256"]),
    ]  # fmt: skip
    read = await bench.http.get(f"{base}/0")
    assert (read.status, read.body) == (200, PDF)
    assert read.headers["content-type"] == "application/pdf"
    assert read.headers["content-disposition"] == "attachment; filename*=UTF-8''Rechnung%20M%C3%A4rz.pdf"
    shown = await bench.http.get(f"{base}/1")
    assert shown.body == PAGE
    assert shown.headers["content-type"] == "application/octet-stream", "no page of a stranger under our address"
    assert shown.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22%3Bb.html"
    assert shown.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert shown.headers["x-content-type-options"] == "nosniff"
    for path, status in ((f"{base}/2", 404), (f"{base}/-1", 422), ("/api/v1/events/none/attachments/0", 404)):
        assert (await bench.http.get(path)).status == status, path


async def test_a_job_mails_on_what_came(bench, peer, office):
    await bench.deploy(attachments="stored")
    fields = {"host": "127.0.0.1", "port": office.port, "username": USER, "password": PASSWORD}
    out = {"name": "out", "kind": "smtp", "fields": {**fields, "sender": "w@example.test", "ca_certificate": office.ca}}
    await bench.ask("POST", "/api/v1/connections", out)
    sent = {"connection": "out", "to": "b@example.test", "subject": "s", "text": "t"}
    spec = {
        "version": 1,
        "name": "onward",
        "triggers": {"it": {**peer.config(), "attachments": "stored"}},
        "jobs": {
            "all": {"uses": "email", "with": {**sent, "attachments": "${event.data.attachments}"}},
            "one": {
                "needs": ["all"],
                "uses": "email",
                "with": {
                    **sent,
                    "attachments": [{"ref": "${event.data.attachments[0].ref}", "filename": "bill.pdf"}],
                },
            },
        },
    }
    await bench.ask("POST", "/api/v1/deployment/workflows/onward/deploy", {"workflow_spec": spec})
    await asyncio.to_thread(peer.put, [invoice()])
    await bench.until(lambda: len(office.box.messages) == 2, "both mails")
    both, single = office.box.messages
    files = [(one.get_filename(), one.get_content_type(), one.get_content()) for one in both.iter_attachments()]
    assert files[0] == ("../Rechnung März.pdf", "application/pdf", PDF)
    assert files[1][:2] == ('a";b.html', "text/html")
    (renamed,) = single.iter_attachments()
    assert (renamed.get_filename(), renamed.get_content()) == ("bill.pdf", PDF)


async def test_an_event_is_never_stored_without_its_attachments(bench, peer):
    accept_all, seen = bench.app.inbox.accept_all, []

    async def watched(events, move=None):
        for event in [one for one in events if one.provider == "email"]:
            rows = await bench.app.store.read(
                "SELECT number, LENGTH(content) FROM attachment_parts WHERE tenant_id = :tenant AND event_id = :event",
                {"tenant": event.tenant_id, "event": event.id},
            )
            seen.append(sorted(number for number, _ in rows))
            assert sum(size for number, size in rows if number == 0) == len(PDF)
        return await accept_all(events, move)

    bench.app.inbox.accept_all = watched
    await bench.deploy(attachments="stored")
    await asyncio.to_thread(peer.put, [invoice()])
    await event_of(bench)
    assert seen == [[0] * -(-len(PDF) // PART_BYTES) + [1]]


async def test_attachments_go_with_their_event_and_so_do_those_that_never_had_one(bench, peer):
    await bench.deploy(attachments="stored")
    await asyncio.to_thread(peer.put, [invoice()])
    event = await event_of(bench)
    store = bench.app.store

    async def left():
        return [
            (await store.read(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608
            for table in ("attachments", "attachment_parts")
        ]

    await bench.until(lambda: _ended(bench), "the end of the run")
    now = _minted(event["id"])
    await Retention(store, FakeClock(now + 29 * DAY_US), Ages()).run_once()
    assert await left() == [2, 4]
    gone = await Retention(store, FakeClock(now + 31 * DAY_US), Ages()).run_once()
    assert (gone["attachments"], await left()) == (2, [0, 0])
    assert (await bench.http.get(f"/api/v1/events/{event['id']}/attachments/0")).status == 404


def _minted(event_id):
    """Return the instant that an id begins with; ids of one process never go back, and tests were in the future."""
    return int(event_id.replace("-", "")[:12], 16) * 1_000


async def _ended(bench):
    runs = (await bench.ask("GET", "/api/v1/runs?workflow=heard"))["items"]
    return bool(runs) and all(one["status"] == "SUCCEEDED" for one in runs)


def test_what_is_too_large_is_described_and_marked(monkeypatch):
    monkeypatch.setattr(imap_mailbox, "STORED_BYTES_MAX", 100)
    monkeypatch.setattr(imap_mailbox, "STORED_TOGETHER_BYTES_MAX", 150)
    monkeypatch.setattr(imap_mailbox, "ATTACHMENTS_MAX", 4)
    made = mail(1)
    for size in (101, 90, 70, 60, 1):
        made.add_attachment(b"x" * size, maintype="application", subtype="pdf", filename=f"{size}.pdf")
    data, files = content_with_files(Mail(1, "", bytes(made), True))  # noqa: FBT003
    assert [(one["name"], one.get("left_out")) for one in data["attachments"]] == [
        ("101.pdf", "it is larger than 100 bytes"),
        ("90.pdf", None),
        ("70.pdf", "the attachments are larger than 150 bytes together"),
        ("60.pdf", None),
    ]
    assert data["attachments_left_out"] == 1
    assert [(one.number, one.name) for one in files] == [(1, "90.pdf"), (3, "60.pdf")]
    beginning, none = content_with_files(Mail(1, "", bytes(made)[:200], False))  # noqa: FBT003
    assert (beginning["whole"], beginning["attachments"], none) == (False, [], ())
