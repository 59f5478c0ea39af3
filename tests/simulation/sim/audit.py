"""What must be true of the tables, at any time and when all is done. Every function returns complaints."""

from collections import Counter

import msgspec

from sim import scene
from sim.plan import schedules
from workflow_scheduler.core.time.clock import SECOND_US

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_LISTENERS = {
    "hooked": {"either", "both", "together", "most", "waits"},
    "flaky": {"either", "both", "most"},
    "told": {"both", "most", "waits"},
    "ticks": {"together"},
}
_ENDS = {"SUCCEEDED": "workflow_completed", "FAILED": "workflow_failed", "CANCELLED": "workflow_cancelled"}


def at_any_time(world):
    """Check what holds between any two commits."""
    return [*conservation(world), *one_run_per_key(world), *occurrences(world)]


def in_peace(world, steps):
    """Check everything, when faults and pauses are over and time has passed."""
    return [
        *at_any_time(world),
        *acknowledged(world, steps.ledger),
        *ends(world),
        *jobs(world),
        *end_events(world),
        *joins(world),
        *missed(world),
        *emitted(world),
        *schedules(world, resumed="resume" in steps.taken),
        *quarantined(world),
    ]


def conservation(world):
    """Every decision that starts a run has its run, and every run its decision."""
    found = world.select(
        "SELECT 'decision without its run', d.event_id, d.trigger_id, d.run_id FROM decisions d LEFT JOIN runs r "
        "ON r.id = d.run_id WHERE d.outcome = 'run_started' AND (r.id IS NULL OR r.event_id <> d.event_id OR "
        "r.trigger_id <> d.trigger_id) UNION ALL "
        "SELECT 'run without its decision', r.event_id, r.trigger_id, r.id FROM runs r LEFT JOIN decisions d "
        "ON d.event_id = r.event_id AND d.trigger_id = r.trigger_id "
        "WHERE d.run_id IS NULL OR d.run_id <> r.id OR d.outcome <> 'run_started' UNION ALL "
        "SELECT 'decision without its event', d.event_id, d.trigger_id, d.outcome FROM decisions d "
        "LEFT JOIN events e ON e.id = d.event_id WHERE e.id IS NULL UNION ALL "
        "SELECT 'dead letter without its failed run', l.run_id, l.status, r.status FROM dead_letters l "
        "LEFT JOIN runs r ON r.id = l.run_id WHERE r.id IS NULL OR (l.status = 'dead' AND r.status <> 'FAILED')"
    )
    decided = world.select("SELECT outcome, COUNT(*) FROM decisions GROUP BY outcome")
    started = dict(decided).get("run_started", 0)
    runs = world.select("SELECT COUNT(*) FROM runs")[0][0]
    return [str(row) for row in found] + ([f"{started} decisions started {runs} runs"] if started != runs else [])


def one_run_per_key(world):
    rows = world.select("SELECT trigger_id, event_key, COUNT(*) FROM runs GROUP BY 1, 2 HAVING COUNT(*) > 1")
    rows += world.select("SELECT source, event_key, COUNT(*) FROM events GROUP BY 1, 2 HAVING COUNT(*) > 1")
    return [f"more than one for {row}" for row in rows]


def occurrences(world):
    """Every scheduled run has its occurrence, and an occurrence that started a run has it.

    The mover is left out of the first: the runs with which the pause of a schedule ends are there before their
    occurrences, and a crash may come in between.
    """
    return [
        str(row)
        for row in world.select(
            "SELECT 'run without its occurrence', r.id, r.scheduled_for, o.outcome FROM runs r LEFT JOIN occurrences o "
            "ON o.trigger_id = r.trigger_id AND o.nominal = r.scheduled_for "
            "WHERE r.scheduled_for IS NOT NULL AND r.workflow <> 'mover' "
            "AND (o.run_id IS NULL OR o.run_id <> r.id) UNION ALL "
            "SELECT 'occurrence without its run', o.trigger_id, o.nominal, o.run_id FROM occurrences o "
            "LEFT JOIN runs r ON r.id = o.run_id WHERE o.outcome = 'run_started' AND r.id IS NULL"
        )
    ]


def acknowledged(world, ledger):
    """Every acknowledged event is there, and decided as what was live then demands."""
    names = {row[0]: row[1:] for row in world.select(
        "SELECT t.id, w.name, t.name FROM trigger_index t JOIN workflows w ON w.id = t.workflow_id")}  # fmt: skip
    decided = {}
    for event_id, trigger_id, outcome, reason in world.select(
        "SELECT event_id, trigger_id, outcome, reason FROM decisions"
    ):
        decided.setdefault(event_id, {})[tuple(names[trigger_id])] = (outcome, reason)
    stored = {row[0] for row in world.select("SELECT id FROM events")}
    found = []
    for sent in ledger.events.values():
        if sent.event_id in stored:
            found += _compared(sent, decided.get(sent.event_id, {}))
        else:
            found.append(f"lost: {sent}")
    runs = {row[0] for row in world.select("SELECT id FROM runs")}
    return found + [f"lost: manual {key}" for key, run in ledger.manual.items() if run is not None and run not in runs]


def _compared(sent, actual):
    expected = [state.expected(sent.kind, sent.data) for state in sent.states]
    found = []
    for trigger in {*actual, *(trigger for one in expected for trigger in one)}:
        wanted = {one.get(trigger) for one in expected}
        outcome = actual.get(trigger)
        if not any(_same(outcome, one) for one in wanted):
            found.append(f"{sent.key} ({sent.kind} {sent.data}) at {trigger}: {outcome} in place of {wanted}")
    return found


def _same(actual, wanted):
    if actual is None or wanted is None:
        return actual is wanted
    return actual[0] == wanted[0] and wanted[1] in (None, actual[1])


def open_runs(world):
    """Return the runs that should have ended by now."""
    return world.select(
        "SELECT r.id, r.workflow, r.status, r.deliveries, r.owner, r.created_at FROM runs r "
        "WHERE r.status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND r.created_at <= ? ORDER BY r.id",
        (world.peace_since,),
    )


def ends(world):
    return [f"not ended: {row} (the instance is {world.app.owner})" for row in open_runs(world)]


def jobs(world):
    """The records of the jobs agree with the status of their run."""
    of_run = {}
    for run_id, job_id, status in world.select("SELECT run_id, job_id, status FROM jobs"):
        of_run.setdefault(run_id, {})[job_id] = status
    wanted = {name: set(parts["jobs"]) for name, parts in scene.FIXED.items()} | {scene.MOVER: {"work"}}
    poisoned = {row[0] for row in world.select("SELECT run_id FROM dead_letters")}
    found = []
    for run_id, workflow, status, ended_at in world.select("SELECT id, workflow, status, ended_at FROM runs"):
        records = of_run.get(run_id, {})
        statuses = set(records.values())
        if (ended_at is None) == (status in FINAL):
            found.append(f"{workflow} {run_id} is {status} and ended at {ended_at}")
        if status not in FINAL:
            continue
        if set(records) != wanted[workflow] and status == "SUCCEEDED":
            found.append(f"{workflow} {run_id} is {status} with {records}")
        if statuses & {"QUEUED", "RUNNING", "PAUSED"}:
            found.append(f"{workflow} {run_id} is {status} with {records}")
        if status == "SUCCEEDED" and not statuses <= {"SUCCEEDED", "SKIPPED"}:
            found.append(f"{workflow} {run_id} is {status} with {records}")
        if status == "FAILED" and "FAILED" not in statuses and run_id not in poisoned:
            found.append(f"{workflow} {run_id} is {status} with {records}")
    return found


def end_events(world):
    """Each end of a workflow that others listen to is an event for each kind of listener, once."""
    events = Counter(
        (row[0], row[1])
        for row in world.select("SELECT provider, event_key FROM events WHERE provider IN ('workflow', 'event')")
    )
    kinds = dict(world.select("SELECT event_key, type FROM events WHERE provider = 'workflow'"))
    heard = {}
    for key, name in world.select(
        "SELECT e.event_key, w.name FROM events e JOIN decisions d ON d.event_id = e.id "
        "JOIN workflows w ON w.id = d.workflow_id WHERE e.provider = 'workflow'"
    ):
        heard.setdefault(key, []).append(name)
    found = []
    revived = {row[0] for row in world.select("SELECT run_id FROM dead_letters")}
    for run_id, status, workflow in world.select("SELECT id, status, workflow FROM runs"):
        if status not in FINAL or workflow not in _LISTENERS:
            continue
        key = f"{run_id}:{status}"
        counts = (events["workflow", key], events["event", key])
        if counts != (1, 1) or kinds[key] != _ENDS[status]:
            found.append(f"the end of {workflow} {run_id} is {counts} events of type {kinds.get(key)}")
        if sorted(heard.get(key, [])) != sorted(_LISTENERS[workflow]):
            found.append(f"the end of {workflow} {run_id} was decided for {heard.get(key)}")
        others = [f"{run_id}:{other}" for other in FINAL if other != status and run_id not in revived]
        found += [f"{workflow} {run_id} is {status} and has {other}" for other in others if events["event", other]]
    return found


def joins(world):
    """What each join did is what the ends of its members, in the order in which they were stored, demand."""
    found = []
    for name in ("both", "together", "most"):
        config = scene.FIXED[name]["triggers"]["in"]
        window = 90 * SECOND_US if "window" in config else None
        members = config.get("all", ())
        needed = {member["workflow"] for member in members if member.get("required", True)}
        least = config.get("at_least", 0)
        arrived = {}
        for key, ended_at, keys, outcome in world.select(
            "SELECT e.event_key, e.time, e.index_keys, d.outcome FROM events e JOIN decisions d "
            "ON d.event_id = e.id JOIN workflows w ON w.id = d.workflow_id "
            "WHERE w.name = ? AND e.provider = 'workflow' ORDER BY e.rowid",
            (name,),
        ):
            if outcome not in ("run_started", "absorbed"):
                continue
            member = msgspec.json.decode(keys)[0]
            arrived[member] = max(ended_at, arrived.get(member, ended_at))
            if window is not None:
                newest = max(arrived.values())
                arrived = {member: at for member, at in arrived.items() if at >= newest - window}
            wanted = "run_started" if needed <= set(arrived) and len(arrived) >= least else "absorbed"
            if wanted == "run_started":
                arrived = {}
            if outcome != wanted:
                found.append(f"the join `{name}` is {outcome} at {key} in place of {wanted}")
                break
    return found


def missed(world):
    """Each end that `waits` has heard is used by one run, waits still, or gave way to a later one of its workflow."""
    found, used = [], Counter()
    for run_id, given in world.select("SELECT id, input FROM runs WHERE workflow = 'waits' AND replay_of IS NULL"):
        members = msgspec.json.decode(given)["members"]
        used.update(one["run_id"] for one in members.values())
        complete = set(members) == {"hooked", "told"}
        if complete is bool(msgspec.json.decode(given).get("missing")):
            found.append(f"the run {run_id} has {sorted(members)} and says {given}")
    found += [f"the end of {run_id} was used {count} times" for run_id, count in used.items() if count > 1]
    waiting = {row[0] for row in world.select("SELECT run_id FROM join_members")}
    last = {}
    heard = world.select(
        "SELECT e.cause_run_id, e.index_keys FROM events e JOIN decisions d ON d.event_id = e.id "
        "JOIN workflows w ON w.id = d.workflow_id WHERE w.name = 'waits' AND e.type <> 'dependency_missed' "
        "AND d.outcome IN ('run_started', 'absorbed') ORDER BY e.rowid"
    )
    for run_id, keys in heard:
        last[msgspec.json.decode(keys)[0]] = run_id
    lost = [run_id for run_id in last.values() if run_id not in used and run_id not in waiting]
    return found + [f"the end of {run_id} is lost" for run_id in lost]


def emitted(world):
    """Each `sender` that told something did so once, and somebody heard it."""
    told = Counter(row[0] for row in world.select("SELECT event_key FROM events WHERE type = 'sim.told'"))
    rows = world.select(
        "SELECT j.run_id FROM jobs j JOIN runs r ON r.id = j.run_id "
        "WHERE r.workflow = 'sender' AND j.job_id = 'tell' AND j.status = 'SUCCEEDED'"
    )
    return [f"{told[row[0] + ':tell']} events told by {row[0]}" for row in rows if told[row[0] + ":tell"] != 1]


def quarantined(world):
    return [f"quarantined: {row}" for row in world.select("SELECT kind, id, detail FROM quarantine")]
