"""What is recorded of the times that pass while a workflow is paused."""

from workflow_scheduler.core.model.principal import LOCAL

SECOND_US = 1_000_000


async def test_every_time_of_a_long_pause_is_accounted_for(house):
    await house.deploy("beat", tick={"type": "interval", "every": "10s"})
    anchor = (await house.store.read("SELECT anchor FROM schedules"))[0][0]
    await house.workflows.pause(LOCAL, "beat")
    house.clock.jump(3 * 86_400 + 5)
    await house.workflows.resume(LOCAL, "beat")
    rows = await house.store.read("SELECT nominal, note, reason FROM occurrences ORDER BY nominal")
    counts = [int(note.split()[0]) if note else 1 for _, note, _ in rows]
    assert sum(counts) == 3 * 8_640
    assert (rows[0][0], rows[-1][0]) == (anchor + 10 * SECOND_US, anchor + 3 * 86_400 * SECOND_US)
    assert {reason for _, _, reason in rows} == {"missed_paused"}
    assert (await house.store.read("SELECT next_nominal FROM schedules"))[0][0] == rows[-1][0] + 10 * SECOND_US
