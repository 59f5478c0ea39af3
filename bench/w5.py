"""W5: the next fire of a cron expression."""

from __future__ import annotations

import statistics
import time

from workflow_scheduler.core.time import cron, dst, zone

EXPRESSIONS = ("0 2 * * *", "*/5 * * * *", "0 9 * * MON-FRI", "30 4 1 * *", "0 0 L * *", "0 0 29 2 *")
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")


def next_fire_us(rounds: int = 2000) -> dict[str, float]:
    """Return the median microseconds of one next fire, for each expression, over four zones."""
    found = {}
    for expression in EXPRESSIONS:
        parsed = cron.parse(expression)
        figures = []
        for name in ZONES:
            place = zone.load(name)
            instant = 1_800_000_000_000_000
            begin = time.perf_counter()
            for _ in range(rounds):
                fire = dst.next_fire(parsed, place, instant)
                assert fire is not None
                instant = fire.utc if fire.utc < 3_000_000_000_000_000 else 1_800_000_000_000_000
            figures.append((time.perf_counter() - begin) / rounds * 1e6)
        found[expression] = statistics.median(figures)
    return found


if __name__ == "__main__":
    print(next_fire_us())
