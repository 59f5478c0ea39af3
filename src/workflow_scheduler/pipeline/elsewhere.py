"""Runs on engines elsewhere that stand still until somebody answers: each question is a wait here, like any other.

A wait is answered as ever: by API, link, command line, or an event. Its answer stands in the store until the engine has
taken it, so that a crash or an engine that is away costs time and nothing else. The engine is the judge: an answer that
it refuses leaves the question open, one that comes too late changes nothing, and both are told in the run's log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from workflow_scheduler.core.errors import LateResponse, Rejected, SchedulerError
from workflow_scheduler.core.model.run import LogLine, Run, RunStatus, Wake
from workflow_scheduler.core.model.wait import Channel, Wait, WaitRequest, WaitStatus
from workflow_scheduler.core.ports.engine import Answered, Engine, Logged, Pause, Reply, RunSink
from workflow_scheduler.core.ports.store import Store, Work
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.asking import Asking
from workflow_scheduler.stores.portable import events, waits, wakes

LOG_SECONDS = 3.0  # Prefect and others write the last lines after the end
_NAMELESS = "pause-"
_log = structlog.get_logger(__name__)


class _Output(msgspec.Struct):
    """The answer as it is kept with its wait."""

    approved: bool | None = None
    answer: Any = None
    comment: str | None = None
    by: str | None = None


class Elsewhere:
    """Opens and closes such waits, and carries answers to engines."""

    def __init__(self, store: Store, sink: RunSink, clock: Clock) -> None:
        """Work on `store`; `asking` is set by the composition root."""
        self._store = store
        self._sink = sink
        self._clock = clock
        self.asking: Asking | None = None

    async def attend(self, engine: Engine, run: Run, status: RunStatus) -> bool:
        """Do what is to be done for a run whose engine says `status`; return whether it was told to go on.

        Raises:
            SchedulerError: the engine or the store did not answer; it is to be looked at again.

        """
        if not isinstance(engine, Answered) or self.asking is None:
            return False
        if status is not RunStatus.PAUSED:
            if run.status is RunStatus.PAUSED:
                await self.forget(run)
            return False
        pauses = await engine.pauses(run)
        known = await waits.of_run(self._store, run.tenant_id, run.id)
        told = False
        current: set[str] = set()
        for pause in pauses:
            wait, wake = await self._known(run, pause, known)
            if wait is None:
                key = pause.key or f"{_NAMELESS}{len(known) + 1}"
                await self.asking.ask(run, key, _request(pause))
                current.add(key)
                continue
            current.add(wait.job_id)
            if wake is not None:
                told = await self._tell(engine, run, pause, wait, wake) or told
        for wait in known:
            if wait.status is WaitStatus.OPEN and wait.job_id not in current:
                await self.asking.withdraw(run, wait.name)
        return told

    async def forget(self, run: Run) -> None:
        """Call off what a run asks, which goes on without an answer from here, or has ended."""
        if self.asking is None:
            return
        for wait in await waits.of_run(self._store, run.tenant_id, run.id):
            if wait.status is WaitStatus.OPEN:
                await self.asking.withdraw(run, wait.name)

    async def keep_log(self, engine: Engine, run: Run) -> None:
        """Fetch what a run has printed, a moment after its end; without it the run is whole as well."""
        if not isinstance(engine, Logged):
            return
        await self._clock.sleep(LOG_SECONDS)
        try:
            self._sink.note(logs=await engine.logs(run))
        except SchedulerError as error:
            _log.warning("elsewhere.no_log", run=run.id, error=error.detail)

    async def _known(self, run: Run, pause: Pause, known: Sequence[Wait]) -> tuple[Wait | None, Wake | None]:
        """Return the wait that was opened for a pause, and the answer that the engine has not been told yet."""
        for wait in reversed(known):
            fits = wait.job_id == pause.key if pause.key else wait.job_id.startswith(_NAMELESS)
            if not fits or wait.status is WaitStatus.CANCELLED:
                continue
            wake = None
            if wait.status is not WaitStatus.OPEN:
                wake = await wakes.told(self._store, run.tenant_id, run.id, wait.job_id, wait.name)
            if pause.key or wake is not None or wait.status is WaitStatus.OPEN:
                return wait, wake
            return None, None  # the engine went on since, and stands still again
        return None, None

    async def _tell(self, engine: Answered, run: Run, pause: Pause, wait: Wait, wake: Wake) -> bool:
        reply: Reply = await self._store.transact(_reply(wait, wake))
        try:
            await engine.resume(run, pause, reply)
        except LateResponse as error:
            self._say(run, wait, f"the answer of {reply.by} came too late: {error.detail}")
            await self._store.transact(wakes.remove(wake))
            return False
        except Rejected as error:
            self._say(run, wait, f"the engine refuses the answer of {reply.by}: {error.detail}")
            await self._store.transact(_reopen(wait, wake))
            return False
        await self._store.transact(wakes.remove(wake))
        return True

    def _say(self, run: Run, wait: Wait, text: str) -> None:
        now = self._clock.now()
        line = LogLine(
            tenant_id=run.tenant_id, run_id=run.id, job_id=wait.job_id, attempt=1, seq=now, at=now, stream="system",
            line=text,
        )  # fmt: skip
        self._sink.note(logs=[line])


def _request(pause: Pause) -> WaitRequest:
    return WaitRequest(ask=pause.ask, form=pause.form, decides=pause.decides, channel=Channel())


def _reply(wait: Wait, wake: Wake) -> Work[Reply]:
    output = _Output() if wake.output is None else msgspec.json.decode(wake.output, type=_Output)
    answers = yield from waits.answers_of(wait.tenant_id, wait.id)
    data = None
    if answers and answers[-1].event_id is not None:
        event = yield from events.stored(wait.tenant_id, answers[-1].event_id)
        data = None if event is None else msgspec.json.decode(event.data)
    return Reply(
        approved=output.approved, answer=output.answer, comment=output.comment, by=output.by, event=data
    )  # fmt: skip


def _reopen(wait: Wait, wake: Wake) -> Work[None]:
    """Forget an answer that the engine does not take; the question is asked again at the next look."""
    yield from wakes.remove(wake)
    yield from waits.void(wait)
