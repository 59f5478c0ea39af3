"""Killed and stopped in the middle of 20,000 schedules that are due at one instant: each of them runs once."""

import asyncio
import time
import uuid
from collections import Counter

import apsw
import asyncpg
import pytest
from chaos.audit import Tables
from chaos.service import Service, wait_until

SCHEDULES = 20_000
AT_LEAST = 1_000  # runs that have ended before the process does
MIDNIGHT = {
    "version": 1,
    "name": "midnight",
    "triggers": {"t": {"type": "cron", "cron": "0 0 1 1 *"}},
    "jobs": {"only": {"uses": "noop"}},
}
COPIED = {"trigger_index": ("id", "name"), "schedules": ("trigger_id",)}


class Crowd:
    """Puts copies of one trigger beside it, all of them due at `due`, while no service runs."""

    def __init__(self, tables, due):
        self.tables = tables
        self.ids = [str(uuid.uuid4()) for _ in range(SCHEDULES - 1)]
        self.due = due

    def rows(self, table, columns, row):
        """Return the copies of a row."""
        first = dict(zip(columns, row, strict=True))
        for own in self.ids:
            changed = dict.fromkeys(COPIED[table], own)
            if table == "schedules":
                changed |= {"next_fire_at": self.due, "next_nominal": self.due}
            yield tuple({**first, **changed}[column] for column in columns)

    def put(self):
        asyncio.run(self.on_server()) if self.tables.url else self.in_file()

    def in_file(self):
        connection = apsw.Connection(str(self.tables.folder / "data" / "workflow_scheduler.db"))
        with connection:
            for table in COPIED:
                cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 -- a constant
                columns = [name for name, *_ in cursor.getdescription()]
                marks = ",".join("?" * len(columns))
                rows = list(self.rows(table, columns, cursor.fetchall()[0]))
                connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)  # noqa: S608
            connection.execute("UPDATE schedules SET next_fire_at = ?1, next_nominal = ?1", (self.due,))
        connection.close()

    async def on_server(self):
        connection = await asyncpg.connect(self.tables.url)
        try:
            for table in COPIED:
                (row,) = await connection.fetch(f"SELECT * FROM {table}")  # noqa: S608 -- a constant
                columns = list(row.keys())
                rows = list(self.rows(table, columns, tuple(row)))
                await connection.copy_records_to_table(table, records=rows, columns=columns)
            await connection.execute("UPDATE schedules SET next_fire_at = $1, next_nominal = $1", self.due)
        finally:
            await connection.close()


def ended(service):
    """Return how many runs have ended since the process began."""
    _, _, text = service.answer("GET", "/metrics")
    lines = text.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("triggers_runs_finished_total"))


def left(tables):
    """Return how many schedules have not fired."""
    return tables.select("SELECT COUNT(*) FROM schedules WHERE last_nominal IS NULL")[0][0][0]


def until_in_the_middle(service, tables, end):
    service.start()
    wait_until(lambda: ended(service) >= AT_LEAST, what="the first runs")
    end()
    return 0 < left(tables) < SCHEDULES


@pytest.fixture(params=["sqlite", "postgres"])
def tables(request, tmp_path):
    return Tables(tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else "")


def test_none_of_20000_due_schedules_is_lost_or_doubled_when_the_service_is_killed_or_stopped(tables):
    service = Service(tables.folder, tables.url)
    service.start()
    service.deploy(MIDNIGHT)
    assert service.stop() == 0
    due = (int(time.time()) - 1) * 1_000_000  # noqa: TID251 -- a test of the real clock
    Crowd(tables, due).put()
    assert until_in_the_middle(service, tables, service.kill)
    assert until_in_the_middle(service, tables, lambda: service.stop() == 0 or pytest.fail(service.tail()))
    service.start()
    wait_until(lambda: left(tables) == 0, every=0.5, what="the last schedule")
    wait_until(lambda: service.open_runs() == 0, every=0.2, what="the end of all runs")
    assert service.stop() == 0, service.tail()
    runs, occurrences, events, decisions, dead = tables.select(
        "SELECT trigger_id, scheduled_for, status, event_id, id FROM runs",
        "SELECT trigger_id, nominal, outcome, event_id, run_id FROM occurrences",
        "SELECT id FROM events WHERE provider = 'cron'",
        "SELECT event_id, outcome, run_id FROM decisions",
        "SELECT reason FROM dead_letters",
    )
    assert len(runs) == len({row[0] for row in runs}) == SCHEDULES
    assert Counter((row[1], row[2]) for row in runs) == {(due, "SUCCEEDED"): SCHEDULES}
    assert {(row[0], row[1], row[3], row[4]) for row in runs} == {(row[0], row[1], *row[3:]) for row in occurrences}
    assert Counter(row[2] for row in occurrences) == {"run_started": SCHEDULES}
    assert {row[3] for row in runs} == {row[0] for row in events}
    assert len(events) == len(decisions) == SCHEDULES
    assert {(row[0], row[2]) for row in decisions} == {(row[3], row[4]) for row in runs}
    assert dead == []
