"""Compiling definitions: what is refused at save, and the shape of what is not."""

import pytest

from workflow_scheduler.core.dag.graph import JOBS_MAX, compile_graph
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.model.workflow import Definition


def define(jobs, **more):
    return Definition.model_validate({"name": "flow", "jobs": jobs, **more})


def noop(*needs, **more):
    return {"uses": "noop", "needs": list(needs), **more}


def refusal(jobs, types=None, **more):
    with pytest.raises(DefinitionInvalid) as caught:
        compile_graph(define(jobs, **more), types)
    return {error.field: error for error in caught.value.errors}


def test_adjacency_is_by_index_in_the_order_of_the_definition():
    graph = compile_graph(define({"load": noop("extract"), "extract": noop(), "report": noop("load", "extract")}))
    assert [node.id for node in graph.nodes] == ["load", "extract", "report"]
    assert [node.needs for node in graph.nodes] == [(1,), (), (0, 1)]
    assert [node.dependents for node in graph.nodes] == [(2,), (0, 2), ()]
    assert (graph.roots, graph.leaves, graph.needs_count) == ((1,), (2,), (1, 0, 2))


def test_a_cycle_is_shown_with_its_path():
    errors = refusal({"a": noop("b"), "b": noop("a"), "c": noop("b")})
    assert list(errors) == ["jobs.a.needs"]
    assert "a → b → a" in errors["jobs.a.needs"].message


def test_a_long_cycle_is_walked_along_the_needs():
    errors = refusal({"start": noop(), "a": noop("start", "b"), "b": noop("c"), "c": noop("d"), "d": noop("b")})
    assert "b → c → d → b" in errors["jobs.b.needs"].message


def test_a_missing_need_gets_a_suggestion():
    error = refusal({"extract": noop(), "load": noop("extrac")})["jobs.load.needs[0]"]
    assert error.suggestion == "extract"
    assert error.message == "there is no job `extrac`, did you mean `extract`?"


def test_a_job_that_needs_itself():
    assert "needs itself" in refusal({"a": noop("a")})["jobs.a.needs[0]"].message


def test_a_need_that_is_listed_twice():
    assert "twice" in refusal({"a": noop(), "b": noop("a", "a")})["jobs.b.needs[1]"].message


@pytest.mark.parametrize("rule", ["at_least_one_success", "all_failed", "at_least_one_failed"])
def test_a_first_job_whose_rule_looks_at_needs_is_unreachable(rule):
    assert "can never run" in refusal({"a": noop(run_if=rule)})["jobs.a.run_if"].message


@pytest.mark.parametrize("rule", ["all_success", "none_failed", "all_done"])
def test_a_first_job_may_have_the_other_rules(rule):
    assert compile_graph(define({"a": noop(run_if=rule)})).nodes[0].run_if == rule


def test_unknown_job_types_are_refused_when_the_types_are_known():
    assert "did you mean `noop`" in refusal({"a": {"uses": "nop"}}, {"noop": None, "run": None})["jobs.a.uses"].message


def test_a_job_that_does_nothing_and_one_that_does_two_things():
    errors = refusal({"a": {}, "b": {"run": "ls", "uses": "http"}, "c": {"run": "ls", "with": {"command": "ls"}}})
    assert set(errors) == {"jobs.a", "jobs.b.run", "jobs.c.with.command"}


def test_all_errors_come_at_once():
    jobs = {"a": noop("a", "zzz"), "b": {"uses": "noop", "if": "1 +"}, "c": {"uses": "noop", "with": {"x": "${nope}"}}}
    assert set(refusal(jobs)) == {"jobs.a.needs[0]", "jobs.a.needs[1]", "jobs.b.if", "jobs.c.with.x"}


def test_order_index_makes_a_chain_when_nothing_has_needs():
    graph = compile_graph(
        define(
            {"c": noop(order_index=3), "a": noop(order_index=1), "b": noop(order_index=2), "b2": noop(order_index=2)}
        )
    )
    assert [graph.nodes[at].id for at in (1, 2, 3, 0)] == ["a", "b", "b2", "c"]
    assert [node.needs for node in graph.nodes] == [(3,), (), (1,), (2,)]


def test_order_index_is_ignored_where_needs_are_given_or_one_job_lacks_it():
    assert compile_graph(define({"a": noop(order_index=2), "b": noop("a", order_index=1)})).roots == (0,)
    assert compile_graph(define({"a": noop(order_index=2), "b": noop()})).roots == (0, 1)


def test_more_jobs_than_the_limit_are_refused():
    assert "limit of 10000" in refusal({f"j{number}": noop() for number in range(JOBS_MAX + 1)})["jobs"].message


def test_a_graph_of_the_largest_size_compiles():
    jobs = {"j0": noop()} | {f"j{number}": noop(f"j{number - 1}") for number in range(1, 2000)}
    assert compile_graph(define(jobs)).leaves == (1999,)


def test_run_is_short_for_the_command_of_a_run_job():
    node = compile_graph(define({"a": {"run": "echo hi", "with": {"output": "json"}}})).nodes[0]
    assert (node.type, node.config.value) == ("run", {"output": "json", "command": "echo hi"})


def test_environment_of_the_definition_is_overlaid_by_the_job():
    jobs = {"a": noop(env={"B": "job", "C": "c"})}
    assert compile_graph(define(jobs, env={"A": "a", "B": "b"})).nodes[0].env.value == {"A": "a", "B": "job", "C": "c"}


def test_values_in_commands_for_other_programs_than_shells_are_refused():
    python = {"shell": "/usr/bin/python3", "command": "print(${input.x})"}
    assert "POSIX shells" in refusal({"a": {"uses": "run", "with": python}})["jobs.a.with.shell"].message
    assert compile_graph(define({"a": {"uses": "run", "with": {**python, "command": "print(1)"}}}))


def test_an_unsafe_place_in_a_command_is_named_where_the_author_wrote_it():
    assert set(refusal({"a": {"run": "echo `${input.x}`"}})) == {"jobs.a.run"}


def test_nothing_is_filled_into_program_text():
    node = compile_graph(define({"a": {"uses": "python", "with": {"code": "f'${input.x}'"}}})).nodes[0]
    assert node.config.static
    assert node.config.value == {"code": "f'${input.x}'"}


def test_a_workflow_without_jobs_is_a_graph_without_nodes():
    assert compile_graph(define({})).nodes == ()
