"""One sequence: random steps, then peace, then the audit."""

import tempfile
import warnings
from pathlib import Path

from sim import audit
from sim.steps import Steps
from sim.virtual import VirtualLoop
from sim.world import World
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter

PEACE_SECONDS = 20.0
PEACE_ROUNDS = 24
SET_BACK_SECONDS = 4000
TRIES = 3
DEAD = DeadLetterFilter(status="dead")


def complaints(seed, steps):
    """Run the sequence of `seed` and return (complaints, names of the steps)."""
    loop = VirtualLoop()
    try:
        with tempfile.TemporaryDirectory(prefix="wfs-sim-") as folder, warnings.catch_warnings():
            # Coroutines of a process that was killed are never awaited.
            warnings.simplefilter("ignore", RuntimeWarning)
            return loop.run_until_complete(_run(Path(folder), loop, seed, steps))
    finally:
        loop.close()


async def _run(folder, loop, seed, count):
    world = World(folder, loop, seed)
    steps = Steps(world)
    try:
        await steps.prepare()
        for _ in range(count):
            await steps.one()
            if found := [*world.complaints, *steps.ledger.complaints, *audit.at_any_time(world)]:
                return found, steps.taken
        await _peace(world, steps)
        return [*world.complaints, *steps.ledger.complaints, *audit.in_peace(world, steps)], steps.taken
    finally:
        await world.close()


async def _peace(world, steps):
    """Let the disk work, end every pause, send again what had no answer, and let time pass until all is done."""
    await _insist(world, lambda: world.app.context.workflows.resume_all(LOCAL))
    steps.state = steps.state._replace(paused=frozenset())
    steps.history.append(steps.state)
    for _ in range(TRIES):
        world.faults.heal()
        await steps.deliver(steps.unanswered())
    await _settle(world)
    await _insist(world, lambda: world.app.context.dead_letters.redrive_all(LOCAL, DEAD, dry_run=False))
    await _settle(world)


async def _insist(world, make):
    """Call until there is an answer."""
    answer = None
    while answer is None or answer.kind != "ok":
        world.faults.heal()
        await world.live(1.0)
        answer = await world.call(make())


async def _settle(world):
    """Let time pass until no run of before is under way."""
    world.peace_since = world.clock.now()
    for turn in range(PEACE_ROUNDS):
        world.faults.heal()
        await world.live(PEACE_SECONDS)
        if not audit.open_runs(world):
            break
        if turn == PEACE_ROUNDS // 2:
            world.clock.jump(SET_BACK_SECONDS)  # what waits for a time that the clock was set back from
