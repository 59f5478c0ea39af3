"""What the planner alone costs per job, in small graphs and in large ones: no service, no store, no clock."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import Any

from workflow_scheduler.core.dag.actions import SUCCEEDED, EndRun, GatherJob, Result, StartJob
from workflow_scheduler.core.dag.graph import Graph, compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.model.workflow import Definition

ROUNDS = 5


def layered(jobs: int, edges: int) -> Graph:
    """Return a graph of so many jobs and edges, each job needing some of the hundred before it."""
    draw = random.Random(1)  # noqa: S311 - the same graph each time
    needs: list[set[int]] = [set() for _ in range(jobs)]
    while sum(map(len, needs)) < edges:
        place = draw.randrange(1, jobs)
        needs[place].add(draw.randrange(max(0, place - 100), place))
    described = {
        f"j{n}": {"uses": "noop", "needs": [f"j{need}" for need in sorted(own)]} for n, own in enumerate(needs)
    }
    return compile_graph(_definition(described))


def mapped() -> Graph:
    """Return a graph of one mapped job."""
    return compile_graph(_definition({"all": {"uses": "noop", "map": "${input}"}}))


def _definition(jobs: dict[str, Any]) -> Definition:
    return Definition.model_validate(
        {"version": 1, "name": "plan", "jobs": jobs, "concurrency": {"max_parallel_jobs": 20}}
    )


def microseconds_per_job(graph: Graph, items: int = 0) -> float:
    """Return the least processor time per job or instance over several runs, every job succeeding at once."""
    return min(_run(graph, items) for _ in range(ROUNDS)) * 1e6 / (items or len(graph.nodes))


def _run(graph: Graph, items: int) -> float:
    began = time.process_time()
    plan = Progress(graph)
    queue = deque(plan.start())
    while queue:
        action = queue.popleft()
        if isinstance(action, StartJob):
            is_repeated = graph.repeats and action.job < len(graph.nodes)
            queue.extend(plan.expand(action.job, items) if is_repeated else plan.apply(action.job, SUCCEEDED))
        elif isinstance(action, GatherJob):
            queue.extend(plan.apply(action.job, Result(action.status)))
        elif isinstance(action, EndRun):
            return time.process_time() - began
    raise SystemExit("the plan never ended")


def main() -> None:
    """Print the figures alone."""
    print("planning, 20 jobs and 50 edges, µs per job:", microseconds_per_job(layered(20, 50)))
    print("planning, 2,000 jobs and 5,000 edges, µs per job:", microseconds_per_job(layered(2_000, 5_000)))
    print("planning, map of 100 items, µs per instance:", microseconds_per_job(mapped(), 100))
    print("planning, map of 10,000 items, µs per instance:", microseconds_per_job(mapped(), 10_000))


if __name__ == "__main__":
    main()
