"""Reruns from the failed jobs: on random graphs each job is run exactly as often as the rule says."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.dag.actions import EndRun, GatherJob, Result, RetryJob, SkipJob, StartJob
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.dag.rerun import keep
from workflow_scheduler.core.execution.ending import SKIP_ERRORS
from workflow_scheduler.core.model.run import JobRecord, JobStatus, RunStatus
from workflow_scheduler.core.model.workflow import Definition

RULES = ("all_success", "all_done", "none_failed", "at_least_one_success", "at_least_one_failed")


@st.composite
def flows(draw):
    """A graph, and the jobs that fail in the first run."""
    size = draw(st.integers(1, 9))
    jobs = {}
    for place in range(size):
        needs = draw(st.lists(st.integers(0, place - 1), unique=True, max_size=3)) if place else []
        job = {"uses": "noop", "needs": [f"j{need}" for need in needs]}
        if needs:
            job["run_if"] = draw(st.sampled_from(RULES))
        job["allow_failure"] = draw(st.booleans()) and draw(st.booleans())
        jobs[f"j{place}"] = job
    fails = draw(st.sets(st.sampled_from(sorted(jobs)), min_size=1))
    fast = draw(st.booleans())
    return compile_graph(Definition.model_validate({"name": "flow", "jobs": jobs, "fail_fast": fast})), fails


def played(graph, fails, done=()):
    """Play a run; return its records by job, and which jobs were run in which order."""
    progress = Progress(graph)
    records = {record.job_id: record for record in done}
    ran, status = [], None
    queue = list(progress.restore(done) if done else progress.start())
    while queue:
        action = queue.pop(0)
        if isinstance(action, EndRun):
            status = action.status
        elif isinstance(action, SkipJob):
            records[graph.nodes[action.job].id] = record(
                graph, action.job, JobStatus.SKIPPED, SKIP_ERRORS[action.reason]
            )
        elif isinstance(action, StartJob):
            name = graph.nodes[action.job].id
            ran.append(name)
            outcome = JobStatus.FAILED if name in fails else JobStatus.SUCCEEDED
            records[name] = record(graph, action.job, outcome)
            queue += progress.apply(action.job, Result(outcome))
        else:
            assert not isinstance(action, GatherJob | RetryJob)
    return records, ran, status


def record(graph, job, status, error=None):
    return JobRecord(
        tenant_id="t",
        run_id="r",
        job_id=graph.nodes[job].id,
        fence=1,
        status=status,
        error=error,
        started_at=1,
        ended_at=2,
    )


def after(graph, names):
    """Return these jobs and all that come after them."""
    found = set(names)
    while True:
        more = {n.id for n in graph.nodes if any(graph.nodes[need].id in found for need in n.needs)} - found
        if not more:
            return found
        found |= more


@given(flows())
@settings(max_examples=300, deadline=None)
def test_each_job_runs_again_exactly_where_the_rule_says(flow):
    graph, fails = flow
    first, ran_first, status = played(graph, fails)
    kept = keep(graph, first.values())
    bad = {
        name for name, one in first.items()
        if one.status is JobStatus.FAILED
        or (one.status is JobStatus.SKIPPED and one.error == SKIP_ERRORS["fail_fast"])
    }  # fmt: skip
    expected = {n for n, one in first.items() if one.status is JobStatus.SUCCEEDED} - after(graph, bad)
    assert set(kept.jobs) == expected == set(kept.records)
    assert set(kept.jobs) | set(kept.again) == set(first)

    second, ran_again, ended = played(graph, set(), [first[name] for name in kept.records])
    assert ended is RunStatus.SUCCEEDED
    assert set(second) == set(first)
    counts = Counter(ran_first) + Counter(ran_again)
    whole, ran_whole, _ = played(graph, set())
    for name in first:
        if name in expected:
            assert counts[name] == 1
        else:
            assert ran_again.count(name) == ran_whole.count(name)
            assert second[name].status is whole[name].status
    assert status is not None


def test_a_failed_handler_chain_names_what_is_kept_and_what_is_not():
    jobs = {
        "good": {"uses": "noop"},
        "bad": {"uses": "noop", "needs": ["good"]},
        "handler": {"uses": "noop", "needs": ["bad"], "run_if": "at_least_one_failed"},
        "beside": {"uses": "noop", "needs": ["good"]},
    }
    graph = compile_graph(Definition.model_validate({"name": "flow", "jobs": jobs}))
    records, _, _ = played(graph, {"bad"})
    kept = keep(graph, records.values())
    assert (kept.jobs, kept.again) == (("good", "beside"), ("bad", "handler"))
