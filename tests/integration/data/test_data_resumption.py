"""Resuming a schedule again after an attempt that was cut off between its runs and their records."""

import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL


async def test_a_resumption_that_was_cut_off_is_completed_by_the_next(house, monkeypatch):
    await house.deploy("beat", tick={"type": "interval", "every": "10s"})
    schedule = await house.trigger_id("tick")
    await house.schedules.pause(LOCAL, schedule)
    house.clock.jump(35)
    commit = house.store.commit

    async def cut_off(batch):
        if batch.occurrences:
            raise StoreUnavailable
        return await commit(batch)

    monkeypatch.setattr(house.store, "commit", cut_off)
    with pytest.raises(StoreUnavailable):
        await house.schedules.resume(LOCAL, schedule, missed="all")
    monkeypatch.setattr(house.store, "commit", commit)
    resumed = await house.schedules.resume(LOCAL, schedule, missed="all")
    runs = await house.store.read("SELECT id, scheduled_for FROM runs ORDER BY scheduled_for")
    rows = await house.store.read("SELECT run_id, nominal, outcome FROM occurrences ORDER BY nominal")
    assert len(runs) == 3
    assert [(row[0], row[1]) for row in rows] == runs
    assert {row[2] for row in rows} == {"run_started"}
    assert resumed["run_ids"] == [run[0] for run in runs]
