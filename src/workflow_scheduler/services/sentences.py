"""The short sentences of explanations: why something started, and why it did not."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from workflow_scheduler.core.dependencies.rounds import MISSED
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.template import SOURCE as TEMPLATES
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time import zone
from workflow_scheduler.core.time.clock import SECOND_US, to_datetime, to_iso

REASONS: Mapping[Reason, str] = {
    Reason.MATCHED: "everything matched",
    Reason.PREDICATE_FALSE: "a filter did not match",
    Reason.CONDITION_FALSE: "its condition is false",
    Reason.PATTERN_FALSE: "its pattern does not match",
    Reason.CONDITION_ERROR: "its condition could not be evaluated",
    Reason.UNKNOWN_SKIPPED: "a filter could not be decided, and `on_unknown` is skip",
    Reason.UNKNOWN_HELD: "a filter could not be decided, and `on_unknown` is hold",
    Reason.UNKNOWN_FIRED: "a filter could not be decided, and `on_unknown` is fire",
    Reason.ALREADY_SEEN: "the same event was accepted before",
    Reason.WAITING_FOR_MEMBERS: "it still waits for other workflows",
    Reason.MEMBERS_MISSED: "its window was over, and it runs without those that were missing",
    Reason.WINDOW_OVER: "the window in which it waits for the others is another one",
    Reason.DEBOUNCED: "its run starts for the whole burst, when it has been quiet for a while",
    Reason.BATCHED: "its run starts for several events together",
    Reason.BELOW_THRESHOLD: "too few events have come within the window of `threshold`",
    Reason.HEARD: "a run starts when no event comes for the time of `absence`",
    Reason.THROTTLED: "its run starts later, as `throttle` allows",
    Reason.RATE_EXCEEDED: "as many runs as `rate_limit` allows had started already",
    Reason.REPEATED: "an event with the same value of `unique` came shortly before",
    Reason.TRIGGER_DISABLED: "the trigger was disabled",
    Reason.TRIGGER_SUSPENDED: "the trigger was suspended: the event is kept, not run",
    Reason.RELEASED: "it was kept, and somebody let it be decided again",
    Reason.DISCARDED: "it was kept, and somebody gave it up",
    Reason.WORKFLOW_PAUSED: "the workflow was paused",
    Reason.NOT_CONFIRMED: "the trigger wants a confirmation, and none was given",
    Reason.MISSED_DOWN: "the service was down, and the catch-up policy leaves it out",
    Reason.MISSED_PAUSED: "it was paused then",
    Reason.SKIPPED_BY_HAND: "somebody skipped this one time",
    Reason.CALENDAR: "a calendar of the schedule leaves that time out",
    Reason.MISSED_WINDOW: "it was older than the catch-up window, or beyond the catch-up limit",
    Reason.UNDEPLOYED: "its workflow was not deployed then",
    Reason.BLACKOUT: "it fell into a blackout window",
    Reason.RATE_LIMITED: "it was missed before, and its run starts as `catchup_rate` allows",
    Reason.MAX_FIRES: "the schedule has started all the runs that `max_fires` allows",
    Reason.COALESCED: "it was folded into one run with other late fires",
    Reason.SUPERSEDED: "the schedule was edited before that time",
    Reason.EXPIRED: "its time was over: a one-time schedule that had fired, or an event older than the `ttl`",
    Reason.DEPTH_EXCEEDED: "the chain of runs that cause runs is deeper than `max_depth`",
    Reason.OWN_FAILURE: "a handler of failures never fires for its own failure",
    Reason.ENGINE_UNAVAILABLE: "the engine did not answer; it is tried again",
    Reason.ENGINE_REFUSED: "the engine refused the run for good",
    Reason.POISON: "the run was delivered too often without reaching an end",
    Reason.MALFORMED: "a stored row cannot be read",
    Reason.OVERLAP_SKIPPED: "an earlier run was still under way, and `overlap` is skip",
    Reason.OVERLAP_QUEUED: "an earlier run was still under way, and it waits for its end",
    Reason.OVERLAP_QUEUE_FULL: "an earlier run was still under way, and as many wait as the `limit` allows",
    Reason.OVERLAP_SUPERSEDED: "a later fire took its place in the queue",
    Reason.OVERLAP_FLUSHED: "somebody flushed the queue in which it waited",
    Reason.OVERLAP_TERMINATED: "a later fire ended it, and `overlap` is terminate_running",
    Reason.QUEUED_CONCURRENCY: "the workflow already has as many runs as it allows",
    Reason.CONCURRENCY_SKIPPED: "the workflow already had as many runs as it allows, and `on_limit` is skip",
    Reason.BACKFILLED: "a backfill ran this time",
    Reason.STARTED_WHILE_PAUSED: "a person started it although it was paused",
    Reason.WAIT_ANSWERED: "it answered a paused run",
    Reason.AMBIGUOUS_WAIT: "it may answer several paused runs, and nothing decides between them",
    Reason.LATE_RESPONSE: "it came after the wait that it answers was closed",
    Reason.RERUN: "an ended run was started again",
    Reason.REPLAYED: "it was started again by a replay",
}
TIMERS = frozenset({"cron", "interval", "once", "rrule"})
_MILLISECOND_US = 1_000


def reason_text(reason: str | None) -> str:
    """Return the words for a reason code; an unknown code stands for itself."""
    try:
        return REASONS[Reason(reason or "")]
    except (ValueError, KeyError):
        return reason or "no reason was recorded"


@lru_cache(maxsize=512)
def _names(timezone: str) -> zoneinfo.ZoneInfo | None:
    """Return the zone's names of its times (EST, EDT) from the pinned package, which `core.time.zone` reads too."""
    try:
        zone.load(timezone)
    except SchedulerError:
        return None
    with resources.files("tzdata").joinpath("zoneinfo", *timezone.split("/")).open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file, key=timezone)


def local_time(at: int, timezone: str | None) -> str:
    """Return `2027-01-05 02:00 EST`, with seconds where they are not zero; an unknown zone gives UTC."""
    moment = to_datetime(at)
    names = _names(timezone) if timezone else None
    if names is not None:
        moment = moment.astimezone(names)
    seconds = "%H:%M:%S" if at % (60 * SECOND_US) else "%H:%M"
    return f"{moment:%Y-%m-%d {seconds}} {moment.tzname()}"


def delay(late_us: int) -> str:
    """Return `+1.2 s`, `+35 ms`, `+3 min` or `+2 h`: how much later than due something was."""
    sign = "-" if late_us < 0 else "+"
    size = abs(late_us)
    if size < SECOND_US:
        return f"{sign}{size // _MILLISECOND_US} ms"
    for unit, name in ((3600, "h"), (60, "min")):
        if size >= 2 * unit * SECOND_US:
            return f"{sign}{size / SECOND_US / unit:.0f} {name}"
    return f"{sign}{size / SECOND_US:.1f} s"


def started_by(cause: Mapping[str, Any]) -> str:
    """Return why a run started, from the cause of a run (see `Explain.cause`), with times in microseconds."""
    name = cause["trigger"]["name"] or cause["trigger"]["id"]
    kind, event = cause["trigger"]["type"], cause.get("event") or {}
    if cause.get("backfill_id"):
        due = local_time(cause["due"], cause.get("timezone")) if cause.get("due") is not None else "then"
        again = ", which it repeats" if cause.get("replay_of") else ""
        return f"Started by backfill {cause['backfill_id']}{_by(cause.get('user_id'))} for *{name}*, due {due}{again}."
    if cause.get("rerun_of"):
        start = f"Rerun of run {cause['rerun_of']}{_by(cause.get('user_id'))}, which was started through *{name}*"
    elif cause.get("replay_of"):
        start = f"Replayed from event {cause['replay_of']} through *{name}*"
    elif kind in TIMERS and cause.get("due") is not None:
        return _fired(name, cause)
    elif event.get("provider") == "manual":
        source = str(event.get("source"))
        through = f"from the template *{source.removeprefix(TEMPLATES)}*" if source.startswith(TEMPLATES) else ""
        start = f"Started by hand{_by(cause.get('user_id'))} {through or f'through *{name}*'}"
        start += ", although it was paused" if cause.get("paused") else ""
    elif kind == "workflow" or event.get("provider") == "workflow":
        upstream = cause.get("upstream") or {}
        ended = upstream.get("status") or event.get("type")
        start = f"Started by *{name}*: workflow {upstream.get('workflow') or event.get('source')} ended {ended}"
        if event.get("type") == MISSED:
            start = f"Started by *{name}*: its window was over at {event.get('time')} and members were missing"
    elif event:
        about = f" about {event['subject']}" if event.get("subject") else ""
        start = f"Started by *{name}*: {event.get('type')} from {event.get('source')}{about}"
    else:
        start = f"Started by *{name}*; its event is no longer stored"
    received = cause.get("received")
    return f"{start}, received {to_iso(received - received % 1000)}." if received is not None else f"{start}."


def _fired(name: str, cause: Mapping[str, Any]) -> str:
    due, fired = cause["due"], cause.get("received")
    sentence = f"Started by *{name}*, due {local_time(due, cause.get('timezone'))}"
    return f"{sentence}, fired {delay(fired - due)}." if fired is not None else f"{sentence}."


def _by(user: str | None) -> str:
    return f" by {user}" if user else ""


def decided(decision: Mapping[str, Any]) -> str:
    """Return what became of an event for one trigger, from the shape of a decision."""
    name = f"*{decision['trigger'] or decision['trigger_id']}* of {decision['workflow'] or decision['workflow_id']}"
    if not decision["recorded"]:
        return f"{name} was no candidate: {_first_false(decision['predicates']) or 'it was not live then'}."
    outcome = decision["outcome"]
    if outcome == "run_started":
        status = f" ({decision['run_status']})" if decision["run_status"] else ""
        missed = decision["reason"] == Reason.MEMBERS_MISSED
        why = f": {reason_text(decision['reason'])}{_in_the_way(decision)}" if missed else ""
        return f"{name} started run {decision['run_id']}{status}{why}."
    detail = _first_false(decision["predicates"]) or reason_text(decision["reason"])
    if outcome == "filtered":
        return f"{name} did not match: {detail}."
    return f"{name}: {outcome.replace('_', ' ')}, because {reason_text(decision['reason'])}{_in_the_way(decision)}."


_INCOMPLETE = frozenset({Reason.WAITING_FOR_MEMBERS, Reason.MEMBERS_MISSED})


def _in_the_way(decision: Mapping[str, Any]) -> str:
    """Return which run stood in the way, or which members are missing, where the decision says so."""
    lines = decision["predicates"]
    names = ("all", "at_least", "when") if decision["reason"] in _INCOMPLETE else ("overlap",)
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, dict) and line.get("name") in names and line.get("note"):
            return f" ({line['note']})"
    return ""


def _first_false(predicates: Any) -> str | None:
    """Return the predicate that decided: the first false one, else the first unknown one."""
    if not isinstance(predicates, list):
        return None
    lines = [line for line in predicates if isinstance(line, dict) and line.get("verdict") is not True]
    lines.sort(key=lambda line: line.get("verdict") is None)
    if not lines:
        return None
    line = lines[0]
    wanted = f"{line.get('name')} should be {_short(line.get('expected'))}"
    if line.get("verdict") is None:
        return f"{wanted}, which could not be decided{': ' + str(line['note']) if line.get('note') else ''}"
    return f"{wanted}, was {_short(line.get('actual'))}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{path} = {_plain(item)}" for path, item in value.items())
    elif isinstance(value, list):
        text = ", ".join(_plain(item) for item in value)
    else:
        text = _plain(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line of a sentence


def _plain(value: Any) -> str:
    """Return a value in the words of JSON and not of Python."""
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def event_summary(event: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> str:
    """Return what an event led to, from the shapes of the event and of its decisions."""
    recorded = [decision for decision in decisions if decision.get("recorded")]
    runs = [decision for decision in recorded if decision.get("outcome") == "run_started"]
    if not recorded:
        keys = ", ".join(f"`{key}`" for key in event.get("index_keys") or ()) or "it"
        start = f"Started nothing: no live {event.get('provider')} trigger listened to {keys} when it came."
    elif len(recorded) == 1:
        start = f"Started nothing: {decided(recorded[0])}" if not runs else decided(recorded[0])
    else:
        others = len(recorded) - len(runs)
        start = f"Started {_count(len(runs), 'run')}; {_count(others, 'trigger')} started none." if others else (
            f"Started {_count(len(runs), 'run')}."
        )  # fmt: skip
    again = event.get("duplicates") or 0
    if again:
        start += f" The same event came {_count(again, 'more time')}, which started nothing."
    return start


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def occurrence_summary(name: str, at: int, timezone: str | None, outcome: str, reason: str | None) -> str:
    """Return what became of one nominal time of a schedule."""
    due = f"*{name}* was due {local_time(at, timezone)}"
    if outcome == "planned":
        return f"*{name}* is due {local_time(at, timezone)}; that time has not come yet."
    if reason == Reason.BACKFILLED:
        return f"{due}; the schedule did not fire then."
    if outcome in {"fired", "run_started"}:
        return f"{due} and fired."
    return f"{due} and did not run ({outcome.replace('_', ' ')}): {reason_text(reason)}."
