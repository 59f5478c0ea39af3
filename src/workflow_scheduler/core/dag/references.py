"""What expressions read of other jobs: only jobs that have ended for certain when the reader starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflow_scheduler.core.errors import FieldError, did_you_mean
from workflow_scheduler.core.match.template import Use

_ROOTS = frozenset({"jobs", "steps"})


def check_references(
    index: Mapping[str, int],
    needs: Sequence[tuple[int, ...]],
    uses: Sequence[tuple[Use, ...]],
    errors: list[FieldError],
) -> None:
    """Add an error for every expression that reads a job which does not exist or which the reader does not wait for.

    `index` holds the places of the jobs; `needs` and `uses` are by place. The graph must be free of cycles. Whatever
    stands before a job in the graph, at any distance, has ended when it starts.
    """
    far = []
    for place, own in enumerate(uses):
        for field, name in _read(own):
            if name not in index:
                near = did_you_mean(name, index)
                hint = f", did you mean `{near}`?" if near else ""
                errors.append(FieldError(field, f"it reads job `{name}`, which does not exist{hint}", suggestion=near))
            elif index[name] not in needs[place]:
                far.append((place, field, name))
    before = _before(needs) if far else []
    for place, field, name in far:
        if not before[place] >> index[name] & 1:
            message = f"it reads job `{name}`, which may not have ended by then; add `{name}` to `needs`"
            errors.append(FieldError(field, message))


def _read(uses: Sequence[Use]) -> list[tuple[str, str]]:
    """Return (field, job) for every job that the expressions of one job read."""
    found = [(use.field, path[1]) for use in uses for path in use.paths if len(path) > 1 and path[0] in _ROOTS]
    return list(dict.fromkeys(found))


def _before(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """Return for every job the set of all jobs before it, as the bits of a number: 10,000 jobs take a moment only."""
    before = [0] * len(needs)
    dependents: list[list[int]] = [[] for _ in needs]
    left = [len(needed) for needed in needs]
    for place, needed in enumerate(needs):
        for one in needed:
            dependents[one].append(place)
    ready = [place for place, count in enumerate(left) if count == 0]
    for place in ready:
        for dependent in dependents[place]:
            before[dependent] |= before[place] | 1 << place
            left[dependent] -= 1
            if left[dependent] == 0:
                ready.append(dependent)
    return before
