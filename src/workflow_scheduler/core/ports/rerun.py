"""What the control plane and the pipeline tell each other about reruns."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import Run


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be stored: its event and decision, and the `records` (ids) that it keeps of the run `run.rerun_of`.

    `bearer` is the caller's token, in the clear, for engines to which it is handed on.
    """

    event: Event
    decision: Decision
    run: Run
    records: Sequence[str] = ()
    bearer: str | None = None


class Rerunning(msgspec.Struct, frozen=True, kw_only=True):
    """The run of a rerun: the new one, or with `duplicate` that of an earlier request with the same key."""

    run_id: str
    duplicate: bool = False
