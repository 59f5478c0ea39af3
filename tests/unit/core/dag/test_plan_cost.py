"""What planning costs per job does not grow with the graph: counted in calls, which no busy machine changes."""

import sys
from collections import deque

import pytest

from workflow_scheduler.core.dag.actions import SUCCEEDED, EndRun, GatherJob, Result, StartJob
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.model.workflow import Definition


def layers(jobs):
    """Return a graph in which every job needs two or three of those shortly before it."""
    described = {
        f"j{n}": {
            "uses": "noop",
            "needs": [f"j{n - back}" for back in (1, 7, 19) if n >= back and (back < 19 or n % 2)],
        }
        for n in range(jobs)
    }
    return compile_graph(Definition.model_validate({"name": "plan", "jobs": described}))


def mapped(**more):
    return compile_graph(Definition.model_validate({"name": "plan", "jobs": {"all": {"uses": "noop", **more}}}))


def calls_per_job(graph, items=0):
    """Return how many calls of functions, also of built-in ones, a whole run makes per job or instance."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        run(graph, items)
    finally:
        sys.setprofile(None)
    return count / (items or len(graph.nodes))


def run(graph, items):
    plan = Progress(graph)
    queue = deque(plan.start())
    while queue:
        action = queue.popleft()
        if isinstance(action, StartJob):
            is_repeated = graph.repeats and action.job < len(graph.nodes)
            queue.extend(plan.expand(action.job, items) if is_repeated else plan.apply(action.job, SUCCEEDED))
        elif isinstance(action, GatherJob):
            queue.extend(plan.apply(action.job, Result(action.status)))
        else:
            assert isinstance(action, EndRun)
            return
    raise AssertionError("the plan never ended")


def test_a_job_costs_the_same_in_a_graph_of_two_thousand():
    graph = layers(2_000)
    assert sum(graph.needs_count) >= 4_900
    assert calls_per_job(graph) <= calls_per_job(layers(100)) * 1.1


@pytest.mark.parametrize(
    "more", [{"map": "${input}"}, {"map": "${input}", "max_parallel": 2}, {"for_each": "${input}"}]
)
def test_an_instance_costs_the_same_in_a_map_of_ten_thousand(more):
    assert calls_per_job(mapped(**more), 10_000) <= calls_per_job(mapped(**more), 100) * 1.1
