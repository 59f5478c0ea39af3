"""`events attachments` and `events attachment` against a real service."""

import sqlite3

CONTENT = bytes(range(256)) * 4096
PART = 512 << 10


def came_with(service, event):
    """Store a file with an event, as a source does."""
    with sqlite3.connect(service.folder / "data" / "workflow_scheduler.db", timeout=30) as database:
        row = ("local", event, 0, "bill.pdf", "application/pdf", len(CONTENT), "0" * 64)
        database.execute("INSERT INTO attachments VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        for part, start in enumerate(range(0, len(CONTENT), PART)):
            database.execute(
                "INSERT INTO attachment_parts VALUES (?, ?, ?, ?, ?)",
                ("local", event, 0, part, CONTENT[start : start + PART]),
            )


def test_a_file_that_came_with_an_event_is_listed_and_saved(service, wfs):
    event = wfs("events", "send", "bill.came", "--json").json["event_id"]
    assert "no stored attachments" in wfs("events", "attachments", event).err
    came_with(service, event)
    (one,) = wfs("events", "attachments", event, "--json").json["items"]
    assert (one["name"], one["size"], one["ref"]) == ("bill.pdf", len(CONTENT), f"{event}/0")
    assert "bill.pdf" in wfs("events", "attachments", event).out
    done = wfs("events", "attachment", event, "0", "-o", "saved.pdf")
    assert (done.code, done.out) == (0, "")
    assert (service.folder / "saved.pdf").read_bytes() == CONTENT
    missing = wfs("events", "attachment", event, "7", "-o", "other.pdf")
    assert missing.code == 3, missing
    assert "has no stored attachment 7" in missing.err
    assert not (service.folder / "other.pdf").exists()
    nowhere = wfs("events", "attachment", event, "0", "-o", "no/such/folder/x")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err
