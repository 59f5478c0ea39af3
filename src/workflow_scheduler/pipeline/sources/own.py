"""Events that the service makes of its own rows: what waits in a table, and whose time has come."""

from __future__ import annotations

import structlog

from workflow_scheduler.core.errors import SchedulerError, Unavailable
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.pipeline.inbox import Inbox

_log = structlog.get_logger(__name__)


async def accept_own(inbox: Inbox, event: Event) -> None:
    """Accept an event; one that no store can keep is logged and left out, so that it holds up no other.

    Raises:
        Unavailable: the store or the inbox takes nothing now.

    """
    try:
        await inbox.accept(event)
    except Unavailable:
        raise
    except SchedulerError as error:
        _log.warning("event.refused", type=event.type, trigger_id=event.target_trigger_id, error=error.detail)
