"""Events that answer an execution which somebody else started, on an engine elsewhere, instead of starting a run.

Before a run is handed to such an engine, the engine is asked for paused executions of the workflow that are nobody's
here. The run then is the one that the event answers, and is followed like any other. The rules are those of answers:
what never resumes (see pipeline/listening.py) starts as ever, and core/match/adoption.py chooses.
"""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.errors import LateResponse, Rejected
from workflow_scheduler.core.ids import logical_id
from workflow_scheduler.core.match.adoption import LINE, Adopted, adopt, interaction_of
from workflow_scheduler.core.match.replies import read_reply
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import Adoptive, RunSink, Standing, Task
from workflow_scheduler.core.ports.store import Store, Work
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.listening import SILENT, may_resume
from workflow_scheduler.stores.portable import adoptions, claims

_encode = msgspec.json.encode


class Adoption:
    """Looks for such an execution, and lets it go on."""

    def __init__(self, store: Store, sink: RunSink, clock: Clock) -> None:
        """Work on `store`."""
        self._store = store
        self._sink = sink
        self._clock = clock

    async def begin(self, engine: Any, task: Task) -> bool:
        """Let an execution go on in place of a run that was not started yet; return whether there was one.

        Raises:
            SchedulerError: the engine or the store did not answer; it is to be tried again.

        """
        run = task.run
        if not isinstance(engine, Adoptive) or not _may_adopt(task):
            return False
        event = await claims.event_of(self._store, run)
        if event is None or not may_resume(event, resumes=_resumes(task)):
            return False
        standing = await self._strangers(run, await engine.standing(run))
        if not standing:
            return False
        chosen = adopt(read_reply(EventView(event)).ids, standing)
        if not await self._store.transact(_decided(run, chosen)):
            return False
        marked = msgspec.structs.replace(run, external_id=chosen.execution_id)
        return await self._hand(engine, msgspec.structs.replace(task, run=marked), chosen.interaction_id)

    async def go_on(self, engine: Any, task: Task) -> bool:
        """Let the execution that the run is marked with go on, after a call of which nobody knows what became of it.

        Return whether the run is that execution now.

        Raises:
            SchedulerError: nobody knows whether the engine has it; it is to be tried again.

        """
        run = task.run
        found = [one for one in await engine.standing(run) if one.id == run.external_id]
        if not found:
            return await self._gone_on(engine, run)
        event = await claims.event_of(self._store, run)
        named = frozenset() if event is None else read_reply(EventView(event)).ids
        return await self._hand(engine, task, interaction_of(found[0], named))

    async def _hand(self, engine: Any, task: Task, interaction_id: str | None) -> bool:
        run = task.run
        assert run.external_id is not None
        try:
            await engine.hand(run, run.external_id, interaction_id, task.event)
        except LateResponse:
            await self._store.transact(_let_go(run, "it was not paused any more"))
            return False
        except Rejected as error:
            await self._store.transact(_let_go(run, f"the engine refuses the answer: {error.detail}"))
            return False
        await self._taken(run)
        return True

    async def _gone_on(self, engine: Any, run: Run) -> bool:
        """Follow an execution that stands still no more: an earlier call of which nobody knew is what it took.

        One that was cancelled meanwhile, or is gone, took nothing.
        """
        known = await engine.describe(run)
        if known is None or known.status is RunStatus.CANCELLED:
            await self._store.transact(_let_go(run, "it was cancelled before the answer reached it"))
            return False
        await self._taken(run)
        return True

    async def _strangers(self, run: Run, standing: Any) -> list[Standing]:
        """Return the executions that are no run of this service."""
        names = sorted({name for one in standing for name in one.names})
        known = await adoptions.known(self._store, run.tenant_id, names)
        return [one for one in standing if known.isdisjoint(one.names)]

    async def _taken(self, run: Run) -> None:
        now = self._clock.now()
        change = RunChange(
            tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.RUNNING, started_at=now,
            external_id=run.external_id, next_attempt_at=now,
        )  # fmt: skip
        await self._sink.record(changes=(change,))


def _may_adopt(task: Task) -> bool:
    """Return whether a run may be an execution of somebody else, as far as that is known without its event.

    What is run again, replayed or backfilled is meant as a run of its own, as a start by hand is.
    """
    run = task.run
    if run.replay_of or run.rerun_of or run.backfill_id:
        return False
    return run.trigger_type not in SILENT or _resumes(task)


def _resumes(task: Task) -> bool:
    """Return whether the trigger of a run says `resume: true`."""
    run = task.run
    for name, trigger in task.graph.definition.triggers.items():
        if logical_id(run.tenant_id, run.workflow_id, name) == run.trigger_id:
            return bool(trigger.get("resume"))
    return False


def _decided(run: Run, chosen: Adopted) -> Work[bool]:
    """Write down what was chosen and why, in place of what an earlier attempt chose; return whether it is the run's."""
    stored = msgspec.json.decode((yield from adoptions.predicates_of(run)))
    lines = _encode([*(line for line in stored if line["name"] != LINE), *chosen.lines])
    if chosen.execution_id is None:
        yield adoptions.note(run, lines)
        return False
    return (yield from adoptions.mark(run, chosen.execution_id, lines))


def _let_go(run: Run, note: str) -> Work[None]:
    """Take the mark back, and say why in the decision."""
    lines = msgspec.json.decode((yield from adoptions.predicates_of(run)))
    for line in lines:
        if line["name"] == LINE and line["verdict"] is True:
            line.update(verdict=False, note=note)
    yield from adoptions.unmark(run, _encode(lines))
