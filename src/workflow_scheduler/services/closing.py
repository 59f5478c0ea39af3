"""The end of a schedule's rule: what becomes of the times that the old rule named and that were not settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.deployment import OldTimes
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.due import resume
from workflow_scheduler.core.time.fire import noted
from workflow_scheduler.core.time.records import Recorder
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.definitions import Bind
from workflow_scheduler.services.restraints import Restraints
from workflow_scheduler.services.schedule_config import stored
from workflow_scheduler.stores.portable.calendar_checks import followed
from workflow_scheduler.stores.portable.skips import with_skips

_PORTIONS_MAX = 1_000
_NOTE = "the schedule was changed"


async def closer(
    store: Store, types: Mapping[str, ModuleType], who: tuple[str, str, str], now: int
) -> Callable[[OldTimes], list[Occurrence]]:
    """Return `closed` for a workflow: `who` is its tenant, id and name."""
    tenant_id, workflow_id, name = who
    held = await Restraints.load(store, types, tenant_id, await followed(store, tenant_id, workflow_id), now)

    def close(old: OldTimes) -> list[Occurrence]:
        return closed(types, tenant_id, old, now, partial(held.bind_known, name))

    return close


def closed(types: Mapping[str, ModuleType], tenant_id: str, old: OldTimes, now: int, bind: Bind) -> list[Occurrence]:
    """Return the records of the times of an old rule up to `now` (microseconds), and of its next one.

    `bind` puts the rule under the calendars that it followed.

    The times that passed did not run because of what kept the schedule from it: a pause, a workflow that was not
    deployed, or the change itself. The next one is superseded, unless the new rule names it as well. Of a rule that
    cannot be read nothing is known, and nothing is recorded.
    """
    try:
        config = msgspec.json.encode(with_skips(msgspec.json.decode(old.config), old.skips))
        timer = Timer(*bind(*stored(types, old.type, config)), old.trigger_id, old.anchor)
        return _records(Recorder(tenant_id, timer, now), old)
    except (SchedulerError, ValidationError, ValueError, msgspec.MsgspecError):
        return []


def _records(recorder: Recorder, old: OldTimes) -> list[Occurrence]:
    timer = recorder.timer
    found: list[Occurrence] = []
    at: int | None = old.nominal
    for _ in range(_PORTIONS_MAX):
        if at is None or at > recorder.now:
            break
        settlement = resume(timer, at, recorder.now, "none", old.cause)
        found += recorder.unfired(settlement)
        following = None if settlement.next is None else settlement.next.nominal
        if following == at:
            break  # it waits for its jitter
        at = following
    if at is not None and old.replaced and not old.stays(at):
        found.append(recorder.left_out(noted(timer.at(at), _NOTE), Outcome.SKIPPED, Reason.SUPERSEDED))
    return found
