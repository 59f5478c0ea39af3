"""What people, senders, clocks and faults do to a few paused runs, chosen by the seed, several at one instant."""

from dataclasses import dataclass

import msgspec

from waitsim import law, scene
from waitsim.law import SECOND
from workflow_scheduler.core import links
from workflow_scheduler.core.errors import Conflict, Forbidden, LateResponse
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.services.waits import Given

_WEIGHTS = {"start": 4, "event": 9, "again": 2, "answer": 7, "cancel": 1}
_TOLD = {LateResponse: "late", Forbidden: "forbidden", Conflict: "conflict"}


@dataclass
class Doing:
    """Something that is done: `work` makes the call, `what` is it in the words of the law, None for nothing new."""

    name: str
    work: object
    key: str | None = None
    what: object = None


class Steps:
    """Knows the open runs of one tenant, as the last look at the tables showed them."""

    def __init__(self, house, tenant):
        self.house = house
        self.random = house.random
        self.tenant = tenant
        self.known = {}
        self.waits = []
        self.keys = {}
        self.tokens = {}
        self.ticket = 0

    @property
    def app(self):
        return self.random.choice(self.house.apps)

    def pick(self):
        """Return what is done at one instant."""
        names = self.random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=self.random.choice((1, 1, 2, 2, 3)))
        return [doing for name in names for doing in getattr(self, f"_{name}")()]

    def _start(self):
        return [self.start(self.random.choice(("left", "left", "right")), scene.draw_ask(self.random))]

    def start(self, workflow, ask):
        who = scene.principal(self.tenant, self.random.choice(scene.USERS))
        self.ticket += 1
        given = {"input": scene.input_of(ask), "idempotency_key": f"start-{self.ticket}"}
        app = self.app
        return Doing(f"start({workflow}, {who.user_id}, {ask})", lambda: app.manual.start(who, workflow, **given))

    def _event(self):
        """Make an event, and perhaps have it delivered twice at once."""
        self.ticket += 1
        key, draw = f"event-{self.ticket}", self.random
        channel, thread = scene.draw_place(draw)
        wait = draw.choice(self.waits) if self.waits and draw.random() < 0.3 else None
        proves = wait is not None and draw.random() < 0.4
        event = law.Event(
            id="", at=self.house.now, note=draw.random() < 0.6, channel=channel, thread=thread,
            order=draw.choice((None, None, "17", "18")),
            names=None if wait is None or proves else draw.choice((wait.id, wait.id, "nobody")),
            proves=(wait.id, draw.choice(("ann", "bob", "slack:U9"))) if proves else None,
            user=draw.choice((None, "U1", "U2", "U9")) if channel else None,
            sender=draw.choice((None, *scene.USERS)), said=draw.choice((True, True, True, False, None)),
            ask=scene.draw_ask(draw),
        )  # fmt: skip
        self.known[key] = event
        if proves:
            self.tokens[event.proves] = self._token(wait, event.proves[1])
        return [self.deliver(key)] * draw.choice((1, 1, 1, 2))

    def deliver(self, key):
        event, app = self.known[key], self.app
        kind = "note" if event.note else "whisper"
        heard = Heard(
            source="/sim", type=kind, event_key=key, data=msgspec.json.encode(self._data(event)), index_keys=(kind, "*")
        )
        sender = None if event.sender is None else scene.principal(self.tenant, event.sender)
        made = {"tenant_id": self.tenant, "provider": "event", "principal": sender}
        return Doing(f"{key} {event}", lambda: app.inbox.accept(app.inbox.event(heard, **made)), key, event)

    def _data(self, event):
        data = scene.input_of(event.ask)  # of the run that the event may start
        if event.order:
            data["correlation"] = event.order
        if event.names:
            data["interaction_id"] = event.names
        if event.proves:
            data["wait_token"] = self.tokens[event.proves]
        if event.channel:
            words = {True: "approve this", False: "reject", None: "hello"}[event.said]
            part = {"team": scene.TEAM, "channel": event.channel, "thread_ts": event.thread, "user": event.user}
            data["slack"] = {**part, "text": words}
        elif event.said is not None:
            data["approved"] = event.said
        return data

    def _token(self, wait, responder):
        key = self.house.apps[0].vault.open(self.keys[wait.id], links.key_context(self.tenant, wait.id))
        return links.make(links.Link(self.tenant, wait.id, responder, wait.expires_at), key)

    def _again(self):
        """Deliver once more what was delivered before."""
        return [self.deliver(self.random.choice(list(self.known)))] if self.known else []

    def _answer(self):
        if not self.waits:
            return []
        draw = self.random
        wait, app = draw.choice(self.waits), self.app
        who, approved = draw.choice((*scene.USERS, "dan")), draw.random() < 0.7
        self.ticket += 1
        what = law.Said(wait.run, who, approved, self.house.now, None, self.ticket)
        given = Given(approved=approved)
        return [
            Doing(f"answer({wait.run}, {who}, {approved})",
                  lambda: app.context.waits.answer(scene.principal(self.tenant, who), wait.id, given), None, what)
        ]  # fmt: skip

    def _cancel(self):
        soon = self.house.now + SECOND
        open_ones = [wait for wait in self.waits if wait.status == law.OPEN and wait.expires_at > soon]
        if not open_ones:
            return []
        wait, app = self.random.choice(open_ones), self.app
        what = law.CallOff(wait.run, self.house.now)
        who = scene.principal(self.tenant, "ann")
        return [Doing(f"cancel({wait.run})", lambda: app.context.runs.cancel(who, wait.run), None, what)]

    def later(self):
        """Return how much time passes before the next instant: often exactly up to where something ends."""
        now = self.house.now
        open_ones = [wait for wait in self.waits if wait.status == law.OPEN]
        if open_ones and self.random.random() < 0.3:
            return max(self.random.choice(open_ones).expires_at - now + self.random.choice((-1, 0, 0, 0, 1)), 0)
        events = list(self.known.values())
        if events and self.random.random() < 0.1:
            return max(self.random.choice(events).at + law.EARLY - now + self.random.choice((-1, 0, 1)), 0)
        return self.random.choice((0, 1, SECOND, 7 * SECOND, 31 * SECOND, 300 * SECOND))


def told(answer):
    """Return what somebody who answered was told."""
    if answer.kind == "ok":
        return "ok"
    if answer.kind == "unknown":
        return None
    return next(name for kind, name in _TOLD.items() if isinstance(answer.value, kind))
