"""W2: many schedules due at one instant; every fire durable, none lost or doubled."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

from bench import seed
from bench.service import Service


def storm(count: int = 100_000, workflow_count: int = 1000) -> dict[str, Any]:
    """Return fires per second for `count` schedules due at one instant, and what the database says afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
    due = int((time.time() + 12) // 1 * 1_000_000)
    try:
        connection = seed.open_database(folder)
        with connection:
            seed.workflows(connection, workflow_count)
            seed.schedules(connection, count, due, workflow_count)
        connection.close()
        service = Service(folder=folder).start()
        if time.time() * 1e6 > due:
            raise SystemExit("the service started too late for this measurement")
        figures = _watch(service, folder, count, due)
        service.stop()
        return {"start_seconds": service.ready_seconds, **figures}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(service: Service, folder: Path, count: int, due: int) -> dict[str, Any]:
    reader = apsw.Connection(str(folder / "workflow_scheduler.db"), flags=apsw.SQLITE_OPEN_READONLY)
    while time.time() * 1e6 < due:
        time.sleep(0.01)
    begin = time.perf_counter()
    service.wait_finished(count, 300)
    finished = time.perf_counter() - begin

    def one(query: str) -> int:
        return int(reader.execute(query).fetchall()[0][0])

    last = one("SELECT MAX(decided_at) FROM decisions")
    return {
        "fires": one("SELECT COUNT(*) FROM events"),
        "runs": one("SELECT COUNT(*) FROM runs WHERE status = 'SUCCEEDED'"),
        "doubled": one("SELECT COUNT(*) FROM (SELECT 1 FROM runs GROUP BY trigger_id HAVING COUNT(*) > 1)"),
        "fire_seconds": last / 1e6 - due / 1e6,
        "fires_per_second": count / (last / 1e6 - due / 1e6),
        "finished_seconds": finished,
    }


def main() -> None:
    """Run W2 alone."""
    print(storm())


if __name__ == "__main__":
    main()
