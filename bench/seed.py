"""Fills a database file directly, so that a million triggers are there in seconds; the schema is the product's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from workflow_scheduler.core.ids import logical_id
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.stores.sqlite.store import SqliteStore

TENANT = "local"
NOOP = {"only": {"uses": "noop"}}


async def _create(path: Path) -> None:
    store = SqliteStore(path, SystemClock())
    await store.open()
    await store.close()


def open_database(folder: Path) -> apsw.Connection:
    """Create the schema in `folder` and return a fast connection to it."""
    path = folder / "workflow_scheduler.db"
    asyncio.run(_create(path))
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous=OFF")
    return connection


def workflows(connection: apsw.Connection, count: int) -> None:
    """Insert `count` deployed workflows of one no-op job, named wf-0 and so on."""
    now = SystemClock().now()

    def rows() -> Iterator[tuple[object, ...]]:
        for index in range(count):
            yield (TENANT, f"wf-{index}", f"wf-{index}", 1, 1, "DEPLOYED", now, now)

    connection.executemany(
        "INSERT INTO workflows (tenant_id, id, name, latest_version, live_version, deployment_status, created_at, "
        "updated_at) VALUES (?,?,?,?,?,?,?,?)",
        rows(),
    )
    connection.executemany(
        "INSERT INTO workflow_versions (tenant_id, workflow_id, version, definition, hash, created_at) "
        "VALUES (?,?,1,?,'',?)",
        (
            (TENANT, f"wf-{index}", json.dumps({"version": 1, "name": f"wf-{index}", "jobs": NOOP}), now)
            for index in range(count)
        ),
    )


_TRIGGER = (
    "INSERT INTO trigger_index (tenant_id, id, workflow_id, workflow_version, name, trigger_subtype, trigger_config, "
    "index_key, created_at, updated_at) VALUES (?,?,?,1,?,?,?,?,?,?)"
)


def schedules(connection: apsw.Connection, count: int, due: int, workflow_count: int) -> None:
    """Insert `count` daily cron triggers that are next due at `due` (microseconds)."""
    minute = due // 60_000_000 % 1440
    config = {"cron": f"{minute % 60} {minute // 60} * * *", "timezone": "UTC"}
    timers(connection, "cron", config, [due] * count, workflow_count)


def timers(
    connection: apsw.Connection, kind: str, config: dict[str, Any], due: Sequence[int], workflow_count: int
) -> None:
    """Insert a trigger of the type `kind` for each time in `due` (microseconds), which is its next; its anchor too."""
    now, tzdata, text = SystemClock().now(), tzdata_version(), json.dumps(config)
    key = config.get("cron")
    names = [(logical_id("bench", str(n)), f"wf-{n % workflow_count}", f"s{n}") for n in range(len(due))]
    connection.executemany(
        _TRIGGER, ((TENANT, own, workflow, name, kind, text, key, now, now) for own, workflow, name in names)
    )
    connection.executemany(
        "INSERT INTO schedules (tenant_id, trigger_id, workflow_id, kind, anchor, next_fire_at, next_nominal, tzdata, "
        "updated_at) VALUES (?,?,?,?,?,?,?,?,?)",
        ((TENANT, own, workflow, kind, at, at, at, tzdata, now)
         for (own, workflow, _), at in zip(names, due, strict=True)),
    )  # fmt: skip


def pushes(connection: apsw.Connection, count: int, hot: int, workflow_count: int) -> None:
    """Insert `count` GitHub triggers, `hot` of them on the repository acme/hot with a branch each, three on `main`."""
    now = SystemClock().now()

    def triggers() -> Iterator[tuple[str, str, str, str, str]]:
        for index in range(count):
            repository = "acme/hot" if index < hot else f"acme/repo-{index}"
            branch = "main" if index < 3 or index >= hot else f"branch-{index}"
            config = {"repository": repository, "secret": "bench", "events": {"push": {"branches": [branch]}}}
            own = logical_id("bench-push", str(index))
            yield own, f"wf-{index % workflow_count}", json.dumps(config), repository, f"push:refs/heads/{branch}"

    connection.executemany(
        _TRIGGER,
        ((TENANT, own, wf, f"p{own}", "github", config, key, now, now) for own, wf, config, key, _ in triggers()),
    )
    connection.executemany(
        "INSERT INTO trigger_keys (tenant_id, trigger_subtype, index_key, sub_key, trigger_id) "
        "VALUES (?,'github',?,?,?)",
        ((TENANT, key, sub, own) for own, _, _, key, sub in triggers()),
    )
