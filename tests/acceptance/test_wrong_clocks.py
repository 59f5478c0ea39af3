"""Three instances on one PostgreSQL whose clocks are half a minute apart each: the database's clock is that of all."""

import asyncio
import datetime as dt
from collections import Counter

import asyncpg
import pytest
from chaos.audit import Tables
from chaos.service import Service

SECONDS = 8
SKEWS = (-30, 0, 30)
SECOND = dt.timedelta(seconds=1)
EARLY = "SELECT COUNT(*) FROM runs WHERE scheduled_for > extract(epoch FROM clock_timestamp()) * 1000000"
LOOKS_EVERY = 0.05


def ticks():
    """Return a workflow with an interval, and a one-time schedule for each second from soon on."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)  # noqa: TID251 -- a test of the real clock
    onces = {f"once-{n}": {"type": "once", "run_at": (now + (n + 3) * SECOND).isoformat()} for n in range(SECONDS + 40)}
    return {
        "version": 1,
        "name": "ticks",
        "triggers": {"second": {"type": "interval", "every": "1s", "catchup": "all"}, **onces},
        "jobs": {"only": {"uses": "noop"}},
    }


async def early_runs(url, seconds):
    """Return the number of looks at the database, and the greatest number of runs ahead of its clock in any of them."""
    connection = await asyncpg.connect(url)
    try:
        loop = asyncio.get_running_loop()
        until, looks, most = loop.time() + seconds, 0, 0
        while loop.time() < until:
            most = max(most, await connection.fetchval(EARLY))
            looks += 1
            await asyncio.sleep(LOOKS_EVERY)  # noqa: TID251 -- the processes that are looked at have clocks of their own
        return looks, most
    finally:
        await connection.close()


@pytest.fixture
def three(tmp_path, postgres_url):
    made = [Service(tmp_path, postgres_url, "chaos_skewed", CHAOS_SKEW_SECONDS=str(skew)) for skew in SKEWS]
    yield made
    for one in made:
        one.leave_nothing()
        one.process.wait()
        one.process.stdout.close()


def test_clocks_that_are_apart_fire_nothing_early_nothing_twice_and_keep_nobody_busy(three, tmp_path, postgres_url):
    for one in three:
        one.start()
    three[1].deploy(ticks())
    before = [one.cpu_seconds() for one in three]
    looks, early = asyncio.run(early_runs(postgres_url, SECONDS))
    busy = [one.cpu_seconds() - began for one, began in zip(three, before, strict=True)]
    assert looks > SECONDS
    assert early == 0
    assert max(busy) < SECONDS / 2, busy
    for one in three:
        assert one.stop() == 0, one.tail()
    runs, occurrences = Tables(tmp_path, postgres_url).select(
        "SELECT trigger_id, scheduled_for, status, deliveries, created_at FROM runs",
        "SELECT trigger_id, nominal, outcome FROM occurrences",
    )
    fired = Counter(row[:2] for row in runs)
    assert len(fired) >= 2 * SECONDS - 5
    assert set(fired.values()) == {1}
    assert {row[:2] for row in occurrences} == set(fired)
    assert {row[2] for row in occurrences} == {"run_started"}
    assert {row[3] for row in runs} == {1}, "a living instance was taken for dead"
    assert max(row[4] - row[1] for row in runs) < 10_000_000
