"""Resources: named pools with capacities, of a workflow or of its tenant, and what jobs ask of them.

A job waits until every pool that it asks has what it wants, takes all of it at once, and holds it while it runs: not
while it sleeps, is parked, or waits for its next attempt. A pool serves its jobs in the order in which they asked; a
job that holds nothing waits for others only behind older ones, so that no two can wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from workflow_scheduler.core.errors import FieldError, did_you_mean
from workflow_scheduler.core.model.workflow import Definition

_OWN: Final = "w:"
_TENANTS: Final = "t:"


class Claimed(IntEnum):
    """How a claim stands. REFUSED: a pool is there no more, or has become smaller than what is asked of it."""

    REFUSED = -1
    WAITING = 0
    GRANTED = 1


class Want(msgspec.Struct, frozen=True):
    """What a job asks of one pool; `capacity` is None where the tenant's settings say it at the time."""

    pool: str
    amount: int
    capacity: int | None = None


def wants_of(definition: Definition, workflow_id: str, asked: Mapping[str, int]) -> tuple[Want, ...]:
    """Return what a job asks; a name means the workflow's own pool, and the tenant's where it has none of that name."""
    own = definition.resources
    return tuple(
        Want(f"{_OWN}{workflow_id}:{name}", amount, own[name]) if name in own else Want(f"{_TENANTS}{name}", amount)
        for name, amount in sorted(asked.items())
    )


def tenants_pool(pool: str) -> str | None:
    """Return the name of a pool of a tenant; None for a pool of a workflow."""
    return pool.removeprefix(_TENANTS) if pool.startswith(_TENANTS) else None


def told(asked: Mapping[str, int]) -> str:
    """Return what a waiting job waits for, as people read it."""
    return "resources: " + ", ".join(f"{name} ({amount})" for name, amount in sorted(asked.items()))


def check_resources(definition: Definition, errors: list[FieldError]) -> None:
    """Add to `errors` the jobs that ask more of a pool of their workflow than it has: they would wait for ever."""
    for job_id, job in definition.jobs.items():
        for name, amount in job.resources.items():
            capacity = definition.resources.get(name)
            if capacity is not None and amount > capacity:
                message = f"job `{job_id}` asks for {amount} of the pool `{name}`, which has {capacity}"
                remedy = f"ask for less, or raise `resources.{name}`"
                errors.append(FieldError(f"jobs.{job_id}.resources.{name}", f"{message}: {remedy}"))


def outside(definition: Definition) -> list[tuple[str, str, int]]:
    """Return what is asked of pools that the workflow does not have itself: job, pool and amount."""
    return [
        (job_id, name, amount)
        for job_id, job in definition.jobs.items()
        for name, amount in job.resources.items()
        if name not in definition.resources
    ]


def missing(asked: Sequence[tuple[str, str, int]], pools: Mapping[str, int], own: Collection[str]) -> list[FieldError]:
    """Return an error for each job that asks for a pool that its tenant does not have, or for more than it has."""
    errors = []
    for job_id, name, amount in asked:
        field = f"jobs.{job_id}.resources.{name}"
        if name not in pools:
            near = did_you_mean(name, [*own, *pools])
            hint = f", did you mean `{near}`?" if near else ""
            text = f"neither the workflow nor its tenant has a pool `{name}`{hint}"
            errors.append(FieldError(field, text, suggestion=near))
        elif amount > pools[name]:
            text = f"job `{job_id}` asks for {amount} of the tenant's pool `{name}`, which has {pools[name]}"
            errors.append(FieldError(field, text))
    return errors
