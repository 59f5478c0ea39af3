"""What every engine must do.

Subclass EngineConformance with an async fixture `bed` that gives an EngineBed: the engine, and the view from outside
that the suite judges it by.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.model.run import FINAL, Run, RunStatus
from workflow_scheduler.core.ports.engine import Capabilities, Engine, Task


class EngineBed(Protocol):
    """An engine under test. Its runs go on until they are told to end."""

    engine: Engine

    def task(self, number: int) -> Task:
        """Return a run to start; the same number gives the same run."""
        ...

    async def begun(self, run: Run) -> int:
        """Return how many executions of the run were begun."""
        ...

    async def let_end(self, run: Run) -> None:
        """Let the run come to its end with success."""
        ...

    async def end_of(self, run: Run) -> RunStatus:
        """Wait for the run's end and return its status, as the pipeline would learn it."""
        ...


class EngineConformance:
    """The suite."""

    def test_it_says_what_it_can_do(self, bed: Any) -> None:
        """Definitions name it, and the documentation shows a row for it."""
        assert bed.engine.name
        assert isinstance(bed.engine.capabilities, Capabilities)
        assert all(isinstance(value, bool) for value in msgspec.structs.asdict(bed.engine.capabilities).values())

    async def test_a_start_gives_the_engines_name_of_the_run(self, bed: Any) -> None:
        """The id is kept with the run."""
        result = await bed.engine.start(bed.task(1))
        assert result.external_id
        assert await bed.begun(bed.task(1).run) == 1

    async def test_a_second_start_does_not_run_it_twice(self, bed: Any) -> None:
        """A start that is repeated after a crash finds the first one."""
        first = await bed.engine.start(bed.task(1))
        second = await bed.engine.start(bed.task(1))
        assert second.already
        assert second.external_id == first.external_id
        assert await bed.begun(bed.task(1).run) == 1

    async def test_starts_at_the_same_time_run_it_once(self, bed: Any) -> None:
        """Two instances may hand the same run over."""
        await asyncio.gather(*(bed.engine.start(bed.task(1)) for _ in range(10)))
        assert await bed.begun(bed.task(1).run) == 1

    async def test_many_runs_are_kept_apart(self, bed: Any) -> None:
        """Each run has its own execution and its own id."""
        results = await asyncio.gather(*(bed.engine.start(bed.task(number)) for number in range(50)))
        assert len({result.external_id for result in results}) == 50  # noqa: PLR2004 - as many as were started
        assert [await bed.begun(bed.task(number).run) for number in range(50)] == [1] * 50

    async def test_an_unknown_run_is_none(self, bed: Any) -> None:
        """None is what allows another start, so it must mean that there is none."""
        assert await bed.engine.describe(bed.task(1).run) is None

    async def test_a_started_run_is_found_by_its_run_id_alone(self, bed: Any) -> None:
        """After an unknown outcome the engine's own id is not known."""
        run = bed.task(1).run
        await bed.engine.start(bed.task(1))
        found = await bed.engine.describe(run)
        assert found is not None
        assert (found.tenant_id, found.run_id, found.fence) == (run.tenant_id, run.id, run.fence)
        assert found.status not in FINAL

    async def test_the_end_is_learned(self, bed: Any) -> None:
        """Success arrives where the pipeline looks for it."""
        run = bed.task(1).run
        await bed.engine.start(bed.task(1))
        await bed.let_end(run)
        assert await bed.end_of(run) is RunStatus.SUCCEEDED

    async def test_cancel(self, bed: Any) -> None:
        """A run that is cancelled ends as cancelled; cancelling again changes nothing."""
        run = bed.task(1).run
        await bed.engine.start(bed.task(1))
        await bed.engine.cancel(run)
        assert await bed.end_of(run) is RunStatus.CANCELLED
        await bed.engine.cancel(run)

    async def test_cancel_of_what_is_not_there_is_no_error(self, bed: Any) -> None:
        """The run may have ended, or never have arrived."""
        await bed.engine.cancel(bed.task(1).run)
        assert await bed.begun(bed.task(1).run) == 0

    async def test_a_run_that_has_ended_cannot_be_cancelled(self, bed: Any) -> None:
        """The first end stays."""
        run = bed.task(1).run
        await bed.engine.start(bed.task(1))
        await bed.let_end(run)
        assert await bed.end_of(run) is RunStatus.SUCCEEDED
        await bed.engine.cancel(run)
        assert await bed.end_of(run) is RunStatus.SUCCEEDED

    async def test_close_may_be_called_twice(self, bed: Any) -> None:
        """Shutting down is not the place for surprises."""
        await bed.engine.start(bed.task(1))
        await bed.engine.close()
        await bed.engine.close()
