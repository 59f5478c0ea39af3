"""Expressions may read only jobs that have ended for certain."""

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.model.workflow import Definition


def errors_of(jobs, **more):
    try:
        compile_graph(Definition.model_validate({"name": "w", "jobs": jobs, **more}))
    except DefinitionInvalid as error:
        return [(one.field, one.message, one.suggestion) for one in error.errors]
    return []


@pytest.mark.parametrize("text", ["echo ${jobs.a.output}", "echo ${steps.a.status}", 'echo ${jobs["a"].output}'])
def test_a_job_may_read_what_it_needs(text):
    assert errors_of({"a": {"run": "true"}, "b": {"needs": ["a"], "run": text}}) == []


def test_a_job_may_read_what_stands_before_it_at_any_distance():
    jobs = {"c": {"needs": ["b"], "run": "echo ${jobs.a.output}"}, "b": {"needs": ["a"], "run": "x"}, "a": {"run": "x"}}
    assert errors_of(jobs) == []


def test_an_order_counts_as_needs():
    jobs = {"b": {"run": "echo ${jobs.a.output}", "order_index": 2}, "a": {"run": "x", "order_index": 1}}
    assert errors_of(jobs) == []
    jobs["b"]["order_index"] = 0
    assert [field for field, _, _ in errors_of(jobs)] == ["jobs.b.run"]


def test_a_job_that_does_not_exist_is_refused_with_a_suggestion():
    jobs = {
        "extract": {"run": "x"},
        "b": {"needs": ["extract"], "uses": "noop", "with": {"n": "${jobs.extrct.output}"}},
    }
    message = "it reads job `extrct`, which does not exist, did you mean `extract`?"
    assert errors_of(jobs) == [("jobs.b.with.n", message, "extract")]


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"run": "echo ${jobs.a.output}"}, "jobs.b.run"),
        ({"run": "x", "if": "jobs.a.output > 1"}, "jobs.b.if"),
        ({"run": "x", "env": {"N": "${jobs.a.output}"}}, "jobs.b.env.N"),
    ],
)
def test_a_job_beside_it_may_not_have_ended(job, field):
    message = "it reads job `a`, which may not have ended by then; add `a` to `needs`"
    assert errors_of({"a": {"run": "x"}, "b": job}) == [(field, message, None)]


def test_a_job_cannot_read_itself():
    assert [field for field, _, _ in errors_of({"a": {"run": "echo ${jobs.a.output}"}})] == ["jobs.a.run"]


def test_program_text_and_escaped_marks_read_nothing():
    jobs = {"a": {"uses": "python", "with": {"code": "x = '${jobs.zz}'"}}, "b": {"run": "echo $${jobs.zz}"}}
    assert errors_of(jobs) == []


def test_many_jobs_that_read_far_back_are_checked_in_a_moment():
    jobs = {"j0": {"uses": "noop"}}
    for place in range(1, 3_000):
        jobs[f"j{place}"] = {"needs": [f"j{place - 1}"], "uses": "noop", "with": {"x": "${jobs.j0.output}"}}
    assert errors_of(jobs) == []
