"""What becomes of runs when an instance is forgotten, sleeps through its lease, or stops in good order."""

from plant import ON_EVENT

LIMITED = {"concurrency": {"max_runs": 2}}


async def pour(instance, count, **more):
    await instance.deploy("orders", ON_EVENT, **more)
    receipts = await instance.inbox.accept_all([instance.event() for _ in range(count)])
    await instance.until(lambda: len(instance.engine.started) >= min(count, 2))
    return sorted(receipt.run_ids[0] for receipt in receipts)


async def deliveries(instance):
    return {row[0] for row in await instance.all("SELECT deliveries FROM runs")}


async def test_runs_whose_owner_is_registered_no_more_are_taken_over(one, two):
    ids = await pour(one, 3)
    await one.write("DELETE FROM instances WHERE id = 'one'")
    assert await two.recovery.take_over() == 3
    await two.until(lambda: len(two.engine.started) == 3)
    assert sorted(two.engine.started) == ids


async def test_a_stop_in_good_order_counts_nothing_against_the_runs(one, two):
    await pour(one, 3)
    await one.recovery.end()
    assert await deliveries(one) == {0}
    assert await two.recovery.take_over() == 3
    assert await deliveries(one) == {1}


async def test_runs_of_an_engine_elsewhere_are_taken_over_without_counting(one, two):
    await pour(one, 3)
    await one.write("UPDATE runs SET external_id = 'x'")
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = 'one'")
    assert await two.recovery.take_over() == 3
    assert await deliveries(one) == {1}


async def test_suspects_are_not_continued_all_at_once(one, two):
    await pour(one, 3)
    await one.write("UPDATE runs SET deliveries = 2")
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = 'one'")
    assert await two.recovery.take_over() == 3
    await two.settle()
    assert two.engine.started == []
    assert await deliveries(one) == {3}


async def test_a_sleeper_drops_what_others_have_taken_and_keeps_the_rest(one, two, clock):
    ids = await pour(one, 5, **LIMITED)
    await one.write("UPDATE runs SET owner = 'two', fence = 2 WHERE id <= :id", id=ids[3])
    assert sorted(one.recovery._launcher.held()) == ids
    clock.jump(60)
    await clock.advance(60)
    assert not one.recovery.lease.valid()
    await one.recovery._prolong()
    assert one.recovery.lease.valid()
    assert sorted(one.recovery._launcher.held()) == ids[4:]


async def test_a_lease_that_runs_out_while_the_store_is_slow_is_a_lapse_too(one, clock, monkeypatch):
    ids = await pour(one, 3)
    await one.write("UPDATE runs SET owner = 'two', fence = 2 WHERE id = :id", id=ids[0])
    transact = one.store.transact

    async def slow(work):
        await clock.advance(60)
        return await transact(work)

    monkeypatch.setattr(one.store, "transact", slow)
    assert one.recovery.lease.valid()
    await one.recovery._prolong()
    assert sorted(one.recovery._launcher.held()) == ids[1:]


async def test_without_a_lapse_nothing_is_asked_or_dropped(one):
    ids = await pour(one, 2)
    await one.write("UPDATE runs SET owner = 'two', fence = 2")
    term = one.recovery.lease.term
    await one.recovery._prolong()
    assert one.recovery.lease.term == term
    assert sorted(one.recovery._launcher.held()) == ids
