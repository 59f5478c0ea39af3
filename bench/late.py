"""What downtime costs: a million missed occurrences, of one schedule and of ten thousand, until all are settled."""

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

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
_SUMS = "SELECT (SELECT COUNT(*) FROM runs), (SELECT MAX(recorded_at) FROM occurrences)"


def settled(schedules: int, missed: int, catchup: str = "latest") -> dict[str, Any]:
    """Return the seconds from the start of an instance until nothing is due that was missed while none ran.

    One schedule runs every minute, many run every hour; each has missed so many times.
    """
    folder = Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
    begin = int(time.time() * 1_000_000)
    if schedules == 1:
        cron, first = "* * * * *", (begin // MINUTE_US - missed + 1) * MINUTE_US
    else:  # half an hour from now, so that no time is on time
        last = begin // MINUTE_US * MINUTE_US - 30 * MINUTE_US
        cron, first = f"{last // MINUTE_US % 60} * * * *", last - (missed - 1) * HOUR_US
    try:
        connection = seed.open_database(folder)
        with connection:
            seed.workflows(connection, 1000)
            config = {"cron": cron, "timezone": "UTC", "catchup": catchup}
            seed.timers(connection, "cron", config, [first] * schedules, 1000)
        connection.close()
        service = Service(folder=folder).start()
        figures = _watch(folder, begin)
        service.stop()
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(folder: Path, begin: int) -> dict[str, Any]:
    reader = apsw.Connection(str(folder / "workflow_scheduler.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.set_busy_timeout(5000)

    def one(query: str, *given: int) -> tuple[Any, ...]:
        return tuple(reader.execute(query, given).fetchall()[0])

    deadline = time.perf_counter() + 120
    while one("SELECT EXISTS (SELECT 1 FROM schedules WHERE next_fire_at <= ?)", begin)[0]:
        if time.perf_counter() > deadline:
            raise SystemExit("what was missed is not settled in time")
        time.sleep(0.02)
    (started,) = one("SELECT MAX(started_at) FROM instances")
    runs, last = one(_SUMS)
    counted = 0
    for (note,) in reader.execute("SELECT note FROM occurrences"):
        number, _, until = str(note or "").partition(" fires until ")
        counted += int(number) if until else 1
    return {"seconds": (last - started) / 1e6, "runs": runs, "occurrences": counted}


if __name__ == "__main__":
    for given in ((1, 1_000_000, "latest"), (10_000, 100, "latest"), (10_000, 100, "none")):
        print(given, json.dumps(settled(*given)))
