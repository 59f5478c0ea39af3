"""The outline of a graph: what the planner needs of it, as plain JSON in the input of the Temporal workflow.

It holds no expression, configuration or environment: those are read by the worker that runs a job. A workflow that was
started stays with its outline, so what is deployed later does not change how it is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_scheduler.core.dag.graph import Graph, Node
from workflow_scheduler.core.dag.repeat import Repeat
from workflow_scheduler.core.match import template
from workflow_scheduler.core.model.workflow import Definition, Retry


def outline_of(graph: Graph, job_types: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outline; jobs whose type is inline are marked, so that they need no activity task of their own."""
    return {
        "max_parallel": graph.max_parallel,
        "fail_fast": graph.fail_fast,
        "timeout_us": graph.timeout_us,
        "leaves": list(graph.leaves),
        "edges": [[*edge, list(counts)] for edge, counts in graph.edges.items()],
        "nodes": [_node(node, job_types.get(node.type)) for node in graph.nodes],
    }


def _node(node: Node, module: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"id": node.id}
    if node.needs:
        found["needs"] = list(node.needs)
    if node.run_if != "all_success":
        found["run_if"] = node.run_if
    if not node.wants_success:
        found["wants_success"] = False
    if node.retry != Retry():
        found["retry"] = node.retry.model_dump(mode="json", exclude_defaults=True)
    if node.timeout_us is not None:
        found["timeout_us"] = node.timeout_us
    if node.allow_failure:
        found["allow_failure"] = True
    if module is not None and module.inline:
        found["inline"] = True
    if node.repeat is not None:
        repeat = node.repeat
        found["repeat"] = {
            "kind": repeat.kind,
            "width": repeat.width,
            "max_iterations": repeat.max_iterations,
            "delay_us": repeat.delay_us,
            "fail_fast": repeat.fail_fast,
        }
    return found


def graph_of(outline: Mapping[str, Any]) -> Graph:
    """Return the graph that the planner follows; its nodes have no expressions."""
    listed = outline["nodes"]
    dependents: list[list[int]] = [[] for _ in listed]
    for place, one in enumerate(listed):
        for needed in one.get("needs", ()):
            dependents[needed].append(place)
    nodes = tuple(
        Node(
            index=place,
            id=one["id"],
            type="",
            needs=tuple(one.get("needs", ())),
            dependents=tuple(dependents[place]),
            run_if=one.get("run_if", "all_success"),
            wants_success=one.get("wants_success", True),
            condition=None,
            config=template.EMPTY,
            env=template.EMPTY,
            retry=Retry.model_validate(one.get("retry", {})),
            timeout_us=one.get("timeout_us"),
            allow_failure=one.get("allow_failure", False),
            repeat=Repeat(**one["repeat"]) if "repeat" in one else None,
        )
        for place, one in enumerate(listed)
    )
    return Graph(
        definition=Definition(name="outline"),
        nodes=nodes,
        index={node.id: node.index for node in nodes},
        roots=tuple(node.index for node in nodes if not node.needs),
        leaves=tuple(outline["leaves"]),
        needs_count=tuple(len(node.needs) for node in nodes),
        max_parallel=outline["max_parallel"],
        fail_fast=outline["fail_fast"],
        timeout_us=outline["timeout_us"],
        repeats=any(node.repeat is not None for node in nodes),
        edges={(up, down): tuple(counts) for up, down, counts in outline["edges"]},
    )
