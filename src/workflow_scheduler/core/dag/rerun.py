"""Which results of an ended run a rerun from its failed jobs keeps: a pure rule over the graph and the records.

A job is run again when it failed, was cancelled, was not run because of that, or was changed; and so is every job that
comes after one of these, since its result was made from the old one. All others that succeeded are kept. A job that was
skipped by its own condition is decided anew, which makes nothing after it run again.

Of a repeated job that is run again for its own sake the good instances are kept: of a `map` all that succeeded, of a
`for_each` those before the first that did not. A `while` begins anew, for each of its iterations decides about the
next. With an edited input the instances begin anew as well, because the list may be another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from workflow_scheduler.core.dag.actions import SkipReason
from workflow_scheduler.core.dag.graph import Graph, Node
from workflow_scheduler.core.dag.repeat import split_instance
from workflow_scheduler.core.dag.settling import result_of
from workflow_scheduler.core.model.run import JobRecord, JobStatus

_DECIDED_ANEW = frozenset({SkipReason.CONDITION_FALSE, SkipReason.RULE_NOT_MET})


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`jobs` keep their results, `again` are run or decided again, of them `changed` for their new definition.

    `records` are the ids of all records that are kept, those of instances among them.
    """

    jobs: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


def nothing(graph: Graph) -> Kept:
    """Return what a rerun of the whole run keeps."""
    return Kept(again=tuple(node.id for node in graph.nodes))


def keep(graph: Graph, records: Iterable[JobRecord], *, before: Graph | None = None, edited: bool = False) -> Kept:
    """Return what is kept of an ended run with these `records`.

    `graph` is what the rerun follows, `before` what the run followed where that is another version. `edited` says that
    the rerun has an input of its own.
    """
    own: dict[str, JobRecord] = {}
    instances: dict[str, dict[int, JobRecord]] = {}
    for record in records:
        named = split_instance(record.job_id)
        if named is None:
            own[record.job_id] = record
        else:
            instances.setdefault(named[0], {})[named[1]] = record
    changed = set() if before is None else {node.id for node in graph.nodes if _differs(graph, node, before)}
    fresh: set[int] = set()
    kept: list[str] = []
    good: list[str] = []
    for node in _in_order(graph):
        ended = own.get(node.id)
        tainted = node.id in changed or any(need in fresh for need in node.needs)
        places = instances.get(node.id, {})
        if not tainted and ended is not None and ended.status is JobStatus.SUCCEEDED:
            kept.append(node.id)
            good += [node.id, *(one.job_id for one in places.values() if one.status is JobStatus.SUCCEEDED)]
        elif tainted or ended is None or not _is_decided_anew(ended):
            fresh.add(node.index)
            good += () if tainted or edited else _good_instances(node, places)
    order = {node.id: node.index for node in graph.nodes}
    return Kept(
        jobs=tuple(sorted(kept, key=order.__getitem__)),
        again=tuple(node.id for node in graph.nodes if node.id not in set(kept)),
        changed=tuple(node.id for node in graph.nodes if node.id in changed),
        records=tuple(good),
    )


def _is_decided_anew(record: JobRecord) -> bool:
    return record.status is JobStatus.SKIPPED and result_of(record).reason in _DECIDED_ANEW


def _good_instances(node: Node, places: Mapping[int, JobRecord]) -> list[str]:
    if node.repeat is None or node.repeat.kind == "while":
        return []
    good = []
    for place in sorted(places):
        if places[place].status is JobStatus.SUCCEEDED:
            good.append(places[place].job_id)
        elif node.repeat.kind == "for_each":
            break
    return good


def _differs(graph: Graph, node: Node, before: Graph) -> bool:
    """Return whether a job is another one than before: its own text, what it needs, or the environment of all."""
    place = before.index.get(node.id)
    if place is None or graph.definition.env != before.definition.env:
        return True
    needs = [graph.nodes[need].id for need in node.needs]
    needed = [before.nodes[need].id for need in before.nodes[place].needs]
    return needs != needed or graph.definition.jobs[node.id] != before.definition.jobs[node.id]


def _in_order(graph: Graph) -> list[Node]:
    """Return the jobs so that each comes after those it needs."""
    waiting = list(graph.needs_count)
    found = [graph.nodes[root] for root in graph.roots]
    for node in found:
        for dependent in node.dependents:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                found.append(graph.nodes[dependent])
    return found
