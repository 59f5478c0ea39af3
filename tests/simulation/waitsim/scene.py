"""Two workflows that ask people, the people, and what may be asked and said, few enough to meet each other often."""

from waitsim.law import SECOND, Ask
from workflow_scheduler.core.model.principal import Principal

_ASKS = {
    name: f"${{input.config.{name}}}"
    for name in ("to", "slack", "correlation", "timeout", "on_timeout", "quorum", "four_eyes", "ambiguous")
}
TRIGGERS = {
    "left": {"hand": {"type": "manual"}, "note": {"type": "event", "event": "note"}},
    "right": {"hand": {"type": "manual"}},
}
USERS = ("ann", "bob", "cyd")
MEMBERS = {"ann": (), "bob": ("finance",), "cyd": ("finance",)}
TEAM = "T"
TIMEOUTS = (30, 60, 600)


def definition(name):
    return {
        "version": 1,
        "name": name,
        "triggers": TRIGGERS[name],
        "jobs": {
            "approve": {"uses": "approval", "with": {"ask": "Go?", **_ASKS}},
            "after": {"needs": ["approve"], "uses": "python", "with": {"function": "sim.recorder:work"}},
        },
    }


def principal(tenant, user):
    return Principal(tenant_id=tenant, user_id=user, method="jwt")


def input_of(ask):
    """Return the input of a run whose approval asks that."""
    slack = None if ask.channel is None else {"team": TEAM, "channel": ask.channel, "thread_ts": ask.thread}
    config = {
        "to": list(ask.to), "slack": slack, "correlation": ask.order, "timeout": f"{ask.timeout // SECOND}s",
        "on_timeout": ask.on_timeout, "quorum": ask.quorum, "four_eyes": ask.four_eyes, "ambiguous": ask.ambiguous,
    }  # fmt: skip
    return {"config": config}


def draw_ask(random):
    channel = random.choice((None, None, "C1", "C1", "C2"))
    return Ask(
        to=random.choice(((), (), ("ann", "slack:U1"), ("group:finance",), ("slack:U1", "slack:U2", "bob"))),
        channel=channel,
        thread=random.choice((None, "1", "1", "2")) if channel else None,
        order=random.choice((None, None, "17", "18")),
        quorum=random.choice((1, 1, 1, 2)),
        four_eyes=random.random() < 0.15,
        timeout=random.choice(TIMEOUTS) * SECOND,
        on_timeout=random.choice(("reject", "approve", "continue", "fail")),
        ambiguous=random.choice(("ask", "ask", "newest", "oldest", "start_new")),
    )


def draw_place(random):
    channel = random.choice((None, "C1", "C1", "C2"))
    return channel, random.choice((None, "1", "1", "2")) if channel else None


def ask_of(value):
    """Return what the approval of a run with this input asks for; the inverse of `input_of`."""
    config = value["config"]
    slack = config["slack"] or {}
    return Ask(
        to=tuple(config["to"]), channel=slack.get("channel"), thread=slack.get("thread_ts"),
        order=config["correlation"], quorum=config["quorum"], four_eyes=config["four_eyes"],
        timeout=int(config["timeout"][:-1]) * SECOND, on_timeout=config["on_timeout"], ambiguous=config["ambiguous"],
    )  # fmt: skip
