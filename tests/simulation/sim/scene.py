"""The workflows of the simulation, and for each trigger what it makes of an event that a client sends.

`hears` maps a trigger to a function of (type, data) that returns None where the trigger is no candidate, else whether
its filters hold. The workflows of `MOVING` are deployed, changed and taken away; the others stay.
"""

from datetime import timedelta

from sim.virtual import BEGINNING
from workflow_scheduler.core.time.clock import to_datetime

HOOK = "hook"
_NONE = {"scheme": "none"}


def _work(kind="ok", count=0, needs=(), **more):
    return {
        "uses": "python",
        "with": {"function": "sim.recorder:work", "args": [kind, count]},
        "needs": list(needs),
        **more,
    }


def _given(**more):
    """A job that does what the event asks for."""
    given = {"function": "sim.recorder:work", "args": ["${event.data.kind}", "${event.data.count}"]}
    return {"uses": "python", "with": given, **more}


def _iso(seconds):
    return (to_datetime(BEGINNING) + timedelta(seconds=seconds)).isoformat()


def _typed(wanted, rule=lambda _data: True):
    return lambda kind, data: rule(data) if kind == wanted else None


_RETRY = {"attempts": 3, "delay": "2s"}
FIXED = {
    "hooked": {
        "triggers": {
            "in": {"type": "webhook", "path": HOOK, "signature": _NONE},
            "big": {"type": "webhook", "path": HOOK, "signature": _NONE, "condition": "event.data.amount > 50"},
        },
        "jobs": {
            "first": _work(),
            "rest": {"uses": "sleep_for", "with": {"duration": "3s"}, "needs": ["first"]},
            "left": _work("slow", needs=["rest"]),
            "right": _work(needs=["first"]),
            "last": _work(needs=["left", "right"]),
        },
    },
    "flaky": {
        "triggers": {"in": {"type": "event", "event": "sim.flaky"}},
        "jobs": {
            "work": _given(retry=_RETRY),
            "then": _work(needs=["work"]),
            "always": _work(needs=["work"], run_if="all_done"),
        },
    },
    "limited": {
        "concurrency": {"max_runs": 2},
        "triggers": {"in": {"type": "event", "event": "sim.limited", "filter": {"kind": "slow"}}},
        "jobs": {"work": _given()},
    },
    "deadly": {
        "triggers": {"in": {"type": "event", "event": "sim.deadly"}},
        "jobs": {"before": _work(), "work": _given(needs=["before"])},
    },
    "sender": {
        "triggers": {"in": {"type": "manual"}},
        "jobs": {
            "work": _work("slow"),
            "tell": {"uses": "emit", "with": {"type": "sim.told"}, "needs": ["work"]},
            "last": _work(needs=["tell"]),
        },
    },
    "told": {"triggers": {"in": {"type": "event", "event": "sim.tol*"}}, "jobs": {"work": _work()}},
    "either": {
        "triggers": {
            "in": {
                "type": "workflow",
                "any": [{"workflow": "hooked"}, {"workflow": "flaky", "condition": "on_failure"}],
            }
        },
        "jobs": {"work": _work()},
    },
    "both": {
        "triggers": {
            "in": {
                "type": "workflow",
                "all": [
                    {"workflow": "hooked"},
                    {"workflow": "flaky", "condition": "on_completion"},
                    {"workflow": "told", "required": False},
                ],
            }
        },
        "jobs": {"work": _work()},
    },
    "together": {
        "triggers": {
            "in": {
                "type": "workflow",
                "window": "90s",
                "all": [{"workflow": "hooked", "condition": "on_completion"}, {"workflow": "ticks"}],
            }
        },
        "jobs": {"work": _work()},
    },
    "most": {
        "triggers": {
            "in": {
                "type": "workflow",
                "at_least": 2,
                "of": ["hooked", {"workflow": "flaky", "condition": "on_completion"}, "told"],
            }
        },
        "jobs": {"work": _work()},
    },
    "waits": {
        "triggers": {
            "in": {
                "type": "workflow",
                "all": ["hooked", "told"],
                "window": {"kind": "deadline", "length": "30s"},
                "on_miss": "run",
            }
        },
        "jobs": {"work": _work()},
    },
    "watch": {
        "triggers": {
            "in": {"type": "event", "event": "workflow_failed", "filter": {"workflow_name": "fla*"}},
        },
        "jobs": {"work": _work()},
    },
    "ticks": {
        "triggers": {
            "interval": {"type": "interval", "every": "40s", "catchup": "all", "catchup_max": 4},
            "jittered": {"type": "cron", "cron": "*/3 * * * *", "jitter": "20s", "catchup": "latest"},
            "hourly": {"type": "cron", "cron": "7 * * * *", "catchup": "none"},
            "once": {"type": "once", "run_at": _iso(65)},
            "later": {"type": "once", "run_at": _iso(4000)},
        },
        "jobs": {"work": _work()},
    },
}
HEARS = {
    ("hooked", "in"): lambda kind, _data: True if kind == HOOK else None,
    ("hooked", "big"): lambda kind, data: data["amount"] > 50 if kind == HOOK else None,
    ("flaky", "in"): _typed("sim.flaky"),
    ("limited", "in"): _typed("sim.limited", lambda data: data["kind"] == "slow"),
    ("deadly", "in"): _typed("sim.deadly"),
    # A pattern is looked for at every event's type.
    ("told", "in"): lambda kind, _data: kind.startswith("sim.tol") if kind != HOOK else None,
    ("watch", "in"): lambda kind, _data: False if kind == "workflow_failed" else None,
}
_ODD = {"type": "webhook", "path": HOOK, "signature": _NONE, "condition": "event.data.amount % 2 == 1"}
_PING = {"type": "event", "event": "sim.ping"}
_QUICK = {"type": "interval", "every": "25s", "catchup": "latest"}
MOVING = (
    {"hook": _ODD},
    {"ping": _PING, "quick": _QUICK},
    {"hook": _ODD, "ping": _PING, "quick": {**_QUICK, "every": "35s"}},
)
MOVING_HEARS = {
    "hook": lambda kind, data: data["amount"] % 2 == 1 if kind == HOOK else None,
    "ping": _typed("sim.ping"),
}
MOVER = "mover"


def definition(name, parts):
    return {"version": 1, "name": name, **parts}


def moving(variant):
    return definition(MOVER, {"triggers": MOVING[variant], "jobs": {"work": _work("slow")}})


def candidates(workflow, variant):
    """Return the rules of a workflow's triggers as {trigger: hears}; `variant` is what is live of the mover."""
    if workflow == MOVER:
        live = MOVING[variant] if variant is not None else {}
        return {name: MOVING_HEARS[name] for name in live if name in MOVING_HEARS}
    return {name: rule for (owner, name), rule in HEARS.items() if owner == workflow}


def needs(workflow, job):
    """Return the jobs that must have ended, durably, before a job begins."""
    return FIXED[workflow]["jobs"][job].get("needs", ()) if workflow in FIXED else ()
