"""Compiling `map`, `for_each` and `while` of a job, and telling what is wrong with them."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.dag.repeat import Repeat
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.match import template
from workflow_scheduler.core.match.condition import compile_expression
from workflow_scheduler.core.match.template import Use
from workflow_scheduler.core.model.workflow import Job

_SECOND_US = 1_000_000
_WANTS_LIST = "it wants a list: write `${…}` alone, for example `${jobs.extract.output.files}`, or a list"
_OWN = ("item", "iteration")


def compile_repeat(job_id: str, job: Job, errors: list[FieldError]) -> tuple[Repeat | None, list[Use]]:
    """Return how the job is repeated, None when it is not, and what its expressions read."""
    field = f"jobs.{job_id}"
    kinds = [kind for kind in ("map", "for_each", "while") if _given(job, kind) is not None]
    if len(kinds) > 1:
        errors.append(
            FieldError(f"{field}.{kinds[1]}", f"`{kinds[0]}` and `{kinds[1]}` exclude each other; keep one of them")
        )
        return None, []
    _check_settings(field, job, kinds[0] if kinds else None, errors)
    if not kinds:
        return None, []
    if kinds[0] == "while":
        return _while(field, job, errors)
    return _over_list(field, job, kinds[0], errors)


def check_own_variables(job_id: str, job: Job, uses: list[Use], errors: list[FieldError]) -> None:
    """Refuse `item` and `iteration` where there are none; an `if` is judged once, before there are any."""
    has_item = job.map is not None or job.for_each is not None
    for use in uses:
        for path in use.paths:
            if path[0] not in _OWN:
                continue
            if use.field.endswith(".if"):
                message = f"`{path[0]}` has no value in an `if`, which is judged before the items are known"
                errors.append(FieldError(use.field, f"{message}; leave items out of the list instead"))
                continue
            if has_item or (path[0] == "iteration" and job.loop_while is not None):
                continue
            fix = (
                "use `iteration.index` and `iteration.previous`"
                if job.loop_while is not None
                else "give the job a `map`"
            )
            errors.append(FieldError(use.field, f"`{path[0]}` has no value in job `{job_id}`; {fix}"))


def _given(job: Job, kind: str) -> Any:
    return job.loop_while if kind == "while" else getattr(job, kind)


def _check_settings(field: str, job: Job, kind: str | None, errors: list[FieldError]) -> None:
    """Refuse settings of another kind of repetition, and a loop without a bound."""
    allowed = {
        "max_parallel": ("map",),
        "max_iterations": ("for_each", "while"),
        "delay": ("for_each", "while"),
        "fail_fast": ("map", "for_each", "while"),
    }
    for name, kinds in allowed.items():
        if getattr(job, name) is not None and kind not in kinds:
            wanted = " or ".join(f"`{one}`" for one in kinds)
            errors.append(FieldError(f"{field}.{name}", f"`{name}` belongs to {wanted}; add that, or remove it"))
    if kind == "while" and job.max_iterations is None:
        message = "a loop needs a bound: add `max_iterations`, the greatest number of iterations there may be"
        errors.append(FieldError(f"{field}.while", message))


def _while(field: str, job: Job, errors: list[FieldError]) -> tuple[Repeat | None, list[Use]]:
    try:
        condition = template.check(job.loop_while or "", f"{field}.while")
    except ValidationFailed as error:
        errors.extend(error.errors)
        return None, []
    repeat = Repeat(
        kind="while",
        condition=condition,
        width=1,
        max_iterations=job.max_iterations,
        delay_us=_delay(job),
        fail_fast=job.fail_fast is not False,
    )
    if any(path[0] == "item" for path in condition.expression.paths):
        errors.append(FieldError(f"{field}.while", "`item` has no value in a `while`; use `iteration.index`"))
    return repeat, [Use(f"{field}.while", condition.expression.paths)]


def _over_list(field: str, job: Job, kind: str, errors: list[FieldError]) -> tuple[Repeat | None, list[Use]]:
    value, place = _given(job, kind), f"{field}.{kind}"
    try:
        items = template.parse(value, place)
        if isinstance(value, str):
            text = value.strip()
            inner = text[2:-1] if text.startswith("${") and text.endswith("}") else ""
            if items.static or len(items.uses) != 1 or not inner:
                errors.append(FieldError(place, f"`{value[:100]}` is no list; {_WANTS_LIST}"))
                return None, []
            known = compile_expression(inner.strip()).kind.lower()
            if known != "dyn" and not known.startswith("list"):
                errors.append(FieldError(place, f"`{value[:100]}` is {known}, no list; {_WANTS_LIST}"))
    except ValidationFailed as error:
        errors.extend(FieldError(place, one.message, suggestion=one.suggestion) for one in error.errors)
        return None, []
    for use in items.uses:
        errors.extend(
            FieldError(place, f"`{path[0]}` has no value here: the list is found before its items are")
            for path in use.paths
            if path[0] in _OWN
        )
    is_map = kind == "map"
    repeat = Repeat(
        kind="map" if is_map else "for_each",
        items=items,
        width=job.max_parallel if is_map else 1,
        max_iterations=job.max_iterations,
        delay_us=_delay(job),
        fail_fast=(job.fail_fast is True) if is_map else job.fail_fast is not False,
    )
    return repeat, list(items.uses)


def _delay(job: Job) -> int:
    return round((job.delay or 0.0) * _SECOND_US)
