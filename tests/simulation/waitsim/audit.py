"""What stands in the tables of one tenant, in the words of the law."""

from dataclasses import dataclass, field

import msgspec

from waitsim import law

_WAITS = "SELECT id, run_id, status, opened_at, started_at, link_key FROM waits WHERE tenant_id = '{}' ORDER BY id"
_ANSWERS = (
    "SELECT wait_id, responder, approved, event_id FROM wait_answers WHERE tenant_id = '{}' ORDER BY at, responder"
)
_RUNS = """SELECT r.id, r.workflow, t.name, r.event_id, r.user_id, r.status, r.input, j.output FROM runs r
           JOIN trigger_index t ON t.tenant_id = r.tenant_id AND t.id = r.trigger_id
           LEFT JOIN jobs j ON j.tenant_id = r.tenant_id AND j.run_id = r.id AND j.job_id = 'approve'
           WHERE r.tenant_id = '{}' ORDER BY r.id"""
_EVENTS = "SELECT event_key, id, received_at FROM events WHERE tenant_id = '{}' AND source = '/sim' ORDER BY id"
_DECISIONS = """SELECT d.event_id, w.name, t.name, d.outcome, d.run_id FROM decisions d
                JOIN trigger_index t ON t.tenant_id = d.tenant_id AND t.id = d.trigger_id
                JOIN workflows w ON w.tenant_id = d.tenant_id AND w.id = t.workflow_id
                JOIN events e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
                WHERE d.tenant_id = '{}' AND e.source = '/sim'"""
OPEN = """SELECT r.tenant_id, r.id, r.status, r.owner, w.name FROM runs r
          LEFT JOIN wakes w ON w.tenant_id = r.tenant_id AND w.run_id = r.id WHERE r.ended_at IS NULL"""


@dataclass
class Look:
    """One look at the tables. `begun` has the registrations by run, `caused` those of runs that our events started."""

    waits: dict = field(default_factory=dict)
    runs: dict = field(default_factory=dict)
    begun: dict = field(default_factory=dict)
    caused: dict = field(default_factory=dict)
    events: dict = field(default_factory=dict)
    decided: frozenset = frozenset()
    keys: dict = field(default_factory=dict)


async def look(house, tenant, asks):
    """Return what is there; `asks` returns what a run asks for, given its input."""
    found = Look()
    found.events = {key: (event_id, at) for key, event_id, at in await house.rows(_EVENTS.format(tenant))}
    ours = {event_id for event_id, _ in found.events.values()}
    rows = await house.rows(_RUNS.format(tenant))
    found.runs = {row[0]: row for row in rows}
    answers = {}
    for wait, who, approved, event in await house.rows(_ANSWERS.format(tenant)):
        answers.setdefault(wait, set()).add((who, bool(approved), event))
    for wait_id, run_id, status, opened_at, started_at, key in await house.rows(_WAITS.format(tenant)):
        _, workflow, trigger, event, user, _, value, _ = found.runs[run_id]
        begun = law.Register(
            run_id, wait_id, f"{workflow}.{trigger}", asks(msgspec.json.decode(value)), user,
            event if event in ours else None, opened_at, started_at,
        )  # fmt: skip
        found.begun[run_id] = begun
        if event in ours:
            found.caused[event] = begun
        found.waits[run_id] = (status, frozenset(answers.get(wait_id, ())))
        found.keys[wait_id] = bytes(key)
    found.decided = frozenset(
        (event, f"{workflow}.{trigger}", outcome, run)
        for event, workflow, trigger, outcome, run in await house.rows(_DECISIONS.format(tenant))
    )
    return found


def differences(book, found):
    """Return how the tables differ from a state that the law allows."""
    lawful = {wait.run: (wait.status, frozenset(wait.answers)) for wait in book.waits}
    wrong = [
        f"wait of run {run}: {found.waits.get(run)}, by the law {lawful.get(run)}"
        for run in sorted(found.waits.keys() | lawful.keys())
        if found.waits.get(run) != lawful.get(run)
    ]
    wrong += [f"recorded, but not the law: {one}" for one in sorted(found.decided - book.decided, key=str)]
    return wrong + [f"not recorded: {one}" for one in sorted(book.decided - found.decided, key=str)]


def resumed(book, found, marks, crashes):
    """Return which runs went on wrongly: not, twice, without an answer, or with another one.

    `marks` counts how often each went on; a job that was under way at a crash is done once more.
    """
    wrong = []
    for wait in book.waits:
        status, output, times = found.runs[wait.run][5], found.runs[wait.run][7], marks.get(wait.run, 0)
        done = None if output is None else msgspec.json.decode(bytes(output))
        said = None if done is None else (done.get("approved"), done.get("timed_out"))
        fails = wait.status == law.EXPIRED and wait.ask.on_timeout == "fail"
        if wait.status == law.OPEN:
            fits = status == "PAUSED" and times == 0
        elif fails:
            fits = status == "FAILED" and times == 0
        elif wait.status == law.CANCELLED:
            fits = status == "CANCELLED" and times == 0
        else:
            told = said == (wait.approved, wait.status == law.EXPIRED)
            if status == "CANCELLED":  # called off once it was answered: before or after it went on
                fits = (said is None and times == 0) or (told and times <= 1 + crashes)
            else:
                fits = status == "SUCCEEDED" and told and 1 <= times <= 1 + crashes
        if not fits:
            wrong.append(f"run {wait.run} is {status}, went on {times} times with {said}, but its wait is {wait}")
    return wrong
