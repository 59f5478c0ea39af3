"""The rerun source: an ended run again, with event, decision, run and the results it keeps in one transaction.

A crash before the commit leaves nothing; after it the run is there with its kept results, and whoever takes it over
does not run those again. A run that must not overlap with others waits for its turn, as one that was fired does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from workflow_scheduler.core.errors import Conflict, StoreUnavailable
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.rerun import Rerun, Rerunning
from workflow_scheduler.core.ports.store import Accepted, Work
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.stores.portable import intake, reruns, turns
from workflow_scheduler.stores.portable.claims import Hold


class Adopts(Protocol):
    """Continues runs that belong to this instance (the recovery)."""

    async def adopt(self, run: Run) -> None:
        """Continue a run from its stored records."""
        ...

    def doubt(self, holds: Sequence[Hold]) -> None:
        """Look later whether these runs became this instance's."""
        ...


class RerunSource:
    """Starts reruns."""

    def __init__(self, inbox: Inbox, adopts: Adopts, vault: Vault) -> None:
        """Write through `inbox`; `adopts` starts what was written; tokens to hand on are sealed by `vault`."""
        self._vault = vault
        self._inbox = inbox
        self._adopts = adopts

    async def start(self, rerun: Rerun) -> Rerunning:
        """Store and start a rerun; return after the durable commit.

        Raises:
            Conflict: the first run is open (again), or its results are gone.
            StoreUnavailable: whether it was stored is not known; what was is started later.

        """
        sealed = self._vault.seal(rerun.bearer.encode(), rerun.event.id) if rerun.bearer else None
        run = replace(rerun.run, owner=self._inbox.owner, bearer=sealed)

        def work(written: list[Accepted]) -> Work[tuple[Rerunning, Run | None]]:
            return _write(replace(rerun, run=run), self._inbox.dialect, written)

        try:
            answer, stored = await self._inbox.carry_out(work)
        except StoreUnavailable:
            self._adopts.doubt([(run.tenant_id, run.id, run.fence)])
            raise
        if stored is not None and not stored.waits:
            await self._adopts.adopt(stored)
        return answer


def _write(rerun: Rerun, dialect: str, written: list[Accepted]) -> Work[tuple[Rerunning, Run | None]]:
    run, decision, first = rerun.run, rerun.decision, rerun.run.rerun_of or ""
    if run.overlap_key is not None:
        key = (run.tenant_id, run.overlap_key)
        yield from turns.lock(dialect, key)
    earlier = yield from intake.put_event(rerun.event)
    if earlier is not None:
        started = yield from reruns.run_of_event(run.tenant_id, earlier)
        if started is None:
            raise Conflict("The rerun that this key started is stored no more.", fix="Use a new Idempotency-Key.")
        return Rerunning(run_id=started, duplicate=True), None
    if not (yield from reruns.is_over(run.tenant_id, first)):
        raise Conflict(f"Run `{first}` has not ended.", fix="Wait for its end, or cancel it.")
    if run.overlap_key is not None:
        busy = yield from turns.running(key, 1)
        if busy or (yield from turns.waiting(key, 1)):
            run = replace(run, owner=None, next_attempt_at=None)
            decision = replace(decision, outcome=Outcome.DEFERRED, reason=Reason.OVERLAP_QUEUED)
    yield from intake.put_run(run)
    yield from intake.put_decision(decision)
    copied = yield from reruns.copy_results(run.tenant_id, first, run.id, rerun.records)
    if copied != len(rerun.records):
        raise Conflict(f"Results of run `{first}` are stored no more.", fix="Rerun it whole.")
    written.append(Accepted(rerun.event, [decision], []))
    return Rerunning(run_id=run.id), run
