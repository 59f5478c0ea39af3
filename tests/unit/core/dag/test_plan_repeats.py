"""The planner over random graphs whose jobs are repeated, with random outcomes, crashes and stops at any point."""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.dag.actions import (
    CANCELLED,
    SUCCEEDED,
    Result,
)
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.dag.repeat import instance_id
from workflow_scheduler.core.model.run import JobRecord, JobStatus, RunStatus
from workflow_scheduler.core.model.workflow import Definition

FAILED = Result(JobStatus.FAILED, code="job_failed", retryable=True)
KINDS = {
    "none": {},
    "map": {"map": "${input.x}"},
    "narrow": {"map": "${input.x}", "max_parallel": 2},
    "hasty": {"map": "${input.x}", "fail_fast": True},
    "each": {"for_each": "${input.x}", "delay": 1},
    "patient": {"for_each": "${input.x}", "fail_fast": False},
    "while": {"while": "input.x", "max_iterations": 3},
}


@st.composite
def workflows(draw):
    jobs, facts = {}, {}
    for place in range(draw(st.integers(1, 6))):
        needs = draw(st.lists(st.integers(0, place - 1), unique=True, max_size=3)) if place else []
        kind = draw(st.sampled_from(sorted(KINDS)))
        jobs[f"j{place}"] = {
            "uses": "noop", "needs": [f"j{one}" for one in needs], **KINDS[kind],
            "run_if": draw(st.sampled_from(["all_success", "all_done", "none_failed"])),
            "allow_failure": draw(st.booleans()), "retry": {"attempts": draw(st.integers(1, 2))},
        }  # fmt: skip
        facts[place] = (draw(st.integers(0, 5)), draw(st.sets(st.integers(0, 5), max_size=2)))
    definition = {
        "name": "flow", "jobs": jobs, "fail_fast": draw(st.booleans()),
        "concurrency": {"max_parallel_jobs": draw(st.integers(1, 4))},
    }  # fmt: skip
    return compile_graph(Definition.model_validate(definition)), facts


class Simulation:
    """Carries out a plan in a drawn order and keeps the records that a store would have.

    `facts` are by job the number of its items and the places that fail; a `while` holds that often.
    """

    def __init__(self, graph, facts, choose):
        self.graph, self.facts, self.choose = graph, facts, choose
        self.records = {}
        self.starts = []
        self.end = None
        self.ends = 0
        self.begin()
        self.take(self.plan.start())

    def begin(self):
        self.plan = Progress(self.graph, seed="r")
        self.running, self.waiting = {}, set()
        self.queue, self.busy = deque(), False

    def crash(self):
        self.begin()
        self.take(self.plan.restore(list(self.records.values())))

    def name(self, job):
        known = self.plan.instance(job)
        return self.graph.nodes[job].id if known is None else instance_id(self.graph.nodes[known[0]].id, known[1])

    def put(self, job, status, attempt=1, **more):
        name = self.name(job)
        before = self.records.get(name)
        assert before is None or before.ended_at is None, f"{name} had ended"
        self.records[name] = JobRecord(
            tenant_id="t", run_id="r", job_id=name, fence=1, status=status, attempt=attempt, **more
        )

    def ended(self, name):
        return name in self.records and self.records[name].ended_at is not None

    def take(self, actions):
        self.queue.extend(actions)
        if self.busy:
            return
        self.busy = True
        while self.queue:
            action = self.queue.popleft()
            assert self.end is None
            getattr(self, type(action).__name__)(action)
        self.busy = False

    def StartJob(self, action):  # noqa: N802
        job, node = action.job, self.plan.node(action.job)
        assert all(self.ended(self.graph.nodes[need].id) for need in node.needs)
        if node.repeat is not None and job < len(self.graph.nodes):
            self.put(job, JobStatus.RUNNING)
            self.take(self.plan.expand(job, None if node.repeat.kind == "while" else self.facts[job][0]))
            return
        name = self.name(job)
        assert not self.ended(name)
        assert (name, action.attempt) not in self.starts, "an attempt started twice"
        self.starts.append((name, action.attempt))
        self.waiting.discard(job)
        self.running[job] = action.attempt
        self.put(job, JobStatus.RUNNING, action.attempt)
        assert len(self.running) <= self.graph.max_parallel
        self.check_width(job)

    def check_width(self, job):
        known = self.plan.instance(job)
        if known is None:
            return
        own, place = known
        repeat = self.graph.nodes[own].repeat
        beside = [self.plan.instance(one) for one in self.running]
        assert repeat.width is None or sum(one is not None and one[0] == own for one in beside) <= repeat.width
        if repeat.kind != "map":
            before = [instance_id(self.graph.nodes[own].id, one) for one in range(place)]
            assert all(self.ended(one) for one in before), "iterations overlap"

    def RetryJob(self, action):  # noqa: N802
        name = self.name(action.job)
        del self.records[name]
        self.put(action.job, JobStatus.QUEUED, action.attempt, wake_at=1)
        self.waiting.add(action.job)

    def DelayJob(self, action):  # noqa: N802
        self.put(action.job, JobStatus.QUEUED, wake_at=1)
        self.waiting.add(action.job)

    def SkipJob(self, action):  # noqa: N802
        self.put(action.job, JobStatus.SKIPPED, ended_at=1, error=f'{{"code":"{action.reason}"}}'.encode())

    def AskLoop(self, action):  # noqa: N802
        self.take(self.plan.answer(action.job, more=action.place < self.facts[action.job][0]))

    def CancelJob(self, action):  # noqa: N802
        job = action.job
        if self.ended(self.name(job)):
            return
        if job < len(self.graph.nodes) and self.plan.is_expanded(job):
            self.take(self.plan.halt(job))
        else:
            self.finish(job, CANCELLED)

    def GatherJob(self, action):  # noqa: N802
        job, node = action.job, self.graph.nodes[action.job]
        own = [record for name, record in self.records.items() if name.startswith(f"{node.id}[")]
        assert all(record.ended_at for record in own), "gathered before the last instance had ended"
        if action.status is JobStatus.SUCCEEDED:
            assert len(own) == self.facts[job][0]
        assert action.exhausted == (action.status is JobStatus.FAILED and not any(
            record.status is JobStatus.FAILED for record in own))  # fmt: skip
        self.finish(job, Result(action.status))

    def EndRun(self, action):  # noqa: N802
        self.end = action
        self.ends += 1

    def finish(self, job, result):
        attempt = self.running.pop(job, 1)
        self.waiting.discard(job)
        if result.status is JobStatus.FAILED and job >= len(self.graph.nodes):
            # A failed attempt that is tried again is replaced by the record that waits.
            self.records.pop(self.name(job), None)
        self.put(job, result.status, attempt, ended_at=1, error=b'{"code":"x"}')
        self.take(self.plan.apply(job, result))

    def outcome(self, job):
        known = self.plan.instance(job)
        if known is None:
            return FAILED if 0 in self.facts[job][1] else SUCCEEDED
        return FAILED if known[1] in self.facts[known[0]][1] else SUCCEEDED

    def step(self):
        choices = [("end", job) for job in self.running] + [("wake", job) for job in sorted(self.waiting)]
        if not choices:
            return False
        kind, job = choices[self.choose(len(choices))]
        if kind == "wake":
            self.waiting.discard(job)
            self.take(self.plan.wake(job))
        else:
            self.finish(job, self.outcome(job))
        return True

    def restore_waiting(self):
        """Plan the wake-ups that are stored, as an engine does."""
        for node in self.graph.nodes:
            if node.repeat is not None and self.plan.is_expanded(node.index):
                for number in self.plan.open_instances(node.index):
                    if self.records.get(self.name(number), None) and self.records[self.name(number)].wake_at:
                        self.waiting.add(number)
            elif node.id in self.records and self.records[node.id].status is JobStatus.QUEUED:
                self.waiting.add(node.index)

    def finish_all(self):
        for _ in range(2000):
            if self.end is not None:
                break
            if not self.step():
                before = len(self.waiting)
                self.restore_waiting()
                assert len(self.waiting) > before, "nothing goes on"
        assert self.end is not None
        assert self.ends == 1
        assert not self.running
        assert all(record.ended_at for record in self.records.values())
        assert all(self.ended(node.id) for node in self.graph.nodes)
        return {name: record.status for name, record in self.records.items()}


def chooser(data):
    return lambda size: data.draw(st.integers(0, size - 1))


@settings(max_examples=300)
@given(workflows(), st.data())
def test_every_job_and_instance_comes_to_one_end_in_order_and_within_the_limits(workflow, data):
    Simulation(*workflow, chooser(data)).finish_all()


@settings(max_examples=300)
@given(workflows(), st.lists(st.integers(0, 6), min_size=1, max_size=4), st.data())
def test_crashes_repeat_nothing_that_had_ended_and_lead_to_one_end(workflow, crashes, data):
    simulation = Simulation(*workflow, chooser(data))
    for steps in crashes:
        for _ in range(steps):
            simulation.step()
        if simulation.end is not None:
            break
        ended = {name for name, record in simulation.records.items() if record.ended_at}
        before = len(simulation.starts)
        simulation.crash()
        simulation.restore_waiting()
        assert not ended & {name for name, _ in simulation.starts[before:]}
    simulation.finish_all()


@given(workflows(), st.integers(0, 15), st.booleans(), st.data())
def test_stopping_at_any_point_starts_nothing_more_and_ends_everything(workflow, steps, crash, data):
    simulation = Simulation(*workflow, chooser(data))
    for _ in range(steps):
        simulation.step()
    stopped = simulation.end is None
    if crash and stopped:
        simulation.begin()
        first = simulation.plan.stop(RunStatus.CANCELLED, "cancelled")
        simulation.take([*first, *simulation.plan.restore(list(simulation.records.values()))])
        simulation.restore_waiting()
    else:
        simulation.take(simulation.plan.stop(RunStatus.CANCELLED, "cancelled"))
    started = len(simulation.starts)
    simulation.finish_all()
    assert len(simulation.starts) == started
    assert not stopped or simulation.end.status is RunStatus.CANCELLED


def test_instances_that_fail_together_do_not_come_back_together():
    job = {"uses": "noop", "map": "${input.x}", "retry": {"attempts": 2, "delay": 60, "jitter": True}}
    plan = Progress(compile_graph(Definition.model_validate({"name": "flow", "jobs": {"j": job}})), seed="r")
    plan.start()
    numbers = [action.job for action in plan.expand(0, 4)]
    delays = {plan.apply(number, FAILED)[0].delay_us for number in numbers}
    assert len(delays) == 4
    assert all(30_000_000 <= delay <= 60_000_000 for delay in delays)


@given(st.integers(0, 5), st.sets(st.integers(0, 5)), st.sampled_from(sorted(set(KINDS) - {"none"})), st.data())
def test_a_repeated_job_ends_as_its_instances_do(count, bad, kind, data):
    definition = {"name": "flow", "jobs": {"j": {"uses": "noop", **KINDS[kind]}}}
    graph = compile_graph(Definition.model_validate(definition))
    ends = Simulation(graph, {0: (count, bad)}, chooser(data)).finish_all()
    bound = 3 if kind == "while" else count
    failed = any(place in bad for place in range(min(count, bound)))
    assert ends["j"] is (JobStatus.FAILED if failed or count > bound else JobStatus.SUCCEEDED)
    if kind in {"map", "narrow", "patient"}:
        assert len(ends) == count + 1
