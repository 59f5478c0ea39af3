"""Jobs that are run more than once: over the items of a list, side by side or one by one, or while a condition holds.

Each run of such a job is an instance with a record of its own, `NAME[PLACE]`, counted from 0.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from workflow_scheduler.core.match.condition import Condition
from workflow_scheduler.core.match.template import Template

_INSTANCE = re.compile(r"^([^\[\]]+)\[(0|[1-9][0-9]{0,8})\]$")


class Repeat(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a job is repeated.

    `items` gives the list of `map` and `for_each`, `condition` is that of `while`. `width` is how many instances are
    under way at once (None: as many as the run has slots), `max_iterations` the bound of a loop, `delay_us` the pause
    between two iterations. With `fail_fast` the first failed instance stops the others.
    """

    kind: Literal["map", "for_each", "while"]
    items: Template | None = None
    condition: Condition | None = None
    width: int | None = None
    max_iterations: int | None = None
    delay_us: int = 0
    fail_fast: bool = False


def instance_id(job_id: str, place: int) -> str:
    """Return the id of the record of an instance."""
    return f"{job_id}[{place}]"


def split_instance(job_id: str) -> tuple[str, int] | None:
    """Return the job and the place of an instance's id; None for the id of a job."""
    match = _INSTANCE.match(job_id)
    return None if match is None else (match[1], int(match[2]))
