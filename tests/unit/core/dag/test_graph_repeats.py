"""What is refused at save about maps, loops and conditions of needs, each with its place and what to do."""

import pytest
from test_graph import define, noop, refusal

from workflow_scheduler.core.dag.actions import EndRun, Result, SkipJob, StartJob
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.model.run import JobStatus


@pytest.mark.parametrize(("more", "field", "text"), [
    ({"while": "true"}, "while", "add `max_iterations`"),
    ({"map": "abc"}, "map", "`abc` is no list"),
    ({"map": "a ${input.x}"}, "map", "write `${…}` alone"),
    ({"map": "${1 + 1}"}, "map", "is int, no list"),
    ({"map": "${input.}"}, "map", "(character"),
    ({"map": "${item.x}"}, "map", "`item` has no value here"),
    ({"map": "${jobs.no.output}"}, "map", "reads job `no`"),
    ({"map": [1], "for_each": [1]}, "for_each", "exclude each other"),
    ({"map": [1], "max_iterations": 2}, "max_iterations", "belongs to `for_each` or `while`"),
    ({"for_each": [1], "max_parallel": 2}, "max_parallel", "belongs to `map`"),
    ({"fail_fast": True}, "fail_fast", "belongs to `map` or `for_each` or `while`"),
    ({"delay": "1s"}, "delay", "belongs to"),
    ({"while": "item > 1", "max_iterations": 2}, "while", "use `iteration.index`"),
    ({"while": "1 + 1", "max_iterations": 2}, "while", "must give true or false"),
    ({"with": {"output": "${item}"}}, "with.output", "`item` has no value in job `a`; give the job a `map`"),
    ({"with": {"output": "${iteration.index}"}}, "with.output", "`iteration` has no value"),
    ({"map": [1], "if": "item > 1"}, "if", "before the items are known"),
])  # fmt: skip
def test_what_cannot_be_repeated_is_refused(more, field, text):
    errors = refusal({"a": noop(**more)})
    assert text in errors[f"jobs.a.{field}"].message


def test_a_condition_of_a_need_and_a_rule_exclude_each_other():
    need = {"job": "a", "condition": "on_failure"}
    errors = refusal({"a": noop(), "b": {"uses": "noop", "needs": [need], "run_if": "all_done"}})
    assert "exclude each other" in errors["jobs.b.needs[0].condition"].message


def test_cycles_and_missing_jobs_are_found_through_needs_with_conditions():
    need = {"job": "b", "condition": "on_failure"}
    assert "a → b → a" in refusal({"a": noop(need), "b": noop("a")})["jobs.a.needs"].message
    assert refusal({"a": noop({"job": "nobody"})})["jobs.a.needs[0]"].message.startswith("there is no job `nobody`")


@pytest.mark.parametrize("condition", ["on_success", "on_failure", "on_completion"])
@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED])
def test_a_job_runs_when_the_condition_of_its_need_holds(condition, status):
    need = {"job": "a", "condition": condition}
    plan = Progress(compile_graph(define({"a": noop(), "b": noop(need)})))
    assert plan.start() == [StartJob(0, 1)]
    first = plan.apply(0, Result(status))[0]
    holds = condition == "on_completion" or (condition == "on_success") == (status is JobStatus.SUCCEEDED)
    assert isinstance(first, StartJob if holds else SkipJob)


def test_conditions_of_several_needs_hold_together():
    needs = [{"job": "a", "condition": "on_failure"}, "b"]
    for a, b, runs in ((JobStatus.FAILED, JobStatus.SUCCEEDED, True), (JobStatus.FAILED, JobStatus.FAILED, False),
                       (JobStatus.SUCCEEDED, JobStatus.SUCCEEDED, False)):  # fmt: skip
        plan = Progress(compile_graph(define({"a": noop(), "b": noop(), "c": noop(*needs)})))
        plan.start()
        plan.apply(0, Result(a))
        actions = plan.apply(1, Result(b))
        assert isinstance(actions[0], StartJob) == runs
        assert runs or isinstance(actions[-1], EndRun)


def test_a_handler_of_a_failure_is_not_stopped_by_fail_fast():
    jobs = {"a": noop(), "undo": noop({"job": "a", "condition": "on_failure"}), "other": noop("a")}
    plan = Progress(compile_graph(define(jobs, fail_fast=True)))
    plan.start()
    actions = plan.apply(0, Result(JobStatus.FAILED))
    assert StartJob(1, 1) in actions
    assert any(isinstance(one, SkipJob) and one.job == 2 for one in actions)
