"""One sequence: random steps, then peace, then the audit."""

import asyncio
import tempfile
import warnings
from pathlib import Path

from sim import audit
from sim.steps import Steps
from sim.virtual import VirtualLoop
from sim.world import World
from workflow_scheduler.core.model.principal import LOCAL

STEPS = 30
PEACE_SECONDS = 240.0
PEACE_ROUNDS = 12


def complaints(seed, steps=STEPS):
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
    """Let the disk work, end every pause, and let time pass until nothing is under way."""
    answer = None
    while answer is None or answer.kind != "ok":
        world.faults.heal()
        await world.live(1.0)
        answer = await world.call(world.app.context.workflows.resume_all(LOCAL))
    steps.state = steps.state._replace(paused=frozenset())
    for _ in range(PEACE_ROUNDS):
        await world.live(PEACE_SECONDS / PEACE_ROUNDS)
        world.faults.heal()
    for _ in range(PEACE_ROUNDS):
        if not audit.open_runs(world):
            break
        await world.live(PEACE_SECONDS / PEACE_ROUNDS)
    await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop, no waiting
