"""Keeping the audit log: which requests are recorded, and the wrapper that records them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from workflow_scheduler.api.idempotency import KEYED_SUFFIXES
from workflow_scheduler.api.roles import changes_nothing
from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.services.audit import Audit

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


def is_recorded(path: str) -> bool:
    """Return whether a writing request is recorded; what starts runs is not, since its event names who sent it."""
    return not path.endswith(KEYED_SUFFIXES) and not changes_nothing(path)


async def recorded(
    audit: Audit, principal: Principal, request: tuple[str, str], call: Callable[[Send], Awaitable[None]], send: Send
) -> None:
    """Carry out `call` for `request` (method and path) between the two writes of its audit row.

    Raises:
        StoreUnavailable: the row cannot be stored; nothing was done.

    """
    entry = await audit.begin(principal, *request)

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            await _end(audit, principal, entry, message["status"])
        await send(message)

    try:
        await call(noting)
    except SchedulerError as error:
        await _end(audit, principal, entry, error.status)
        raise


async def _end(audit: Audit, principal: Principal, entry: str, status: int) -> None:
    with suppress(StoreUnavailable):  # the work is done or refused already; only its status would not be known
        await audit.end(principal, entry, status)
