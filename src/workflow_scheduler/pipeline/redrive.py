"""Redriving dead letters: the same run, under the same id and key, is tried again; it cannot double."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.errors import StoreUnavailable, ValidationFailed
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.recovery import Recovery, keeping
from workflow_scheduler.stores.portable.revival import revive


class Redrive:
    """Puts dead letters back to work."""

    def __init__(self, store: Store, recovery: Recovery, clock: Clock, owner: str) -> None:
        """Hand revived runs to this instance (`owner`)."""
        self._store = store
        self._recovery = recovery
        self._clock = clock
        self._owner = owner

    async def redrive(self, tenant_id: str, dead_letter_id: str, payload: bytes | None = None) -> str:
        """Revive the run of a dead letter, with `payload` as its new input when given; return the run's id.

        Raises:
            NotFound: no such dead letter.
            Conflict: it was redriven or discarded before.
            ValidationFailed: the payload is not JSON.
            StoreUnavailable: nobody knows whether it was revived; if it was, its run goes on soon.

        """
        if payload is not None:
            _check_json(payload)
        letter = {"tenant": tenant_id, "id": dead_letter_id, "now": self._clock.now()}
        kept: list[Run] = []
        try:
            run = await self._store.transact(keeping(revive(letter, self._owner, payload, self._store.dialect), kept))
        except StoreUnavailable:
            self._recovery.doubt((one.tenant_id, one.id, one.fence) for one in kept)
            raise
        if not run.waits:
            await self._recovery.adopt(run)
        return run.id


def _check_json(payload: bytes) -> None:
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValidationFailed(f"The payload is not JSON: {error}") from error
