"""What operators, time and faults do to the schedules of one workflow, each step made on the service and the model.

A step that was cut off by a crash happened whole or not at all: both are kept as possible until the ledger tells.
"""

from timesim import law, scene
from timesim.book import Book
from timesim.nominal import DAY, HOUR, MINUTE, SECOND
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.services.backfill_rule import BackfillRequest
from workflow_scheduler.services.definitions import trigger_id

NAME = "timed"
_WEIGHTS = {
    "deploy": 7, "redeploy": 3, "roll_back": 3, "undeploy": 2, "create": 3, "update": 4, "delete": 3,
    "pause": 6, "resume": 8, "pause_workflow": 4, "resume_workflow": 6, "mode": 4, "skip": 5, "unskip": 2,
    "trigger": 2, "run": 14, "sleep": 12, "set_back": 3, "crash": 4, "end_run": 5, "backfill": 4, "calendar": 4,
    "black_out": 4, "lift": 3,
}  # fmt: skip
_DOWNTIMES = (30 * SECOND, 3 * MINUTE, 20 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY, 8 * DAY, 21 * DAY)
_MISSED = (None, None, "none", "latest", "all")


class Steps:
    """Takes random steps; `books` are the states that the law allows."""

    def __init__(self, world):
        self.world = world
        self.random = world.random
        self.taken = []
        self.workflow_id = None
        self.pool = {}
        self.books = []
        self.complaints = []

    @property
    def now(self):
        return self.world.clock.now()

    @property
    def book(self):
        """One of the possible states: all differ only by the last step."""
        return self.books[0]

    async def prepare(self):
        self.world.go_to(self.random.choice(scene.BEGINNINGS) + self.random.randrange(3 * HOUR))
        await self.world.start()
        self.pool = scene.standing() | scene.moving(self.now)
        first = self._some()
        calendars = {name: scene.days(self.random, self.now) for name in (scene.CLOSED, scene.OPEN)}
        for name, days in calendars.items():
            await self.world.app.context.calendars.create(LOCAL, {"name": name, "dates": days})
        await self.world.app.context.workflows.create(LOCAL, scene.definition(first))
        self.workflow_id = self.world.select("SELECT id FROM workflows")[0][0]
        self.books = [Book(lambda name: trigger_id(LOCAL.tenant_id, self.workflow_id, name))]
        self.books[0].restrain(calendars=calendars)
        await self._deploy(first)

    async def one(self):
        name = self.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        await getattr(self, f"_{name}")()

    async def _do(self, what, work, change, halfway=None):
        """Make a change on the service and on each possible state; a refused one changes nothing.

        `halfway` is what may stay of one that a crash cut off, besides all and nothing.
        """
        self.taken.append(what)
        now, before = self.now, [book.copy() for book in self.books]
        answer = await self.world.call(work)
        if answer.kind == "refused":
            self.complaints.append(f"`{what}` was refused: {answer.value!r}")
            return
        for book in self.books:
            change(book, now)
        if answer.kind == "unknown":
            self.books += before
            if halfway is not None:
                self.books += [book.copy() for book in before]
                halfway(self.books[-1])
            await self.tick()

    # Definitions

    def _some(self):
        """Return a choice of triggers with one of their rules each; a one-time rule of the past is none."""
        names = self.random.sample(sorted(self.pool), self.random.randrange(1, 5))
        return {name: rule for name in names if (rule := self._rule(name)) is not None} or self._some()

    def _rule(self, name):
        rule = self.random.choice(self.pool[name])
        return rule if rule.times(self.now, self.now + 1, self.now + law.FAR) else None

    async def _settled(self):
        """Leave nothing unsettled; False where that cannot be, or where the clock stands before what is recorded."""
        await self.tick()
        plans = self.book.plans.values()
        rest = any(plan.live and plan.resting(self.now) for plan in plans)
        ahead = any(at > self.now and fate != law.SUPERSEDED for plan in plans for at, fate in plan.fates.items())
        return len(self.books) == 1 and not rest and not ahead

    async def _deploy(self, triggers=None):
        if triggers is None and not await self._settled():
            return
        triggers = triggers or self._some()

        def change(book, now):
            book.publish(book.store(triggers), now)

        work = self.world.app.context.deployments.deploy(LOCAL, NAME, scene.definition(triggers))
        await self._do(f"deploy({sorted(triggers)})", work, change, lambda book: book.store(triggers))

    async def _redeploy(self):
        """Deploy the last version once more."""
        if not await self._settled():
            return
        work = self.world.app.context.deployments.deploy(LOCAL, NAME, None)
        await self._do("redeploy", work, lambda book, now: book.publish(len(book.versions), now))

    async def _roll_back(self):
        if not await self._settled():
            return
        number = self.random.randrange(len(self.book.versions)) + 1
        work = self.world.app.context.deployments.rollback(LOCAL, NAME, number)
        await self._do(f"roll_back({number})", work, lambda book, now: book.publish(number, now))

    async def _undeploy(self):
        if not await self._settled():
            return
        if self.book.live is not None and self.random.random() < 0.6:
            work = self.world.app.context.deployments.undeploy(LOCAL, NAME)
            await self._do("undeploy", work, lambda book, now: book.unpublish(now))

    def _editable(self):
        return self.book.live is not None and self.book.live == len(self.book.versions)

    async def _edit(self, what, work, changes):
        """Change the last version, which is live; it is stored first and deployed then."""
        edited = {**self.book.versions[-1], **changes}
        triggers = {name: rule for name, rule in edited.items() if rule is not None}

        def change(book, now):
            book.publish(book.store(triggers), now)

        await self._do(what, work, change, lambda book: book.store(triggers))

    async def _create(self):
        if not await self._settled():
            return
        names = sorted(set(self.pool) - set(self.book.versions[-1]))
        if self._editable() and names:
            name = self.random.choice(names)
            if (rule := self._rule(name)) is not None:
                body = _body(rule) | {"workflow": NAME, "name": name}
                work = self.world.app.context.schedules.create(LOCAL, body)
                await self._edit(f"create({name})", work, {name: rule})

    async def _update(self):
        if not await self._settled():
            return
        plan = self._one_plan()
        if plan is not None and self._editable():
            name = self._name(plan)
            if (rule := self._rule(name)) is not None:
                work = self.world.app.context.schedules.update(LOCAL, plan.id, _body(rule))
                await self._edit(f"update({name})", work, {name: rule})

    async def _delete(self):
        if not await self._settled():
            return
        plan = self._one_plan()
        if plan is not None and self._editable():
            name = self._name(plan)
            work = self.world.app.context.schedules.delete(LOCAL, plan.id)
            await self._edit(f"delete({name})", work, {name: None})

    # Operators

    def _one_plan(self, holds=lambda _plan: True):
        plans = [plan for _, plan in sorted(self.book.running.items()) if holds(plan)]
        return self.random.choice(plans) if plans else None

    def _name(self, plan):
        return next(name for name, known in self.book.plans.items() if known.id == plan.id)

    async def _on_plan(self, what, plan, work, change):
        name = self._name(plan)
        await self._do(f"{what}({name})", work, lambda book, now: change(book.plans[name], now))

    def _until(self):
        return self.random.choice((None, self.now + self.random.choice(_DOWNTIMES)))

    async def _pause(self):
        if (plan := self._one_plan(lambda one: not one.completed)) is not None:
            until = None if self.book.paused else self._until()
            work = self.world.app.context.schedules.pause(LOCAL, plan.id, until=until)
            await self._on_plan(f"pause until {until}", plan, work, lambda one, _now: one.pause(until))

    async def _resume(self):
        plan = self._one_plan(lambda one: one.paused or one.until is not None)
        if plan is not None and not self.book.paused:
            missed = self.random.choice(_MISSED)
            work = self.world.app.context.schedules.resume(LOCAL, plan.id, missed=missed)
            await self._on_plan(f"resume {missed}", plan, work, lambda one, now: one.resume(now, missed))
            await self.tick()

    async def _pause_workflow(self):
        until = self._until()
        work = self.world.app.context.workflows.pause(LOCAL, NAME, until=until)
        await self._do(f"pause_workflow({until})", work, lambda book, _now: book.pause(until))

    async def _resume_workflow(self):
        if self.book.paused:
            missed = self.random.choice(_MISSED)
            work = self.world.app.context.workflows.resume(LOCAL, NAME, missed=missed)
            await self._do(f"resume_workflow({missed})", work, lambda book, now: book.resume(now, missed))
            await self.tick()

    async def _mode(self):
        if (plan := self._one_plan()) is not None:
            mode = self.random.choice(("enabled", "enabled", "disabled", "suspended"))

            def change(one, _now):
                one.mode = mode

            work = self.world.app.context.triggers.set_mode(LOCAL, plan.id, mode)
            await self._on_plan(mode, plan, work, change)

    async def _skip(self):
        plan = self._one_plan(lambda one: not one.completed)
        times = [] if plan is None else plan.times(max(plan.place, self.now + 1), self.now + DAY)[:20]
        if times:
            at = self.random.choice(times)

            def change(one, _now):
                one.skips |= {at}

            await self._on_plan("skip", plan, self.world.app.context.schedules.skips.skip(LOCAL, plan.id, at), change)

    async def _unskip(self):
        plan = self._one_plan(lambda one: not one.completed and max(one.skips, default=0) > self.now)
        if plan is not None:
            at = max(plan.skips)
            if plan.times(at, at + 1):

                def change(one, _now):
                    one.skips -= {at}

                work = self.world.app.context.schedules.skips.unskip(LOCAL, plan.id, at)
                await self._on_plan("unskip", plan, work, change)

    async def _trigger(self):
        plan = self._one_plan(lambda one: one.mode == "enabled" and "overlap" not in one.rule.config)
        if plan is not None and not self.book.paused:

            def change(book, _now):
                book.extra += 1

            await self._do("trigger", self.world.app.context.schedules.trigger(LOCAL, plan.id), change)

    # Time and faults

    async def tick(self):
        await self._do("tick", self.world.look(), lambda book, now: book.tick(now))
        while (await self.world.call(self.world.quiet())).kind == "unknown":
            pass

    async def _run(self):
        """Let a service run for a while: it looks whenever something is due."""
        until = self.now + self.random.choice((MINUTE, 20 * MINUTE, 2 * HOUR))
        for _ in range(12):
            await self.tick()
            if len(self.books) > 1:
                return
            soonest = min((plan.due_at(plan.place) for plan in self._awaited()), default=until)
            if not self.now < soonest < until:
                break
            self.world.go_to(soonest + self.random.choice((0, 0, 1, 400_000, 30 * SECOND)))

    def _awaited(self):
        return [p for p in self.book.running.values() if p.place is not None and not p.resting(self.now)]

    async def _sleep(self):
        """Let nothing run for a while: downtime, or a host that sleeps."""
        self.taken.append("sleep")
        self.world.go_to(self.now + self.random.choice(_DOWNTIMES) + self.random.randrange(MINUTE))
        if self.random.random() < 0.7:
            await self.tick()

    async def _set_back(self):
        self.taken.append("set_back")
        self.world.go_to(self.now - self.random.choice((20 * SECOND, HOUR, DAY)))
        await self.tick()

    async def _crash(self):
        """Let the process end with one of the next commits, and start it again."""
        self.taken.append("crash soon")
        self.world.faults.plan(self.random.choice(("crash before", "crash after")), self.random.randrange(1, 4))

    # Runs, backfills, calendars and windows

    async def _end_run(self):
        """End the run that stands in the way of others."""
        plan = self._one_plan(lambda one: one.turns.under_way is not None)
        if plan is not None:
            text = "SELECT id FROM runs WHERE trigger_id = ? AND scheduled_for = ? AND status IN ('QUEUED', 'PAUSED')"
            rows = self.world.select(text, (plan.id, plan.turns.under_way))
            if not rows:
                self.complaints.append(f"the run of {plan.turns.under_way} is not under way")
                return
            work = self.world.app.context.runs.cancel(LOCAL, rows[0][0])
            await self._on_plan("end_run", plan, work, lambda one, _now: one.turns.end())
            await self.tick()

    async def _backfill(self):
        if not await self._settled():
            return
        plan = self._one_plan(lambda one: not one.edited)
        if plan is None:
            return
        until = min(self.now, plan.place or self.now) - self.random.choice((0, HOUR, DAY))
        since = until - self.random.choice((HOUR, 7 * HOUR, 2 * DAY))
        if 0 < len(plan.times(since, until)) <= 100:
            request = BackfillRequest(workflow=NAME, trigger=self._name(plan), since=since, until=until, max_active=100)
            work = self.world.app.context.backfills.create(LOCAL, request)
            what = f"backfill from {since} to {until}"
            await self._on_plan(what, plan, work, lambda one, _now: one.backfill(since, until))
            await self.tick()

    async def _calendar(self):
        name, days = self.random.choice((scene.CLOSED, scene.OPEN)), scene.days(self.random, self.now)

        def change(book, _now):
            book.restrain(calendars={**book.restraints.calendars, name: days})

        work = self.world.app.context.calendars.update(LOCAL, name, {"dates": days})
        await self._do(f"calendar {name} {days}", work, change)

    async def _black_out(self):
        name = self.random.choice("abc")
        window, body = scene.window(self.random, self.now)
        known = name in self.book.restraints.windows
        if len(self.books) == 1:

            def change(book, now):
                book.restrain(windows={**book.restraints.windows, name: window})
                if known:
                    book.release(now)

            blackouts = self.world.app.context.blackouts
            work = blackouts.replace(LOCAL, name, body) if known else blackouts.create(LOCAL, name, body)
            await self._do(f"black_out {name} {body}", work, change)

    async def _lift(self):
        windows = self.book.restraints.windows
        if windows and len(self.books) == 1:
            name = self.random.choice(sorted(windows))
            left = {other: window for other, window in windows.items() if other != name}

            def change(book, now):
                book.restrain(windows=left)
                book.release(now)

            await self._do(f"lift {name}", self.world.app.context.blackouts.delete(LOCAL, name), change)


def _body(rule):
    return {name: value for name, value in rule.config.items() if name != "type"}
