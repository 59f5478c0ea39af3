"""`catchup_rate`: a long outage does not flood an engine, each missed fire is one run, whoever crashes."""

from workflow_scheduler.core.model.principal import LOCAL

MINUTELY = {"type": "cron", "cron": "* * * * *", "catchup": "all", "catchup_rate": "2/m"}
OUTAGE_SECONDS = 290


async def outage(instance):
    await instance.deploy("report", {"often": MINUTELY})
    await instance.clock.advance(OUTAGE_SECONDS)
    await instance.timer.tick()
    await instance.settle()


async def test_missed_fires_start_one_after_the_other_and_new_ones_on_time(one):
    await outage(one)
    rows = await one.all("SELECT outcome, reason FROM occurrences ORDER BY nominal")
    assert rows == [("run_started", "matched"), *[("deferred", "rate_limited")] * 2, ("run_started", "matched")]
    assert await one.count("runs") == 4
    await one.until(lambda: len(one.engine.started) == 2)
    for expected in (3, 4):
        await one.clock.advance(30)
        await one.until(lambda expected=expected: len(one.engine.started) == expected)
    assert len(set(one.engine.started)) == 4
    await one.clock.advance(3600)
    await one.settle()
    assert len(one.engine.started) == 4


async def test_a_crash_while_runs_wait_for_their_time_loses_and_doubles_none(one, two):
    await outage(one)
    await one.until(lambda: len(one.engine.started) == 2)
    await two.clock.advance(20)
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = :id", id=one.owner)
    assert await two.recovery.take_over() == 4
    await two.settle()
    await two.clock.advance(60)
    await two.until(lambda: len(two.engine.started) == 4)
    await one.settle()
    assert len(one.engine.started) == 2
    assert await one.count("runs") == 4


async def test_a_run_that_waits_for_its_time_can_be_cancelled(one):
    await outage(one)
    rows = await one.all("SELECT id FROM runs WHERE next_attempt_at IS NOT NULL ORDER BY next_attempt_at")
    assert len(rows) == 2
    await one.launcher.cancel(LOCAL.tenant_id, rows[0][0])
    await one.clock.advance(120)
    await one.until(lambda: len(one.engine.started) == 3)
    assert rows[0][0] not in one.engine.started
    assert await one.all("SELECT status FROM runs WHERE id = :id", id=rows[0][0]) == [("CANCELLED",)]
