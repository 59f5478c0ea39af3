"""Runs that waited for a place and were taken over meanwhile are let go."""

from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.pipeline.backlog import Backlog


def task_of(number, workflow="w"):
    run = Run(
        id=f"r{number}", tenant_id="local", workflow_id=workflow, workflow="w", version=1, trigger_id="t",
        trigger_type="webhook", event_id="e", event_key=f"k{number}", created_at=0, engine="embedded", input=b"{}",
        fence=number, status=RunStatus.QUEUED,
    )  # fmt: skip
    return Task(run, None, (), b"null")


def test_what_waits_is_known_with_its_fence_and_can_be_let_go():
    backlog = Backlog()
    for number in (1, 2, 3):
        backlog.put(("local", "w"), task_of(number))
    backlog.put(("local", "v"), task_of(4, "v"))
    assert backlog.fences() == {"r1": 1, "r2": 2, "r3": 3, "r4": 4}
    backlog.forget(["r1", "r3", "r4", "r9"])
    assert backlog.fences() == {"r2": 2}
    assert len(backlog) == 1
    assert backlog.pop(("local", "v")) is None
    assert backlog.pop(("local", "w")).run.id == "r2"
    assert backlog.pop(("local", "w")) is None
