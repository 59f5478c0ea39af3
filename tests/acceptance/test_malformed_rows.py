"""A thousand rows that nobody could have written: the service starts, lists each, and the healthy ones go on."""

import asyncio
import itertools
import urllib.parse

import apsw
import asyncpg
import pytest
from chaos.scene import PING
from chaos.service import Refused, Service, wait_until

ROWS = 1_000
T0 = 1_700_000_000_000_000
HEALTHY = {
    "version": 1,
    "name": "healthy",
    "triggers": {
        "in": {"type": "webhook", "path": "healthy", "signature": {"scheme": "none"}},
        "second": {"type": "interval", "every": "1s"},
    },
    "jobs": {"only": {"uses": "noop"}},
}
BROKEN_TRIGGERS = (
    ("webhook", "{", "{}"),
    ("webhook", "[]", "{}"),
    ("webhook", '"text"', "{}"),
    ("webhook", "", "{}"),
    ("webhook", '{"path": 5, "signature": "none"}', "{}"),
    ("webhook", '{"path": "healthy"}', "{}"),
    ("webhook", '{"path": "healthy", "signature": "none", "nonsense": 1}', "{}"),
    ("webhook", '{"path": "healthy", "signature": "none"}', "["),
    ("webhook", '{"path": "healthy", "signature": "none"}', '{"condition": 5}'),
    ("webhook", '{"path": "healthy", "signature": "none"}', '{"condition": "event.("}'),
    ("webhook", '{"path": "healthy", "signature": "none"}', '{"on_unknown": "perhaps"}'),
    ("webhook", '{"path": "healthy", "signature": "none"}', '{"max_depth": "deep"}'),
    ("webhook", '{"path": "healthy", "signature": "none"}', '{"engine": 7}'),
    ("telepathy", "{}", "{}"),
    ("", "{}", "{}"),
    ("github", '{"repository": {"a": [1]}}', "{}"),
    ("event", '{"event": "chaos.ping", "filter": 3}', "{}"),
    ("workflow", '{"all": "x", "any": "y"}', "{}"),
)
BROKEN_SCHEDULES = (
    ("cron", "{}", "cron", T0),
    ("cron", '{"cron": "61 * * * *"}', "cron", T0),
    ("cron", '{"cron": "* * * * *", "timezone": "Mars/Olympus"}', "cron", T0),
    ("interval", '{"every": "never"}', "interval", T0),
    ("interval", '{"every": "10m"}', "interval", 9_000_000_000_000_000_000),
    ("once", '{"run_at": "soon"}', "once", T0),
    ("webhook", '{"path": "w", "signature": "none"}', "cron", T0),
    ("rrule-of-tomorrow", "{}", "rrule-of-tomorrow", T0),
    (None, None, "cron", T0),
)


class Tables:
    """Writes rows behind the program's back."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url

    def write(self, table, rows):
        """Insert rows given as dicts with the same keys."""
        names = list(rows[0])
        if self.url:
            asyncio.run(self._on_server(table, names, rows))
            return
        connection = apsw.Connection(str(self.folder / "data" / "workflow_scheduler.db"))
        marks = ", ".join("?" for _ in names)
        with connection:
            for row in rows:
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
                    tuple(row[name] for name in names),
                )
        connection.close()

    async def _on_server(self, table, names, rows):
        connection = await asyncpg.connect(self.url)
        marks = ", ".join(f"${place}" for place in range(1, len(names) + 1))
        text = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        async with connection.transaction():
            await connection.execute("SET LOCAL row_security = off")
            await connection.executemany(text, [tuple(row[name] for name in names) for row in rows])
        await connection.close()


def trigger_row(number, workflow, kind, config, shared):
    return {
        "tenant_id": "local", "id": f"bad-trigger-{number:05}", "workflow_id": workflow, "workflow_version": 1,
        "name": f"bad-{number}", "trigger_subtype": kind, "trigger_config": config, "shared": shared,
        "index_key": "healthy", "created_at": T0, "updated_at": T0,
    }  # fmt: skip


def key_row(number, kind, key):
    return {"tenant_id": "local", "trigger_subtype": kind, "index_key": key, "trigger_id": f"bad-trigger-{number:05}"}


def spoil(tables, workflow):
    """Write the thousand rows and return the (table, id) of each."""
    count = itertools.count()
    broken, keys, schedules, runs, jobs, versions, events = [], [], [], [], [], [], []
    listed = []
    for kind, config, shared in itertools.islice(itertools.cycle(BROKEN_TRIGGERS), 480):
        number = next(count)
        broken.append(trigger_row(number, workflow, kind, config, shared))
        keys.append(key_row(number, kind or "webhook", "chaos.ping" if kind == "event" else "healthy"))
        listed.append(("trigger_index", broken[-1]["id"]))
    for kind, config, row_kind, nominal in itertools.islice(itertools.cycle(BROKEN_SCHEDULES), 360):
        number = next(count)
        if kind is not None:
            broken.append(trigger_row(number, workflow, kind, config, "{}"))
        schedules.append({
            "tenant_id": "local", "trigger_id": f"bad-trigger-{number:05}", "workflow_id": workflow, "kind": row_kind,
            "anchor": nominal, "next_fire_at": T0, "next_nominal": nominal, "updated_at": T0,
        })  # fmt: skip
        listed.append(("schedules", f"bad-trigger-{number:05}"))
    for place in range(120):
        run = {
            "tenant_id": "local", "id": f"0192-bad-run-{place:04}", "workflow_id": workflow, "workflow": "healthy",
            "version": 1, "trigger_id": "t", "trigger_type": "webhook", "event_id": f"bad-event-{place}",
            "event_key": f"bad-{place}", "engine": "embedded", "status": "QUEUED", "owner": "a-dead-one",
            "input": b"{}", "created_at": T0,
        }  # fmt: skip
        run |= ({"status": "LOST"}, {"input": b"\xff{"}, {"version": 99}, {"engine": "steam"}, {}, {})[place % 6]
        if place % 6 == 4:
            jobs.append({"tenant_id": "local", "run_id": run["id"], "job_id": "only", "status": "DREAMING"})
        if place % 6 == 5:
            events.append({
                "tenant_id": "local", "id": run["event_id"], "provider": "webhook", "source": "/s", "type": "webhook",
                "event_key": f"bad-{place}", "time": T0, "received_at": T0, "data": b"{{{", "attributes": b"nonsense",
                "index_keys": "[", "sub_keys": "[",
            })  # fmt: skip
        runs.append(run)
    workflows = []
    for place in range(40):
        workflows.append({
            "tenant_id": "local", "id": f"bad-workflow-{place}", "name": f"bad-workflow-{place}", "latest_version": 1,
            "live_version": 1, "deployment_status": "DEPLOYED", "created_at": T0, "updated_at": T0,
        })  # fmt: skip
        text = ("{", '{"name": 5}', '{"version": 1, "name": "x", "jobs": {"a": {"uses": "magic"}}}', "")[place % 4]
        if text:
            versions.append({
                "tenant_id": "local", "workflow_id": f"bad-workflow-{place}", "version": 1, "definition": text,
                "hash": "h", "created_at": T0,
            })  # fmt: skip
        listed.append(("workflows", f"bad-workflow-{place}"))
    instance = {"id": "a-dead-one", "started_at": T0, "lease_until": T0, "roles": "x", "tzdata": "x", "version": "x"}
    for table, rows in (
        ("instances", [instance]), ("workflows", workflows), ("workflow_versions", versions),
        ("trigger_index", broken), ("trigger_keys", keys), ("schedules", schedules), ("events", events),
        ("runs", runs), ("jobs", jobs),
    ):  # fmt: skip
        tables.write(table, rows)
    assert len(listed) + len(runs) == ROWS
    return set(listed), {run["id"] for run in runs}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    service = Service(tmp_path, url)
    yield service, Tables(tmp_path, url)
    service.kill()


def test_the_service_starts_lists_them_and_serves_their_neighbours(place):
    service, tables = place
    service.start()
    workflow = service.deploy(HEALTHY)
    service.deploy(PING)
    before = len(service.items("/api/v1/runs", workflow="healthy", trigger_type="interval"))
    assert service.stop() == 0
    listed, runs = spoil(tables, workflow)

    assert service.start() is not None
    assert service.ready_cpu_seconds[-1] < 10
    answer = service.call("POST", "/api/v1/public/webhook/healthy?wait=run", {"n": 1})
    assert [one["outcome"] for one in answer["decisions"]].count("run_started") == 1
    event = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "chaos.ping"}
    cloud = {"Content-Type": "application/cloudevents+json"}
    service.call("POST", "/api/v1/events", event, cloud)
    wait_until(lambda: service.items("/api/v1/runs", workflow="ping", status="SUCCEEDED"), what="a healthy run")
    wait_until(
        lambda: len(service.items("/api/v1/runs", workflow="healthy", trigger_type="interval")) >= before + 2,
        what="a healthy schedule",
    )

    def missing():
        found = {(row["kind"], row["id"]) for row in service.items("/api/v1/quarantine")}
        return listed - found

    wait_until(lambda: not missing(), seconds=120, what=f"the listing of {sorted(missing())[:5]}")

    def unsettled():
        found = {row["id"] for row in service.items("/api/v1/quarantine") if row["kind"] == "runs"}
        rows = service.items("/api/v1/runs", workflow="healthy")
        return runs - found - {run["id"] for run in rows if run.get("status") in ("FAILED", "SUCCEEDED")}

    wait_until(lambda: not unsettled(), seconds=40, what=f"the end of {sorted(unsettled())[:5]}")
    assert service.died_within(0.5) is False
    health = service.call("GET", "/health/detailed")["components"]["quarantine"]
    assert health["status"] == "degraded"
    assert health["rows"] >= len(listed)
    for path in ("triggers", "schedules", "runs", "events", "workflows", "dead-letters", "quarantine"):
        service.items(f"/api/v1/{path}")

    row = urllib.parse.quote("bad-trigger-00000")
    service.call("DELETE", f"/api/v1/quarantine/trigger_index/{row}")
    with pytest.raises(Refused) as refused:
        service.call("DELETE", f"/api/v1/quarantine/trigger_index/{row}")
    assert refused.value.status == 404
    assert service.stop() == 0
