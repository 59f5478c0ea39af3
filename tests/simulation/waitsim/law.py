"""The law on people in the loop, small and slow: what an event or an answer does to which wait.

A `Book` is one state that the law allows; nothing in it changes. What happens at one instant happens in some order:
`outcomes` returns the books of every order that agrees with what was seen. It shares no code with the program.
"""

from dataclasses import dataclass, replace

SECOND = 1_000_000
EARLY = 600 * SECOND
OPEN, ANSWERED, EXPIRED, CANCELLED = "OPEN", "ANSWERED", "EXPIRED", "CANCELLED"
GROUPS = {"group:finance": {"bob", "cyd"}}


@dataclass(frozen=True)
class Ask:
    """What the approval of a run asks for; times in microseconds."""

    to: tuple = ()
    channel: str | None = None
    thread: str | None = None
    order: str | None = None
    quorum: int = 1
    four_eyes: bool = False
    timeout: int = 10**15
    on_timeout: str = "reject"
    ambiguous: str = "ask"

    @property
    def bare(self):
        return self.channel is None and self.order is None

    @property
    def place(self):
        return (self.channel, self.thread) if self.thread else None


@dataclass(frozen=True)
class Wait:
    """One wait; `answers` are (who, approved, id of the event or None) in the order in which they were given.

    `trigger` is WORKFLOW.TRIGGER of its run, `starter` whoever started that, `cause` the id of the event that did.
    """

    run: str
    id: str
    trigger: str
    ask: Ask
    starter: str | None
    cause: str | None
    opened_at: int
    started_at: int
    status: str = OPEN
    answers: tuple = ()
    closed_at: int | None = None

    @property
    def workflow(self):
        return self.trigger.partition(".")[0]

    @property
    def expires_at(self):
        return self.opened_at + self.ask.timeout

    @property
    def approved(self):
        """What the job says in the end."""
        if self.status == EXPIRED:
            return {"approve": True, "reject": False}.get(self.ask.on_timeout)
        return all(approved for _, approved, _ in self.answers)


@dataclass(frozen=True)
class Event:
    """What somebody sent, with the id that it got.

    `note` says whether the workflow `left` has a trigger that it matches; `said` is None where it holds no answer.
    `names` is the id of a wait, `proves` (id of a wait, whoever answers) of a signed token; `ask` is what a run
    asks for that the event starts.
    """

    id: str
    at: int
    note: bool = True
    channel: str | None = None
    thread: str | None = None
    order: str | None = None
    names: str | None = None
    proves: tuple | None = None
    user: str | None = None
    sender: str | None = None
    said: bool | None = None
    ask: Ask = Ask()

    @property
    def place(self):
        return (self.channel, self.thread) if self.channel and self.thread else None

    @property
    def keys(self):
        found = {("place", self.place)} if self.place else set()
        return found | ({("order", self.order)} if self.order else set())

    @property
    def aims(self):
        return bool(self.keys or self.names or self.proves)


@dataclass(frozen=True)
class Register:
    """The job of a run begins to wait."""

    run: str
    id: str
    trigger: str
    ask: Ask
    starter: str | None
    cause: str | None
    opened_at: int
    started_at: int


@dataclass(frozen=True)
class Said:
    """Somebody answered over the API; `seen` is ok, late, forbidden or conflict, None where nobody heard."""

    run: str
    who: str
    approved: bool
    at: int
    seen: str | None
    number: int


@dataclass(frozen=True)
class CallOff:
    """A run was cancelled, and its wait with it where that is still open."""

    run: str
    at: int


@dataclass(frozen=True)
class Book:
    """Every wait, and the events that are kept for waits to come."""

    waits: tuple = ()
    early: frozenset = frozenset()
    decided: frozenset = frozenset()
    """What is recorded of events: (event, trigger, outcome, run)."""

    def of(self, run):
        return next((wait for wait in self.waits if wait.run == run), None)

    def put(self, wait):
        left = tuple(one for one in self.waits if one.run != wait.run)
        return replace(self, waits=tuple(sorted((*left, wait), key=lambda one: one.run)))

    def decide(self, event, trigger, outcome, run):
        """Record a decision; a trigger has one about each event, and the first one stays."""
        if any(known[:2] == (event.id, trigger) for known in self.decided):
            return self
        return replace(self, decided=self.decided | {(event.id, trigger, outcome, run)})

    def lapse(self, now):
        """Expire what is due: an answer counts before that instant, not at it."""
        book = self
        for wait in self.waits:
            if wait.status == OPEN and wait.expires_at <= now:
                book = book.put(replace(wait, status=EXPIRED, closed_at=now))
        return book


# Who


def names_of(event, wait):
    """Return (name, all names) of whoever an event speaks for to this wait, None where it says nothing."""
    if event.proves and event.proves[0] == wait.id:
        return event.proves[1]
    return f"slack:{event.user}" if event.user else event.sender


def may(wait, who):
    if who is None:
        return not wait.ask.to and not wait.ask.four_eyes
    if wait.ask.four_eyes and wait.starter == who:
        return False
    if not wait.ask.to:
        return True
    return any(who in GROUPS.get(one, {one}) for one in wait.ask.to)


# Which wait


def level(event, wait, *, early=False):
    """Return the best level on which an event stands with a wait, None for no level."""
    ids = {event.names, event.proves and event.proves[0]} - {None}
    if ids:
        return 1 if wait.id in ids else None
    if wait.ask.place and event.place:
        return 2 if wait.ask.place == event.place else None
    if wait.ask.channel and event.channel and wait.ask.channel != event.channel:
        return None
    if wait.ask.order and event.order:
        return 3 if wait.ask.order == event.order else None
    if not event.note or wait.workflow != "left" or early:
        return None
    near = bool(wait.ask.channel) and wait.ask.channel == event.channel
    return 4 if near else 5 if wait.ask.bare else None


def choose(event, book):
    """Return (move, the waits that it concerns): resume one, ask about several, late for one, none."""
    fit, gone = {}, []
    for wait in book.waits:
        where = level(event, wait)
        if where is None or event.said is None or not may(wait, names_of(event, wait)):
            continue
        if wait.status == OPEN:
            fit.setdefault(where, []).append(wait)
        elif where <= 2:
            gone.append((-where, wait.opened_at, wait.id, wait))
    if not fit:
        return ("late", [max(gone)[3]]) if gone else ("none", [])
    there = fit[min(fit)]
    if min(fit) == 5:
        last = max(wait.started_at for wait in there)
        there = [wait for wait in there if wait.started_at == last]
    if len(there) == 1:
        return "resume", there
    policies = {wait.ask.ambiguous for wait in there}
    policy = policies.pop() if len(policies) == 1 else "ask"
    ordered = sorted(there, key=lambda wait: (wait.opened_at, wait.id))
    picked = {"newest": ordered[-1:], "oldest": ordered[:1]}.get(policy)
    if picked:
        return "resume", picked
    return ("none", []) if policy == "start_new" else ("ask", there)


def give(book, wait, who, approved, event, now):
    """Return the book with an answer in it; None where this person has answered before."""
    if any(name == who for name, _, _ in wait.answers):
        return None
    answers = (*wait.answers, (who, approved, event))
    over = not approved or len(answers) >= wait.ask.quorum
    given = replace(wait, answers=answers)
    return book.put(replace(given, status=ANSWERED, closed_at=now) if over else given)


# What happens


def happen(book, what, runs):
    """Return the possible (book after it, what follows at some later moment); none where it was seen otherwise."""
    return {Event: _event, Register: _register, Said: _said, CallOff: _call_off}[type(what)](book, what, runs)


def _event(book, event, runs):
    """Return what becomes of an event; `runs` says whether it has started one."""
    move, concerned = choose(event, book)
    if move == "none" and event.aims:
        book = replace(book, early=book.early | {event})
    outcome, run = {"resume": "run_resumed", "late": "skipped", "ask": "held"}.get(move), None
    if move in ("resume", "late"):
        wait = concerned[0]
        run = wait.run
    if move == "resume":
        given = give(book, wait, names_of(event, wait) or f"event:{event.id}", event.said, event.id, event.at)
        book, outcome = (book, "skipped") if given is None else (given, outcome)
    if event.note and not any(wait.workflow == "left" for wait in concerned):
        if event.id not in runs:
            return []
        book = book.decide(event, "left.note", "run_started", runs[event.id].run)
    elif event.id in runs:
        return []
    follows = (runs[event.id],) if event.id in runs else ()
    if event.note and not follows:
        return [(book.decide(event, "left.note", outcome, run), ())]
    # Where no trigger of the workflow has matched, one of those by which the waiting runs were started has it.
    triggers = sorted({wait.trigger for wait in concerned})
    return [(book.decide(event, trigger, outcome, run), follows) for trigger in triggers] or [(book, follows)]


def _register(book, begun, _runs):
    wait = Wait(**{name: getattr(begun, name) for name in begun.__dataclass_fields__})
    book, now, ask = book.put(wait), wait.opened_at, wait.ask
    keys = ({("place", ask.place)} if ask.place else set()) | ({("order", ask.order)} if ask.order else set())
    for event in sorted(book.early, key=lambda one: (one.at, one.id)):
        fresh = event.at >= now - EARLY and keys & event.keys and event.id != wait.cause
        who = names_of(event, wait)
        if not fresh or event.said is None or level(event, wait, early=True) is None or not may(wait, who):
            continue
        given = give(book, wait, who or f"event:{event.id}", event.said, event.id, now)
        if given is None:
            continue
        book = replace(given, early=given.early - {event}).decide(event, wait.trigger, "run_resumed", wait.run)
        wait = book.of(wait.run)
        if wait.status != OPEN:
            break
    return [(book, ())]


def _said(book, said, _runs):
    wait = book.of(said.run)
    if not may(wait, said.who):
        told, after = "forbidden", book
    elif wait.status != OPEN:
        told, after = "late", book
    else:
        given = give(book, wait, said.who, said.approved, None, said.at)
        told, after = ("conflict", book) if given is None else ("ok", given)
    return [(after, ())] if said.seen in (None, told) else []


def _call_off(book, off, _runs):
    wait = book.of(off.run)
    closed = replace(wait, status=CANCELLED, closed_at=off.at)
    return [(book.put(closed) if wait.status == OPEN else book, ())]


def outcomes(books, happened, doubtful, runs, now, end):
    """Return the books of every order in which `happened` may have happened, as far as it agrees with what was seen.

    What is in `doubtful` may not have happened at all. `runs` has the registrations of the runs that events started.
    All of it begins at `now`; at `end` nothing is left to happen.
    """
    found, seen = {}, set()
    stack = [(book.lapse(now), frozenset(happened)) for book in books]
    while stack:
        state = stack.pop()
        if state in seen:
            continue
        seen.add(state)
        book, left = state
        if not left:
            found[book.lapse(end)] = None
        for what in left:
            if what in doubtful:
                stack.append((book, left - {what}))
            stack += [(after, (left - {what}) | set(follows)) for after, follows in happen(book, what, runs)]
    return list(found)
