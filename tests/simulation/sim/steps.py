"""What clients and operators do, chosen by the seed."""

import asyncio

import msgspec

from sim import scene
from sim.model import Ledger, Sent, State
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.registry import Heard, PushRequest

_WEIGHTS = {
    "send": 22, "burst": 8, "repeat": 8, "manual": 6, "short": 16, "long": 6, "jump": 4, "crash": 5, "crash_soon": 6,
    "fail_soon": 6, "outage": 4, "slow": 4, "move": 8, "take_away": 3, "roll_back": 2, "mode": 5, "pause": 5,
    "resume": 7, "cancel": 5, "redrive": 4, "schedule": 4, "while_moving": 4,
    "restart": 3, "redeploy": 3,
}  # fmt: skip
_PAUSABLE = (scene.MOVER, scene.MOVER, "hooked", "flaky", "limited", "ticks", "told", "both")
_SWITCHED = ((scene.MOVER, "hook"), (scene.MOVER, "ping"), ("told", "in"), ("both", "in"), ("ticks", "interval"))


class Steps:
    """Takes random steps in a world, and keeps the ledger of what was answered."""

    def __init__(self, world):
        self.world = world
        self.random = world.random
        self.ledger = Ledger()
        self.state = State()
        self.history = [self.state]
        self.ticket = 0
        self.taken = []

    async def prepare(self):
        await self.world.start()
        for name, parts in scene.FIXED.items():
            await self.world.deploy(scene.definition(name, parts))

    async def one(self):
        """Take one step and return its name."""
        name = self.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        self.taken.append(name)
        if self.world.crashed:
            await self.world.crash()
        await getattr(self, f"_{name}")()

    # Events

    def _event(self):
        """Return (key, type, data) of a new event."""
        self.ticket += 1
        kind = self.random.choices(
            (scene.HOOK, "sim.flaky", "sim.limited", "sim.ping", "sim.deadly", "sim.noise"), (8, 6, 5, 5, 1, 1)
        )[0]
        data = {"amount": self.random.randrange(100), "kind": "ok", "count": 0}
        if kind == "sim.flaky":
            data |= {"kind": "fail", "count": self.random.choice((0, 1, 2, 3, 9))}
        elif kind == "sim.limited":
            data["kind"] = self.random.choice(("slow", "slow", "none"))
        elif kind == "sim.deadly":
            data |= {"kind": "kill", "count": self.random.choice((1, 2, 3, 8))}
        return f"k{self.ticket}", kind, data

    async def _accept(self, key, kind, data):
        body = msgspec.json.encode(data)
        app = self.world.app
        if kind == scene.HOOK:
            request = PushRequest(
                "POST",
                f"/api/v1/public/webhook/{kind}",
                "",
                {"webhook-id": key, "content-type": "application/json"},
                body,
                self.world.clock.now(),
            )
            return (await app.push.receive("webhook", kind, request))[0]
        heard = Heard(source="/sim", type=kind, event_key=key, data=body, index_keys=(kind, "*"))
        return await app.inbox.accept(app.inbox.event(heard, tenant_id=LOCAL.tenant_id, provider="event"))

    async def deliver(self, events, beside=None):
        """Send events at once; `beside` is a change of what is live, made at the same time."""
        for key, kind, data in events:
            self.ledger.tried.setdefault(key, (len(self.history) - 1, kind, data))
        works = [self._accept(*event) for event in events]
        answers = await self.world.calls([*works, *([beside] if beside is not None else [])])
        if beside is not None:
            self._observe(answers.pop())
        for (key, kind, data), answer in zip(events, answers, strict=True):
            first = self.ledger.tried[key][0]
            sent = Sent(key, "", kind, data, frozenset(self.history[first:]))
            if answer.kind == "ok":
                self.ledger.acknowledged(sent, answer.value)
            elif answer.kind == "refused":
                self.world.complaints.append(f"the event {key} was refused: {answer.value!r}")
            else:
                self.ledger.doubtful.add(key)

    def unanswered(self):
        """Return the events that their senders have to send again."""
        keys = sorted(set(self.ledger.tried) - set(self.ledger.events))
        return [(key, *self.ledger.tried[key][1:]) for key in keys]

    async def _send(self):
        await self.deliver([self._event()])

    async def _burst(self):
        events = [self._event() for _ in range(self.random.randrange(2, 12))]
        again = [event for event in events if self.random.random() < 0.2]
        await self.deliver(events)
        await self.deliver(again)

    async def _repeat(self):
        known = [(key, *event[1:]) for key, event in self.ledger.tried.items()]
        again = self.unanswered()[:3] or known
        if again:
            await self.deliver([self.random.choice(again)])

    async def _while_moving(self):
        variant = self.random.randrange(len(scene.MOVING))
        await self.deliver([self._event() for _ in range(5)], beside=self.world.deploy(scene.moving(variant)))

    async def _manual(self):
        old = list(self.ledger.manual)
        if old and self.random.random() < 0.3:
            key = self.random.choice(old)
        else:
            self.ticket += 1
            key = f"m{self.ticket}"
        answer = await self.world.call(
            self.world.app.manual.start(LOCAL, "sender", input={"key": key}, idempotency_key=key)
        )
        known = self.ledger.manual.get(key)
        if answer.kind == "ok":
            runs = answer.value.run_ids
            if len(runs) != 1 or known not in (None, runs[0]):
                self.world.complaints.append(f"manual {key} was {known} and is now {answer.value}")
            self.ledger.manual[key] = runs[0] if runs else None
        else:
            self.ledger.manual.setdefault(key, None)
            if answer.kind == "refused":
                self.world.complaints.append(f"manual {key} was refused: {answer.value!r}")

    # Time and faults

    async def _short(self):
        await self.world.live(self.random.uniform(0.01, 12.0))

    async def _long(self):
        await self.world.live(self.random.uniform(20.0, 200.0))

    async def _jump(self):
        self.world.clock.jump(self.random.choice((-3600, -300, -20, 30, 300, 5000, 90_000, 400_000)))
        await self.world.live(2.0)

    async def _crash(self):
        for _ in range(self.random.randrange(6)):
            await asyncio.sleep(0)  # noqa: TID251 -- a few turns of the loop, no waiting
        await self.world.crash()

    async def _restart(self):
        """Stop the service in good order, and start it again."""
        await self.world.restart()

    async def _crash_soon(self):
        when = self.random.choice(("crash before", "crash after"))
        self.world.faults.plan(when, self.random.randrange(1, 6))

    async def _fail_soon(self):
        when = self.random.choice(("fail before", "fail after"))
        self.world.faults.plan(when, self.random.randrange(1, 6))

    async def _outage(self):
        self.world.faults.outage(self.random.uniform(0.5, 60.0), reads=self.random.random() < 0.5)
        await self.world.live(self.random.uniform(0.0, 20.0))

    async def _slow(self):
        self.world.faults.slow(self.random.uniform(1.0, 30.0))

    # Operators

    def _observe(self, answer):
        """Take over what is stored after a change: that of before or after it, according to its answer."""
        seen = observed(self.world)
        before, self.state = self.state, seen
        self.history.append(seen)
        if answer.kind == "refused" and seen != before:
            self.world.complaints.append(f"a refused change changed {before} to {seen}: {answer.value!r}")

    async def _change(self, work, expected):
        """Make one change; it happens whole, or not at all where its answer does not say that it did."""
        before = self.state
        answer = await self.world.call(work)
        self._observe(answer)
        wanted = [expected] if answer.kind == "ok" else [before, expected]
        if self.state not in wanted:
            self.world.complaints.append(f"{answer} made {self.state} of {before} in place of {expected}")

    async def _move(self):
        variant = self.random.randrange(len(scene.MOVING))
        await self._change(self.world.deploy(scene.moving(variant)), self._with_variant(variant))

    def _with_variant(self, variant):
        return self.state._replace(variant=variant)

    async def _redeploy(self):
        """Deploy a workflow again as it is: nothing changes, and no schedule is disturbed."""
        name = self.random.choice(list(scene.FIXED))
        await self._change(self.world.deploy(scene.definition(name, scene.FIXED[name])), self.state)

    async def _take_away(self):
        await self._change(self.world.app.context.deployments.undeploy(LOCAL, scene.MOVER), self._with_variant(None))

    async def _roll_back(self):
        answer = await self.world.call(self.world.app.context.deployments.rollback(LOCAL, scene.MOVER))
        self._observe(answer)

    async def _mode(self):
        workflow, trigger = self.random.choice(_SWITCHED)
        mode = self.random.choice(("enabled", "enabled", "disabled", "suspended"))
        ids = self.world.select(
            "SELECT t.id FROM trigger_index t JOIN workflows w ON w.id = t.workflow_id "
            "WHERE w.name = ? AND t.name = ? AND t.removed_at IS NULL",
            (workflow, trigger),
        )
        if ids:
            work = self.world.app.context.triggers.set_mode(LOCAL, ids[0][0], mode)
            await self._change(work, self.state.with_mode(workflow, trigger, mode))

    async def _pause(self):
        name = self.random.choice(_PAUSABLE)
        if name != scene.MOVER or self.state.variant is not None:
            work = self.world.app.context.workflows.pause(LOCAL, name)
            await self._change(work, self.state._replace(paused=self.state.paused | {name}))

    async def _resume(self):
        if self.state.paused:
            name = self.random.choice(sorted(self.state.paused))
            missed = self.random.choice(("none", "latest", "all"))
            work = self.world.app.context.workflows.resume(LOCAL, name, missed=missed)
            await self._change(work, self.state._replace(paused=self.state.paused - {name}))

    async def _cancel(self):
        await self.deliver([self._event() for _ in range(3)])
        await self.world.live(self.random.choice((0.0, 0.0, 0.5, 3.0)))
        runs = self.world.select("SELECT id FROM runs WHERE status IN ('QUEUED', 'RUNNING') ORDER BY id")
        if runs:
            await self.world.call(self.world.app.context.runs.cancel(LOCAL, self.random.choice(runs)[0]))

    async def _redrive(self):
        letters = self.world.select("SELECT id FROM dead_letters ORDER BY id")
        if letters:
            work = self.world.app.redrive.redrive(LOCAL.tenant_id, self.random.choice(letters)[0])
            await self.world.call(work)

    async def _schedule(self):
        rows = self.world.select("SELECT id FROM trigger_index WHERE name = 'quick' AND removed_at IS NULL")
        if rows and scene.MOVER not in self.state.paused:
            schedules = self.world.app.context.schedules
            missed = self.random.choice(("none", "latest", "all"))
            until = self.random.choice((None, self.world.clock.now() + 50_000_000))
            pausing = self.random.random() < 0.5
            await self.world.call(
                schedules.pause(LOCAL, rows[0][0], until=until) if pausing
                else schedules.resume(LOCAL, rows[0][0], missed=missed)
            )  # fmt: skip


def observed(world):
    """Return the state that is stored."""
    variant = None
    live = world.select(
        "SELECT v.definition FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id "
        "AND v.version = w.live_version WHERE w.name = ?",
        (scene.MOVER,),
    )
    if live:
        triggers = set(msgspec.json.decode(live[0][0])["triggers"])
        variant = next(n for n, wanted in enumerate(scene.MOVING) if set(wanted) == triggers)
    paused = frozenset(row[0] for row in world.select("SELECT name FROM workflows WHERE paused = 1"))
    modes = world.select(
        "SELECT w.name, t.name, t.mode FROM trigger_index t JOIN workflows w ON w.id = t.workflow_id "
        "WHERE t.mode <> 'enabled' ORDER BY 1, 2"
    )
    return State(variant, paused, tuple(((row[0], row[1]), row[2]) for row in modes))
