"""Needs with a condition of their own: `needs: [{job: a, condition: on_failure}]`.

Such a need counts as succeeded where its condition holds, and as skipped where it does not, so that the job runs when
every condition holds, and counts as skipped itself otherwise:

=============  =========  ======  =======  =======
condition      succeeded  failed  skipped  allowed
=============  =========  ======  =======  =======
on_success     holds      failed  skipped  holds
on_failure     skipped    holds   skipped  holds
on_completion  holds      holds   skipped  holds
=============  =========  ======  =======  =======

The columns are the ends of the needed job (`core.dag.run_if`). A skipped job has not completed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.model.workflow import Job, Need

GOOD, FAILED, SKIPPED, ALLOWED = range(4)
EdgeRules: TypeAlias = Mapping[tuple[int, int], tuple[int, int, int, int]]
COUNTS: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "on_failure": (SKIPPED, GOOD, SKIPPED, GOOD),
    "on_completion": (GOOD, GOOD, SKIPPED, GOOD),
}


def edge_rules(jobs: Mapping[str, Job], index: Mapping[str, int], errors: list[FieldError]) -> EdgeRules:
    """Return how ends count for needs that ask for more than success, by (needed job, job)."""
    rules: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for job_id, job in jobs.items():
        for place, need in enumerate(job.needs):
            if not isinstance(need, Need):
                continue
            if job.run_if != "all_success":
                message = f"a `condition` of its own and `run_if: {job.run_if}` exclude each other; keep one of them"
                errors.append(FieldError(f"jobs.{job_id}.needs[{place}].condition", message))
            elif need.condition in COUNTS and need.job in index:
                rules[index[need.job], index[job_id]] = COUNTS[need.condition]
    return rules
