"""Dead letters: list, show, edit, redrive and discard what was given up on."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.sentences import reason_text
from workflow_scheduler.services.shapes import instant, malformed_shape, shaped
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter, DeadLetterRepository, StoredDeadLetter
from workflow_scheduler.stores.portable.rows import Malformed, quarantine

REDRIVE_MAX = 1_000
COUNT_MAX = 100_000
_PORTION = 500


class Redrives(Protocol):
    """Puts dead letters back to work (pipeline.redrive)."""

    async def redrive(self, tenant_id: str, dead_letter_id: str, payload: bytes | None = None) -> str:
        """Revive what the dead letter stands for, under its own key; return the run's or event's id."""
        ...


def dead_letter_shape(letter: StoredDeadLetter) -> dict[str, Any]:
    """Return a dead letter as the API shows it. A payload that is not JSON is shown as text."""
    try:
        payload = msgspec.json.decode(letter.payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        payload = letter.payload.decode("utf-8", "replace")
    return {
        "id": letter.id,
        "kind": letter.kind,
        "status": letter.status,
        "reason": letter.reason,
        "explanation": reason_text(letter.reason),
        "detail": letter.detail,
        "event_id": letter.event_id,
        "run_id": letter.run_id,
        "trigger_id": letter.trigger_id,
        "workflow_id": letter.workflow_id,
        "payload": payload,
        "attempts": letter.attempts,
        "created_at": instant(letter.created_at),
        "settled_at": instant(letter.settled_at),
    }


class DeadLetters:
    """What can be asked and done about dead letters."""

    def __init__(self, store: Store, clock: Clock, redrive: Redrives) -> None:
        """Read from `store`; put back to work through `redrive`."""
        self._store = store
        self._clock = clock
        self._redrive = redrive
        self._letters = DeadLetterRepository(store)

    async def page(
        self,
        principal: Principal,
        wanted: DeadLetterFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return dead letters, the newest first.

        A page may hold fewer than `limit` items while `next` is set; follow it to the end.
        """
        tenant, now = principal.tenant_id, self._clock.now()
        rows, after = await self._letters.page(tenant, wanted or DeadLetterFilter(), limit, cursor, now)
        items, broken = shaped(rows, "dead_letters", lambda row: row.id, dead_letter_shape)
        await quarantine(self._store, tenant, broken, now)
        return Page(items, after)

    async def show(self, principal: Principal, dead_letter_id: str) -> dict[str, Any]:
        """Return one dead letter with its payload and cause.

        Raises:
            NotFound: the tenant has no such dead letter.

        """
        row = await self._letters.get(principal.tenant_id, dead_letter_id, self._clock.now())
        return malformed_shape(row) if isinstance(row, Malformed) else dead_letter_shape(row)

    async def redrive(self, principal: Principal, dead_letter_id: str, payload: bytes | None = None) -> dict[str, Any]:
        """Put one dead letter back to work under its own key, with `payload` (JSON) as its new input when given.

        Raises:
            NotFound: the tenant has no such dead letter.
            Conflict: it was redriven or discarded before.
            ValidationFailed: the payload is not JSON.

        """
        await self._letters.get(principal.tenant_id, dead_letter_id, self._clock.now())
        revived = await self._redrive.redrive(principal.tenant_id, dead_letter_id, payload)
        return {**(await self.show(principal, dead_letter_id)), "revived_id": revived, "edited": payload is not None}

    async def redrive_all(
        self, principal: Principal, wanted: DeadLetterFilter, *, dry_run: bool, limit: int = REDRIVE_MAX
    ) -> dict[str, Any]:
        """Redrive every dead letter that `wanted` names, or only count them.

        At most `limit` (1,000) are redriven by one call; `more` says whether some are left. One that fails does not
        stop the others and is listed.
        """
        if dry_run:
            return await self._count(principal.tenant_id, wanted)
        redriven: list[dict[str, str]] = []
        failed: list[dict[str, Any]] = []
        letters, more = await self._collect(principal.tenant_id, wanted, min(limit, REDRIVE_MAX))
        for letter in letters:
            if isinstance(letter, Malformed):
                failed.append(malformed_shape(letter))
                continue
            try:
                revived = await self._redrive.redrive(principal.tenant_id, letter.id)
                redriven.append({"id": letter.id, "revived_id": revived})
            except SchedulerError as error:
                failed.append({"id": letter.id, "error": {"code": error.code, "message": error.detail}})
        return {
            "dry_run": False,
            "count": len(letters),
            "redriven": len(redriven),
            "items": redriven,
            "failed": failed,
            "more": more,
        }

    async def _collect(
        self, tenant_id: str, wanted: DeadLetterFilter, limit: int
    ) -> tuple[list[StoredDeadLetter | Malformed], bool]:
        """Return up to `limit` dead letters, and whether there are more."""
        found: list[StoredDeadLetter | Malformed] = []
        cursor: str | None = None
        while True:
            portion = min(_PORTION, limit - len(found))
            rows, cursor = await self._letters.page(tenant_id, wanted, portion, cursor, self._clock.now())
            found += rows
            if cursor is None or len(found) >= limit:
                return found, cursor is not None

    async def _count(self, tenant_id: str, wanted: DeadLetterFilter) -> dict[str, Any]:
        letters, more = await self._collect(tenant_id, wanted, COUNT_MAX)
        readable = [letter for letter in letters if isinstance(letter, StoredDeadLetter)]
        return {
            "dry_run": True,
            "count": len(letters),
            "by_reason": dict(Counter(letter.reason for letter in readable)),
            "by_kind": dict(Counter(letter.kind for letter in readable)),
            "more": more,
        }

    async def discard(self, principal: Principal, dead_letter_id: str) -> dict[str, Any]:
        """Settle a dead letter without doing it; it stays listed under the status `discarded`.

        Raises:
            NotFound: the tenant has no such dead letter.
            Conflict: it was redriven or discarded before.

        """
        await self._letters.settle(principal.tenant_id, dead_letter_id, "discarded", self._clock.now())
        return await self.show(principal, dead_letter_id)
