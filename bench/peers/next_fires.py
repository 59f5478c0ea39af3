"""croniter and cronsim: the next fire of an expression. Run by bench/peers/run.py."""

from __future__ import annotations

import json
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

EXPRESSION = "0 9 * * MON-FRI"
BEGIN = datetime(2027, 1, 15, 8, 0, tzinfo=ZoneInfo("America/New_York"))


def main(count: int = 2000) -> None:
    """Measure and print JSON."""
    found = {}
    for name, fires in (("cronsim", CronSim(EXPRESSION, BEGIN)), ("croniter", croniter(EXPRESSION, BEGIN, datetime))):
        begin = time.perf_counter()
        for _ in range(count):
            next(fires)
        found[name] = (time.perf_counter() - begin) / count * 1e6
    print(json.dumps(found))


main()
