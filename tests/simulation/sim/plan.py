"""The times of the schedules that are live all the time, computed without the program, and what became of them."""

from sim import scene
from sim.virtual import BEGINNING
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, SECOND_US, from_iso

GRACE_US = 60 * SECOND_US
_STARTED = {"run_started"}
_STATES = {"trigger_disabled", "trigger_suspended", "workflow_paused", "missed_paused"}


def _planned(name, anchor, until):
    """Return the nominal times after the deployment and before `until`."""
    if name == "interval":
        return set(range(anchor + 40 * SECOND_US, until, 40 * SECOND_US))
    if name in ("jittered", "hourly"):
        step, offset = (3 * MINUTE_US, 0) if name == "jittered" else (HOUR_US, 7 * MINUTE_US)
        first = (anchor - offset) // step * step + step + offset
        return set(range(first, until, step))
    seconds = {"once": 65, "later": 4000}[name]
    return {moment for moment in (BEGINNING + seconds * SECOND_US,) if moment < until}


def schedules(world, *, resumed):
    """Every planned time has one outcome, nothing else has one, and nothing is overdue.

    `resumed`: an operator may have asked for the latest of the times that a pause had kept from running.
    """
    found = []
    rows = world.select(
        "SELECT t.name, s.trigger_id, s.anchor, s.next_nominal, s.next_fire_at, s.completed FROM schedules s "
        "JOIN trigger_index t ON t.id = s.trigger_id JOIN workflows w ON w.id = s.workflow_id WHERE w.name = 'ticks'"
    )
    if {row[0] for row in rows} != set(scene.FIXED["ticks"]["triggers"]):
        found.append(f"schedules are missing: {rows}")
    for name, trigger_id, anchor, next_nominal, next_fire_at, completed in rows:
        recorded, wrong = _recorded(world, name, trigger_id, anchor, _STATES | ({"coalesced"} if resumed else set()))
        found += wrong
        if completed != (next_nominal is None) or (completed and name not in ("once", "later")):
            found.append(f"`{name}` has completed={completed} and is next due at {next_nominal}")
        if next_fire_at is not None and next_fire_at <= world.clock.now() - 2 * SECOND_US:
            found.append(f"`{name}` is overdue since {next_fire_at}, and it is {world.clock.now()}")
        planned = _planned(name, anchor, 1 << 62 if next_nominal is None else next_nominal)
        if planned != recorded:
            missing, extra = sorted(planned - recorded), sorted(recorded - planned)
            found.append(f"`{name}`: nothing became of {missing[:5]}; never planned: {extra[:5]}")
    return found


def _recorded(world, name, trigger_id, anchor, excused):
    """Return the nominal times with an outcome, and complaints about outcomes."""
    recorded, found = set(), []
    for nominal, outcome, reason, note, recorded_at in world.select(
        "SELECT nominal, outcome, reason, note, recorded_at FROM occurrences WHERE trigger_id = ?", (trigger_id,)
    ):
        times = {nominal}
        if note and " fires until " in note:
            count, last = note.split(" fires until ")
            times = {at for at in _planned(name, anchor, from_iso(last) + 1) if at >= nominal}
            if len(times) != int(count):
                found.append(f"`{name}`: {note} from {nominal} are {len(times)}")
        if times & recorded:
            found.append(f"`{name}`: two outcomes for {sorted(times & recorded)[:5]}")
        recorded |= times
        late = recorded_at - max(times)
        if outcome not in _STARTED and reason not in excused and late <= GRACE_US and name != "jittered":
            found.append(f"`{name}`: {outcome} ({reason}) at {nominal} although it was on time ({late} us)")
    return recorded, found
