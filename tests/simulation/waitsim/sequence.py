"""One sequence: two paused runs, then triggers, answers, deliveries and expiries, and after each instant the law."""

import asyncio
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

from sim.virtual import VirtualLoop

from waitsim import audit, law, scene
from waitsim.house import Pair, Virtual
from waitsim.law import SECOND
from waitsim.steps import Steps, told

INSTANTS = 7


def virtual(seeds):
    """Yield (seed, complaints, what was done) of each sequence, all on one service on SQLite and virtual time."""
    loop = VirtualLoop()
    try:
        with tempfile.TemporaryDirectory(prefix="wfs-wait-") as folder, warnings.catch_warnings():
            # Coroutines of a process that was killed are never awaited.
            warnings.simplefilter("ignore", RuntimeWarning)
            return loop.run_until_complete(_all(Virtual(Path(folder), loop, 0), seeds))
    finally:
        loop.close()


def paired(url, folder, seeds):
    """Return the same of sequences on two services that share one PostgreSQL."""
    return asyncio.run(_paired(url, folder, seeds))


async def _paired(url, folder, seeds):
    return await _all(Pair(url, folder), seeds)


async def _all(house, seeds):
    await house.start()
    try:
        return [(seed, *await _one(house, seed)) for seed in seeds]
    finally:
        await house.close()


async def _one(house, seed):
    house.begin(seed)
    tenant = f"t{seed}"
    await _prepare(house, tenant)
    sequence = Sequence(house, tenant)
    found = await sequence.run()
    return [*house.complaints, *found], sequence.done


async def _prepare(house, tenant):
    owner = scene.principal(tenant, "root")
    for name in scene.TRIGGERS:
        await house.apps[0].context.deployments.deploy(owner, name, scene.definition(name))
    for user, groups in scene.MEMBERS.items():
        more = {"name": None, "email": None, "groups": groups}
        await house.apps[0].context.members.add(owner, user, "editor", **more)
    for app in house.apps:
        await app.cache.refresh()


class Sequence:
    """One tenant and the states that the law allows it."""

    def __init__(self, house, tenant):
        self.house = house
        self.tenant = tenant
        self.steps = Steps(house, tenant)
        self.books = [law.Book()]
        self.done = []
        self.heard = {}
        self.crashes = house.crashes

    async def run(self):
        """Return what was wrong after the first instant after which something was."""
        draw = self.house.random
        first = [self.steps.start("left", scene.draw_ask(draw)) for _ in range(draw.choice((1, 2, 2)))]
        first += self.steps._event() if draw.random() < 0.3 else []
        for number in range(INSTANTS):
            if found := await self.instant(first if number == 0 else self.steps.pick()):
                return found
            if draw.random() < 0.25:
                await self.house.linger(6)
            self.house.pass_by(self.steps.later())
        self.house.pass_by(10_000 * SECOND)
        return await self.instant([])

    async def instant(self, doings):
        """Do all that at once, with what is due, and compare what came of it."""
        house, draw = self.house, self.house.random
        now = house.now
        self.done += [f"at {now}: {doing.name}" for doing in doings]
        works = [doing.work() for doing in doings]
        due = len(works) if draw.random() < 0.5 else None
        if due is not None:
            works.append(house.apps[-1].asking.act(now))
        draw.shuffle(order := list(range(len(works))))
        if self.crashes == house.crashes and draw.random() < 0.08:  # a second one would make suspects of runs
            self.done.append("a crash")
            house.crash_at(draw.randrange(1, 6))
        answers = dict(zip(order, await house.calls([works[place] for place in order]), strict=True))
        calm = await house.settle()
        house.calm_down()
        end = house.now
        await house.due()
        calm = await house.settle() and calm
        found = await audit.look(house, self.tenant, scene.ask_of)
        happened, doubtful, wrong = self._happened(doings, answers, found)
        books = law.outcomes(self.books, happened, doubtful, found.caused, now, end)
        fitting = [book for book in books if not audit.differences(book, found)]
        wrong += [] if calm else [f"no rest: {await house.rows(audit.OPEN)}"]
        if not fitting:
            wrong += audit.differences(books[0], found) if books else [f"no order explains {happened}: {found.decided}"]
        self.books = fitting
        return wrong or self._looked(found)

    def _looked(self, found):
        self.steps.waits = list(self.books[0].waits)
        self.steps.keys = found.keys
        return audit.resumed(self.books[0], found, self.house.marks, self.house.crashes - self.crashes)

    def _happened(self, doings, answers, found):
        """Return (what happened, what of it is in doubt, complaints about answers)."""
        happened, doubtful, wrong = set(), set(), []
        known = {wait.run for wait in self.books[0].waits}
        happened |= {begun for run, begun in found.begun.items() if run not in known and begun.cause is None}
        for number, doing in enumerate(doings):
            answer = answers[number]
            if doing.key is not None:
                wrong += self._delivered(doing, answer, found)
                if doing.key in found.events and doing.key not in self.heard:
                    self.heard[doing.key] = event_id, at = found.events[doing.key]
                    happened.add(replace(doing.what, id=event_id, at=at))
            elif isinstance(doing.what, law.Said):
                what = replace(doing.what, seen=told(answer))
                happened.add(what)
                doubtful |= {what} if what.seen is None else set()
            elif isinstance(doing.what, law.CallOff):
                happened.add(doing.what)
                doubtful |= {doing.what} if answer.kind != "ok" else set()
        return happened, doubtful, wrong

    def _delivered(self, doing, answer, found):
        """Return what is wrong about the receipt of an event, which is the same for every delivery."""
        if answer.kind == "refused":
            return [f"{doing.name} was refused: {answer.value!r}"]
        if answer.kind == "ok" and answer.value.event_id != found.events.get(doing.key, ("",))[0]:
            return [f"{doing.name} is {answer.value.event_id}, stored is {found.events.get(doing.key)}"]
        return []
