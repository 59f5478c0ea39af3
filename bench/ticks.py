"""A steady load of time: so many schedules due in every second, for a while."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

from bench import seed
from bench.service import Service
from bench.size import cpu_seconds

LEAD_SECONDS = 8


def sustained(per_second: int = 1000, seconds: int = 30) -> dict[str, Any]:
    """Return lateness, processor share and what is missing after `seconds` in which `per_second` schedules fell due.

    Every schedule runs once a minute, and each second has so many of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
    first = int(time.time() + LEAD_SECONDS) * 1_000_000
    try:
        connection = seed.open_database(folder)
        with connection:
            seed.workflows(connection, 1000)
            due = [first + second * 1_000_000 for second in range(60) for _ in range(per_second)]
            seed.timers(connection, "interval", {"every": "60s"}, due, 1000)
        connection.close()
        service = Service(folder=folder).start()
        if time.time() * 1e6 > first:
            raise SystemExit("the service started too late for this measurement")
        figures = _watch(service, folder, (first, seconds, per_second))
        service.stop()
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(service: Service, folder: Path, load: tuple[int, int, int]) -> dict[str, Any]:
    first, seconds, per_second = load
    assert service.process is not None
    pid = service.process.pid
    time.sleep(first / 1e6 - time.time())
    before = cpu_seconds(pid)
    time.sleep(max(0.0, first / 1e6 + seconds - time.time()))
    share = (cpu_seconds(pid) - before) / seconds * 100
    service.wait_finished(per_second * seconds, 60)
    reader = apsw.Connection(str(folder / "workflow_scheduler.db"), flags=apsw.SQLITE_OPEN_READONLY)
    until = first + seconds * 1_000_000
    late = sorted(
        decided - scheduled
        for decided, scheduled in reader.execute(
            "SELECT d.decided_at, r.scheduled_for FROM runs r JOIN decisions d ON d.tenant_id = r.tenant_id "
            "AND d.event_id = r.event_id AND d.trigger_id = r.trigger_id WHERE r.scheduled_for < ?",
            (until,),
        )
    )
    doubled = reader.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM runs GROUP BY trigger_id, scheduled_for HAVING COUNT(*) > 1)"
    ).fetchall()[0][0]
    return {
        "planned": per_second * seconds,
        "fired": len(late),
        "doubled": doubled,
        "late_p50_ms": late[len(late) // 2] / 1000,
        "late_p99_ms": late[len(late) * 99 // 100] / 1000,
        "cpu_percent": share,
    }


if __name__ == "__main__":
    print(json.dumps(sustained()))
