"""APScheduler 3: jobs due at one instant, in memory or in SQLite. Run by bench/peers/run.py."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import datetime, timedelta

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

WANTED = int(sys.argv[1])
done = threading.Event()
fired: list[None] = []


def job() -> None:
    """Count a fire."""
    fired.append(None)
    if len(fired) == WANTED:
        done.set()


def main() -> None:
    """Measure and print JSON."""
    stores = {"default": SQLAlchemyJobStore(url=sys.argv[2])} if len(sys.argv) > 2 else {}
    scheduler = BackgroundScheduler(jobstores=stores, job_defaults={"misfire_grace_time": 600})
    scheduler.start(paused=True)
    due = datetime.now() + timedelta(seconds=1)  # noqa: DTZ005 -- its local time is APScheduler's default
    for number in range(WANTED):
        scheduler.add_job(job, "date", run_date=due, id=str(number))
    while datetime.now() < due:  # noqa: DTZ005
        time.sleep(0.01)
    begin = time.perf_counter()
    scheduler.resume()
    done.wait(100)
    print(json.dumps({"fires": len(fired) / (time.perf_counter() - begin)}), flush=True)
    os._exit(0)


main()
