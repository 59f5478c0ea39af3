"""The schedules of the sequences: every kind, late policy and clock-change policy, around real clock changes."""

import json
from functools import cache

from timesim import nominal
from timesim.nominal import DAY, HOUR, MINUTE, SECOND, Rule
from timesim.restraint import Window
from workflow_scheduler.core.time.clock import from_iso, to_iso

CLOSED, OPEN = "closed", "open"
_HOLDS = {"input": {"hold": True}}
BEGINNINGS = tuple(
    from_iso(text)
    for text in (
        "2027-03-12T19:00:00Z",  # two days before New York goes to summer time
        "2027-03-26T12:07:00Z",  # before Berlin does
        "2027-04-02T03:00:00Z",  # before Lord Howe goes back by half an hour
        "2027-10-01T12:00:00Z",  # before Lord Howe goes forward
        "2027-10-30T03:11:07Z",  # before Berlin goes back
        "2027-11-05T23:59:30Z",  # before New York does
        "2027-06-01T00:00:00Z",
    )
)


def _cron(expression, zone, times, **more):
    return Rule({"type": "cron", "cron": expression, "timezone": zone, **more}, times)


@cache
def standing():
    """Return the rules that do not depend on when a sequence begins, by the name of their trigger: two for each."""
    berlin, york, howe = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
    quarters = nominal.real_time("UTC", lambda wall: wall.minute % 15 == 0)
    hourly = nominal.real_time(york, lambda wall: wall.minute == 10)
    twenties = nominal.real_time("UTC", lambda wall: wall.minute % 20 == 0)
    nights = [(2, 30)]
    return {
        "quarters": (
            _cron("*/15 * * * *", "UTC", quarters, catchup="all", catchup_max=5, catchup_window="6h",
                  on_resume="latest"),
            _cron("*/15 * * * *", "UTC", quarters, catchup="latest", jitter="10m"),
            _cron("*/15 * * * *", "UTC", quarters, catchup="all", catchup_window="2h", max_fires=9),
        ),
        "hourly": (
            _cron("10 * * * *", york, hourly, catchup="latest", catchup_window="5h"),
            _cron("10 * * * *", york, hourly, catchup="none", misfire_grace="90m"),
            _cron("10 * * * *", york, hourly, catchup="all", catchup_rate="10/m", calendars={"only": [OPEN]}),
        ),
        "night": (
            _cron("30 2 * * *", york, nominal.fixed(york, nights), catchup="latest"),
            _cron("30 2 * * *", berlin, nominal.fixed(berlin, nights, gap="shift", overlap="both"), dst_gap="shift",
                  dst_overlap="both", catchup="all", catchup_window="9d", catchup_max=3),
        ),
        "howe": (
            _cron("*/10 1-3 * * *", howe, nominal.real_time(howe, lambda wall: wall.hour in (1, 2, 3)
                  and wall.minute % 10 == 0), catchup="all", catchup_window="1d"),
            _cron("15,45 1,2 * * *", howe, nominal.fixed(howe, [(1, 15), (1, 45), (2, 15), (2, 45)], gap="skip",
                  overlap="last"), dst_gap="skip", dst_overlap="last", catchup="none"),
        ),
        "mornings": (
            _cron("0 9 * * 1-5", berlin, nominal.fixed(berlin, [(9, 0)], lambda day: day.weekday() < 5),
                  jitter="30m", catchup="latest", catchup_window="3d"),
            _cron("0 9 1,15 * *", berlin, nominal.fixed(berlin, [(9, 0)], lambda day: day.day in (1, 15)),
                  catchup="all", catchup_window="60d"),
            _cron("0 9 * * *", berlin, nominal.fixed(berlin, [(9, 0)]), catchup="all", catchup_window="30d",
                  calendars={"exclude": [CLOSED]}, on_resume="all"),
        ),
        "lone": (
            _cron("*/20 * * * *", "UTC", twenties, catchup="all", catchup_max=4, **_HOLDS, overlap="skip"),
            _cron("*/20 * * * *", "UTC", twenties, catchup="all", catchup_max=5, **_HOLDS,
                  overlap={"policy": "queue_all", "limit": 3}),
        ),
        "turns": (
            _cron("*/20 * * * *", "UTC", twenties, catchup="latest", **_HOLDS, overlap="queue_one"),
            _cron("*/20 * * * *", "UTC", twenties, catchup="all", catchup_max=3, **_HOLDS, overlap="cancel_running"),
            _cron("*/20 * * * *", "UTC", twenties, catchup="all", catchup_max=2, **_HOLDS,
                  overlap="terminate_running"),
        ),
    }  # fmt: skip


def _interval(seconds, first=None, last=None, **more):
    bounds = {"start_at": first, "end_at": last}
    said = {name: to_iso(moment) for name, moment in bounds.items() if moment is not None}
    return Rule({"type": "interval", "every": f"{seconds}s", **said, **more}, nominal.every(seconds, first, last))


def moving(now):
    """Return the rules that are counted from `now`, the moment at which a sequence begins."""
    soon, later = now + 11 * MINUTE, now + 2 * DAY + 5 * SECOND
    left_out = now - now % DAY + 2 * DAY + 6 * HOUR
    first = now - now % DAY + 6 * HOUR
    daily = nominal.since(first, nominal.fixed("UTC", [(6, 0)]))
    return {
        "often": (
            _interval(240, catchup="all", catchup_max=30, catchup_window="1h", on_resume="all"),
            _interval(420, catchup="latest", misfire_grace="20m"),
            _interval(300, catchup="all", catchup_window="3h", catchup_rate="100/m", calendars={"exclude": [CLOSED]}),
        ),
        "bounded": (
            _interval(1800, now + 2 * HOUR, now + 3 * DAY, catchup="latest"),
            _interval(5400, last=now + 5 * DAY, catchup="none"),
            _interval(3600, now + HOUR, max_fires=5, catchup="latest", on_resume="all"),
        ),
        "once": tuple(
            Rule({"type": "once", "run_at": to_iso(moment)}, nominal.once(moment)) for moment in (soon, later)
        ),
        "daily": (
            Rule({"type": "rrule", "rrule": "FREQ=DAILY", "dtstart": to_iso(first),
                  "exdate": [to_iso(left_out)], "catchup": "all"}, nominal.without(daily, {left_out})),
            Rule({"type": "rrule", "rrule": "FREQ=DAILY", "dtstart": to_iso(first)}, daily),
        ),
    }  # fmt: skip


def days(random, now):
    """Return some dates of the next two weeks, and one before."""
    first = now - now % DAY - DAY
    return sorted({to_iso(first + number * DAY)[:10] for number in random.sample(range(15), random.randrange(1, 8))})


def window(random, now):
    """Return a blackout as the model knows it, and as a user writes it."""
    mode = random.choice(("skip", "defer"))
    if random.random() < 0.4:
        start, length = now - now % DAY + random.randrange(24) * HOUR, random.choice((HOUR, 150 * MINUTE))
        said = {"cron": f"0 {start % DAY // HOUR} * * *", "duration": f"{length // MINUTE}m"}
        body = {"mode": mode, **said}
        return Window(mode, start, length=length, said=_json(body)), body
    start = now + random.choice((-HOUR, -MINUTE, 10 * MINUTE, 5 * HOUR, DAY))
    end = start + random.choice((20 * MINUTE, 2 * HOUR, 7 * HOUR, 2 * DAY))
    body = {"mode": mode, "from": to_iso(start), "to": to_iso(end)}
    return Window(mode, start, end, said=_json(body)), body


def _json(body):
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def definition(triggers):
    """Return a workflow with these triggers as a definition; some of its runs last until they are ended."""
    return {
        "version": 1,
        "name": "timed",
        "triggers": {name: dict(rule.config) for name, rule in triggers.items()},
        "jobs": {"work": {"uses": "sleep_for", "with": {"duration": "3000d"}, "if": "has(input.hold)"}},
    }
