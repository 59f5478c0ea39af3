"""The planner over random graphs, random outcomes and crashes at any point."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.dag.actions import (
    CANCELLED,
    PAUSED,
    SUCCEEDED,
    CancelJob,
    EndRun,
    Result,
    RetryJob,
    SkipJob,
    SkipReason,
    StartJob,
)
from workflow_scheduler.core.dag.graph import Graph, compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.dag.run_if import NEVER_WITHOUT_NEEDS, RULES, WANTS_SUCCESS, Upstream
from workflow_scheduler.core.model.run import JobRecord, JobStatus, RunStatus
from workflow_scheduler.core.model.workflow import Definition

OUTCOMES = {
    "good": SUCCEEDED,
    "bad": Result(JobStatus.FAILED, code="job_failed", retryable=True),
    "refused": Result(JobStatus.FAILED, code="rejected"),
    "condition": Result(JobStatus.SKIPPED, reason=SkipReason.CONDITION_FALSE),
}


EITHER = st.booleans()


@st.composite
def workflows(draw, fail_fast=EITHER):
    size = draw(st.integers(1, 9))
    jobs, outcomes = {}, {}
    for place in range(size):
        needs = draw(st.lists(st.integers(0, place - 1), unique=True, max_size=4)) if place else []
        rules = sorted(RULES) if needs else sorted(set(RULES) - NEVER_WITHOUT_NEEDS)
        jobs[f"j{place}"] = {
            "uses": "noop",
            "needs": [f"j{one}" for one in needs],
            "run_if": draw(st.sampled_from(rules)),
            "allow_failure": draw(st.booleans()),
            "retry": {"attempts": draw(st.integers(1, 3))},
        }
        outcomes[place] = draw(st.sampled_from(sorted(OUTCOMES)))
    parallel = draw(st.integers(1, 4))
    definition = {
        "name": "flow", "jobs": jobs, "fail_fast": draw(fail_fast), "concurrency": {"max_parallel_jobs": parallel}
    }  # fmt: skip
    return compile_graph(Definition.model_validate(definition)), outcomes


class Simulation:
    """Carries out a plan step by step in a drawn order, keeps the records a store would have, and checks every step."""

    def __init__(self, graph: Graph, outcomes, choose, parks=frozenset(), yields=frozenset()):
        self.yields = set(yields)
        self.graph, self.outcomes, self.choose, self.parks = graph, outcomes, choose, parks
        self.records: dict[int, JobRecord] = {}
        self.running: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.parked: set[int] = set()
        self.starts: list[tuple[int, int]] = []
        self.end: EndRun | None = None
        self.queue: deque = deque()
        self.busy = False
        self.plan = Progress(graph, seed="r")

    def begin(self):
        self.take(self.plan.start())

    def crash_and_restore(self):
        self.plan = Progress(self.graph, seed="r")
        self.running.clear()
        self.take(self.plan.restore(list(self.records.values())))

    def put(self, job, status, attempt=1, **more):
        name = self.graph.nodes[job].id
        self.records[job] = JobRecord(
            tenant_id="t", run_id="r", job_id=name, fence=1, status=status, attempt=attempt, **more
        )

    def ended(self, job):
        record = self.records.get(job)
        return record is not None and record.ended_at is not None

    def take(self, actions):
        self.queue.extend(actions)
        if self.busy:
            return
        self.busy = True
        while self.queue:
            action = self.queue.popleft()
            assert self.end is None, "nothing may follow the end"
            if isinstance(action, StartJob):
                node = self.graph.nodes[action.job]
                assert not self.ended(action.job)
                assert action.job not in self.running
                assert all(self.ended(need) for need in node.needs), "a job started before one that it needs had ended"
                if action.job in self.yields:
                    self.yields.discard(action.job)
                    self.waiting.add(action.job)
                    self.put(action.job, JobStatus.QUEUED, action.attempt)
                    self.queue.extend(self.plan.yield_place(action.job))
                    continue
                assert (action.job, action.attempt) not in self.starts, "an attempt started twice"
                self.starts.append((action.job, action.attempt))
                self.running[action.job] = action.attempt
                self.waiting.discard(action.job)
                self.put(action.job, JobStatus.RUNNING, action.attempt)
                assert len(self.running) <= self.graph.max_parallel
            elif isinstance(action, RetryJob):
                self.waiting.add(action.job)
                self.put(action.job, JobStatus.QUEUED, action.attempt, wake_at=1)
            elif isinstance(action, SkipJob):
                assert not self.ended(action.job)
                self.put(action.job, JobStatus.SKIPPED, ended_at=1, error=f'{{"code":"{action.reason}"}}'.encode())
                self.waiting.discard(action.job)
            elif isinstance(action, CancelJob):
                assert action.job in self.running or action.job in self.waiting | self.parked
                self.finish(action.job, CANCELLED)
            else:
                self.end = action
        self.busy = False

    def finish(self, job, result):
        attempt = self.running.pop(job, 1)
        self.waiting.discard(job)
        self.parked.discard(job)
        if result.status is JobStatus.PAUSED:
            self.parked.add(job)
            self.put(job, JobStatus.PAUSED, attempt, wake_at=1)
        else:
            reason = f'{{"code":"{result.reason}"}}'.encode()
            self.put(job, result.status, attempt, ended_at=1, error=reason)
        self.take(self.plan.apply(job, result))

    def step(self) -> bool:
        choices = [("end", job) for job in self.running]
        choices += [("wake", job) for job in self.waiting] + [("unpark", job) for job in self.parked]
        if not choices:
            return False
        kind, job = choices[self.choose(len(choices))]
        if kind == "wake":
            self.take(self.plan.wake(job))
        elif kind == "end" and job in self.parks and self.starts.count((job, self.running[job])) == 1:
            self.finish(job, PAUSED)
        else:
            self.finish(job, OUTCOMES[self.outcomes[job]])
        return True

    def finish_all(self):
        for _ in range(1000):
            if not self.step():
                break
        assert self.end is not None, "the run never ended"
        assert not self.running
        assert not self.waiting
        assert all(self.ended(job) for job in range(len(self.graph.nodes))), "a job came to no end"
        return {job: (one.status, one.error) for job, one in self.records.items()}, self.end.status


def expected(graph, outcomes):
    """Return the end of every job and of the run, found without a planner; for graphs without fail_fast."""
    kinds, ends, failed = {}, {}, False
    for job, node in enumerate(graph.nodes):
        upstream = [kinds[need] for need in node.needs]
        counts = [upstream.count(kind) for kind in ("succeeded", "failed", "skipped", "allowed")]
        if not RULES[node.run_if](Upstream(*counts)):
            lost = node.run_if in WANTS_SUCCESS and "failed" in upstream
            kinds[job], ends[job] = "failed" if lost else "skipped", JobStatus.SKIPPED
            continue
        result = OUTCOMES[outcomes[job]]
        ends[job] = result.status
        kinds[job] = {"SUCCEEDED": "succeeded", "SKIPPED": "skipped"}.get(
            result.status, "allowed" if node.allow_failure else "failed"
        )
        failed = failed or (result.status is JobStatus.FAILED and not node.allow_failure)
    return ends, RunStatus.FAILED if failed else RunStatus.SUCCEEDED


def chooser(data):
    return lambda size: data.draw(st.integers(0, size - 1))


@given(workflows(), st.sets(st.integers(0, 8)), st.data())
def test_every_job_comes_to_exactly_one_end_in_order_and_within_the_limits(workflow, parks, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data), parks)
    simulation.begin()
    simulation.finish_all()


@given(workflows(), st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)), st.integers(0, 12), st.data())
def test_jobs_that_wait_before_they_start_hold_no_place_and_end_as_all_do(workflow, parks, yields, steps, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data), parks, yields)
    simulation.begin()
    for _ in range(steps):
        simulation.step()
    if simulation.end is None:
        simulation.waiting = {job for job in simulation.waiting if simulation.records[job].wake_at is not None}
        simulation.crash_and_restore()
    simulation.finish_all()


@given(workflows(fail_fast=st.just(value=False)), st.data())
def test_the_end_is_the_same_in_whatever_order_jobs_finish(workflow, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data))
    simulation.begin()
    jobs, run = simulation.finish_all()
    ends, status = expected(graph, outcomes)
    assert ({job: one[0] for job, one in jobs.items()}, run) == (ends, status)


@settings(max_examples=200)
@given(workflows(fail_fast=st.just(value=False)), st.integers(0, 12), st.sets(st.integers(0, 8)), st.data())
def test_a_crash_after_any_step_leads_to_the_same_end_and_repeats_nothing_that_had_ended(workflow, steps, parks, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data), parks)
    simulation.begin()
    for _ in range(steps):
        simulation.step()
    if simulation.end is None:
        ended = {job for job in range(len(graph.nodes)) if simulation.ended(job)}
        before = len(simulation.starts)
        simulation.crash_and_restore()
        jobs, run = simulation.finish_all()
        assert not ended & {job for job, _ in simulation.starts[before:]}
    else:
        jobs, run = simulation.finish_all()
    ends, status = expected(graph, outcomes)
    assert ({job: one[0] for job, one in jobs.items()}, run) == (ends, status)


@given(workflows(), st.integers(0, 12), st.data())
def test_a_crash_of_a_run_that_fails_fast_still_ends_every_job_once(workflow, steps, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data))
    simulation.begin()
    for _ in range(steps):
        simulation.step()
    if simulation.end is None:
        simulation.crash_and_restore()
    simulation.finish_all()


@given(workflows(), st.integers(0, 12), st.data())
def test_stopping_at_any_point_ends_the_run_with_the_status_asked_for(workflow, steps, data):
    graph, outcomes = workflow
    simulation = Simulation(graph, outcomes, chooser(data))
    simulation.begin()
    for _ in range(steps):
        simulation.step()
    stopped = simulation.end is None
    started = len(simulation.starts)
    simulation.take(simulation.plan.stop(RunStatus.CANCELLED, "cancelled"))
    _, status = simulation.finish_all()
    assert not stopped or status is RunStatus.CANCELLED
    assert len(simulation.starts) == started


@given(workflows(), st.lists(st.integers(0, 3), max_size=30))
def test_the_same_results_give_the_same_actions(workflow, order):
    graph, outcomes = workflow

    def history():
        picks = iter(order)
        simulation = Simulation(graph, outcomes, lambda size: next(picks, 0) % size)
        simulation.begin()
        simulation.finish_all()
        return simulation.starts

    assert history() == history()
