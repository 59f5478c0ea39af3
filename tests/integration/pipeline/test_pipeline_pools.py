"""Claims on pools, on both stores: limits are never passed, nobody overtakes, everybody has a turn, nothing leaks."""

import asyncio
import random

import pytest
from plant import ON_EVENT

from workflow_scheduler.core.dag.pools import Claimed, Want, wants_of
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.pipeline.pools import Pools
from workflow_scheduler.stores.portable import claims, pools

CAPACITIES = {"db": 3, "gpu": 2, "disk": 1}


class Jobs:
    """An engine whose jobs only wait and hold; it keeps what it was told."""

    def __init__(self):
        self.waiting = set()
        self.told = []

    @property
    def claiming(self):
        return len(self.waiting)

    def claimed(self, run_id, job_id, turn, state):
        if (run_id, job_id, turn) in self.waiting:
            self.waiting.discard((run_id, job_id, turn))
            self.told.append((job_id, state))


async def a_run(instance):
    """Return a run that is under way on `instance`."""
    await instance.deploy("orders", ON_EVENT)
    receipt = await instance.inbox.accept(instance.event())
    (row,) = await claims.held(instance.store, instance.owner, ("local", receipt.run_ids[0], 1))
    return claims.run_from_row(row)


async def door(instance):
    made = Pools(instance.store, instance.clock, instance.owner)
    made.engine = Jobs()
    return made


def want(**amounts):
    return [Want(f"w:x:{name}", amount, CAPACITIES[name]) for name, amount in sorted(amounts.items())]


async def ask(made, run, job, wants, attempt=1):
    """Ask as an engine does: what is granted later is told."""
    turn = (run.id, job, (run.fence, attempt))
    made.engine.waiting.add(turn)
    state = await made.ask(run, job, attempt, wants)
    if state is not Claimed.WAITING:
        made.engine.waiting.discard(turn)
    return state


async def test_what_is_asked_is_granted_whole_and_in_order(one):
    run, made = await a_run(one), await door(one)
    assert await ask(made, run, "a", want(db=2)) is Claimed.GRANTED
    assert await ask(made, run, "b", want(db=2, gpu=1)) is Claimed.WAITING
    assert await ask(made, run, "c", want(db=1)) is Claimed.WAITING, "what is free is not for those who came later"
    assert await ask(made, run, "d", want(gpu=2)) is Claimed.WAITING
    assert await ask(made, run, "e", want(disk=1)) is Claimed.GRANTED
    await made.give_back(run, "a", 1)
    assert made.engine.told == [("b", Claimed.GRANTED), ("c", Claimed.GRANTED)]
    await made.give_back(run, "b", 1)
    assert made.engine.told[2:] == [("d", Claimed.GRANTED)]


async def test_asking_again_changes_nothing_and_a_late_return_harms_no_later_attempt(one):
    run, made = await a_run(one), await door(one)
    for _ in range(2):
        assert await made.ask(run, "a", 2, want(disk=1)) is Claimed.GRANTED
    await made.give_back(run, "a", 1)
    assert await made.ask(run, "b", 1, want(disk=1)) is Claimed.WAITING
    await made.give_back(run, "b", 1)
    await made.give_back(run, "a", 2)
    assert await one.all("SELECT * FROM resource_claims") == []


async def test_a_new_owner_asks_anew_and_the_old_one_cannot_give_that_back(one, two):
    run, old = await a_run(one), await door(one)
    assert await old.ask(run, "a", 1, want(disk=1)) is Claimed.GRANTED
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = 'one'")
    assert await two.recovery.take_over() == 1
    (row,) = await claims.held(two.store, two.owner, ("local", run.id, 2))
    taken, new = claims.run_from_row(row), await door(two)
    assert await new.ask(taken, "a", 2, want(disk=1)) is Claimed.GRANTED
    await old.give_back(run, "a", 5)
    assert await new.ask(taken, "b", 1, want(disk=1)) is Claimed.WAITING


async def test_what_nobody_gave_back_is_found(one, two):
    run, made = await a_run(one), await door(one)
    other, there = await a_run(two), await door(two)
    assert await ask(made, run, "a", want(disk=1)) is Claimed.GRANTED
    assert await ask(there, other, "b", want(disk=1)) is Claimed.WAITING
    await one.engine.finish(run.id)
    await there.sweep()
    assert there.engine.told == [("b", Claimed.GRANTED)]


async def test_an_instance_hears_what_another_one_has_granted(one, two):
    run, made = await a_run(one), await door(one)
    other, there = await a_run(two), await door(two)
    await ask(made, run, "a", want(disk=1))
    await ask(there, other, "b", want(disk=1))
    loop = asyncio.ensure_future(there.loop())
    await made.give_back(run, "a", 1)
    assert there.engine.told == []
    for _ in range(3):
        await one.clock.advance(1)
        await one.settle()
    await one.until(lambda: there.engine.told == [("b", Claimed.GRANTED)])
    loop.cancel()


async def test_the_pools_of_a_tenant_follow_its_settings(one):
    run, made = await a_run(one), await door(one)
    wants = wants_of(Definition(name="x", resources={"own": 1}), "x", {"shared": 2, "own": 1})
    assert [one.pool for one in wants] == ["w:x:own", "t:shared"]
    insert = "INSERT INTO tenants (id, name, settings, created_at) VALUES ('local', 'local', :text, 0) "
    update = "ON CONFLICT (id) DO UPDATE SET settings = excluded.settings"
    await one.write(insert + update, text='{"resources":{"shared":2}}')
    assert await ask(made, run, "a", wants) is Claimed.GRANTED
    assert await ask(made, run, "b", [Want("t:shared", 1)]) is Claimed.WAITING
    await one.write("UPDATE tenants SET settings = :text", text='{"resources":{"shared":3}}')
    await made.sweep()
    assert made.engine.told == [("b", Claimed.GRANTED)]
    assert await ask(made, run, "c", [Want("t:shared", 2)]) is Claimed.WAITING
    await one.write("UPDATE tenants SET settings = :text", text='{"resources":{}}')
    await made.sweep()
    assert made.engine.told[1:] == [("c", Claimed.REFUSED)]
    assert await ask(made, run, "d", [Want("t:nobody", 1)]) is Claimed.REFUSED


@pytest.mark.parametrize("seed", range(4))
async def test_limits_are_never_passed_and_every_job_has_its_turn(one, two, seed):
    draw = random.Random(seed)  # noqa: S311 -- a seed repeats the case
    doors = [(await a_run(instance), await door(instance)) for instance in (one, two)]
    asked = {}
    for number in range(24):
        names = draw.sample(sorted(CAPACITIES), draw.randint(1, 3))
        asked[f"j{number}"] = (number % 2, {name: draw.randint(1, CAPACITIES[name]) for name in names})
    held, done = set(), []
    left = list(asked)
    while len(done) < len(asked):
        if left and (not held or draw.random() < 0.6):
            job = left.pop(0)
            place, amounts = asked[job]
            run, made = doors[place]
            if await ask(made, run, job, want(**amounts)) is Claimed.GRANTED:
                held.add(job)
        elif held:
            job = draw.choice(sorted(held))
            held.discard(job)
            run, made = doors[asked[job][0]]
            await made.give_back(run, job, 1)
            done.append(job)
        for _, made in doors:
            made._hand_over(await pools.settled(one.store, made._owner))
            held |= {job for job, state in made.engine.told if state is Claimed.GRANTED}
            made.engine.told.clear()
        for name, capacity in CAPACITIES.items():
            assert sum(asked[job][1].get(name, 0) for job in held) <= capacity
        assert left or held or len(done) == len(asked), "everybody waits"
    assert await one.all("SELECT * FROM resource_claims") == []
