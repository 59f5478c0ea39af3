"""One sequence of steps on schedules, compared with the law after each of them."""

import os
import random
import tempfile
import warnings
from pathlib import Path

from sim.virtual import VirtualLoop

from timesim import audit
from timesim.nominal import DAY
from timesim.steps import Steps
from timesim.world import StillWorld

EVERY_TIME = "WFS_TIME_SEED" in os.environ


def divergences(seed, steps):
    """Run the sequence of `seed` and return (differences from the law, what was done)."""
    loop = VirtualLoop()
    try:
        with tempfile.TemporaryDirectory(prefix="wfs-time-") as folder, warnings.catch_warnings():
            # Coroutines of a process that was killed are never awaited.
            warnings.simplefilter("ignore", RuntimeWarning)
            return loop.run_until_complete(_run(Path(folder), loop, seed, steps))
    finally:
        loop.close()


async def _run(folder, loop, seed, count):
    world = StillWorld(folder, loop, seed)
    steps = Steps(world)
    try:
        return await compared(world, steps, seed, count)
    finally:
        await world.close()


async def compared(world, steps, seed, count):
    """Take the steps on a world, and look after each whether the service is where the law has it."""
    chance = random.Random(-seed - 1)  # noqa: S311 -- the same numbers every time
    await steps.prepare()
    since = steps.now - 30 * DAY
    for number in range(count):
        await steps.one()
        last = number == count - 1
        if last:
            world.faults.heal()
            await steps.tick()
        if found := [*world.complaints, *steps.complaints, *await _narrowed(world, steps, since, chance, whole=last)]:
            return found, steps.taken
    return [], steps.taken


async def _narrowed(world, steps, since, chance, *, whole):
    """Drop the states that the service is not in; what is left must be one at least."""
    whole = whole or len(steps.books) > 1 or EVERY_TIME or chance.random() < 0.03
    found = [await audit.differences(world, book, since, chance, whole=whole) for book in steps.books]
    fitting = [book for book, differences in zip(steps.books, found, strict=True) if not differences]
    if not fitting:
        return found[0]
    steps.books = fitting[:1]
    return []
