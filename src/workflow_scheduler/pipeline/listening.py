"""Which events may answer a paused job. Most never do, and this says so before anything is read from the tables."""

from __future__ import annotations

from typing import Final

import msgspec

from workflow_scheduler.core.match.replies import read_reply
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.store import Accepted

# Clocks, polling and dependencies say nothing about anybody's answer; a start by hand is meant as a start.
SILENT: Final = frozenset({"cron", "interval", "once", "rrule", "http_poll", "sql_poll", "workflow", "manual"})


class Listening(msgspec.Struct, frozen=True, gc=False):
    """That an event is to be compared with the waits of its tenant.

    `workflows` are those of which it matched a trigger that may resume; `trusted` says whether what the event claims
    about whoever speaks may be believed.
    """

    workflows: tuple[str, ...] = ()
    trusted: bool = True


def may_resume(event: Event, *, resumes: bool) -> bool:
    """Return whether an event that a trigger matched may answer a paused run of the workflow instead.

    `resumes` is whether the trigger says so although its kind never does.
    """
    if event.replay_of is not None or (event.provider == "event" and event.type in SYSTEM_EVENTS):
        return False
    return resumes or event.provider not in SILENT


def listening(event: Event, triggers: list[Trigger]) -> Listening | None:
    """Return how an event is compared with waits, having matched these triggers; None when it is not."""
    found = [trigger for trigger in triggers if may_resume(event, resumes=trigger.resume)]
    if not found:
        return None
    return Listening(tuple(dict.fromkeys(one.workflow_id for one in found)), _trusted(event, found))


def overheard(accepted: Accepted) -> Accepted:
    """Compare an event with the waits of its tenant as well where it matched no trigger, but may belong to one."""
    event = accepted.event
    if accepted.listening is not None or event.replay_of is not None or event.provider in SILENT:
        return accepted
    if event.provider == "event" and event.type in SYSTEM_EVENTS:
        return accepted
    if not read_reply(EventView(event)).aims:
        return accepted
    trusted = event.provider != "webhook"
    return msgspec.structs.replace(accepted, listening=Listening((), trusted))


def _trusted(event: Event, triggers: list[Trigger]) -> bool:
    """Return whether somebody vouches for the event: a source that checks, credentials, or a signature."""
    return event.provider != "webhook" or any(one.config.get("signature", "none") != "none" for one in triggers)
