"""The backlog: first come, first served, in memory as far as it goes and in the rows beyond."""

from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.pipeline.backlog import Backlog
from workflow_scheduler.testing.factories import make_run, make_trigger

TRIGGER = make_trigger()
KEY = (TRIGGER.tenant_id, TRIGGER.workflow_id)


def tasks(count):
    return [Task(make_run(TRIGGER), None) for _ in range(count)]


def filled(count, runs_max):
    backlog, made = Backlog(runs_max), tasks(count)
    for task in made:
        backlog.put(KEY, task)
    return backlog, made


def test_what_came_first_goes_first():
    backlog, made = filled(3, 10)
    assert [backlog.pop(KEY) for _ in range(4)] == [*made, None]
    assert len(backlog) == 0


def test_beyond_its_size_runs_stay_in_their_rows():
    backlog, made = filled(5, 3)
    assert len(backlog) == 3
    assert backlog.has_left(KEY)
    assert backlog.begin_reading(KEY) == made[3].run.id


def test_none_overtakes_those_in_their_rows():
    backlog, made = filled(4, 3)
    backlog.pop(KEY)
    (late,) = tasks(1)
    backlog.put(KEY, late)
    assert late.run.id not in backlog
    backlog.begin_reading(KEY)
    backlog.put(KEY, made[3], again=True)
    assert [backlog.pop(KEY) for _ in range(4)] == [*made[1:], None]


def test_a_reading_to_the_end_forgets_the_rows_unless_more_came_meanwhile():
    backlog, _ = filled(3, 1)
    backlog.begin_reading(KEY)
    backlog.end_reading(KEY, None)
    assert not backlog.has_left(KEY)
    (first, second) = tasks(2)
    backlog.leave(first.run)
    backlog.begin_reading(KEY)
    backlog.leave(second.run)
    backlog.end_reading(KEY, None)
    assert backlog.begin_reading(KEY) == second.run.id


def test_a_reading_goes_on_where_it_stopped_or_earlier():
    backlog, made = filled(5, 1)
    backlog.begin_reading(KEY)
    backlog.end_reading(KEY, made[3].run.id)
    assert backlog.begin_reading(KEY) == made[3].run.id
    backlog.leave(made[2].run)
    backlog.end_reading(KEY, made[4].run.id)
    assert backlog.begin_reading(KEY) == made[2].run.id


def test_runs_can_be_taken_out():
    backlog, made = filled(4, 2)
    assert backlog.remove(made[0].run)
    assert backlog.pop(KEY) is made[1]
    assert backlog.remove(made[3].run)
    assert not Backlog().remove(made[0].run)


def test_a_run_that_is_taken_out_while_rows_are_read_is_remembered_for_as_long():
    backlog, made = filled(4, 1)
    backlog.begin_reading(KEY)
    backlog.remove(made[2].run)
    assert backlog.was_removed(KEY, made[2].run.id)
    assert not backlog.was_removed(KEY, made[3].run.id)


def test_what_was_taken_from_its_row_is_remembered_for_a_while():
    backlog, made = Backlog(3), tasks(5)
    for task in made:
        backlog.note_taken(task.run)
    assert [backlog.was_taken(task.run) for task in made] == [False, False, True, True, True]
    assert not backlog.was_taken(make_run(TRIGGER, id=made[4].run.id, fence=2))


def test_workflows_have_lines_of_their_own():
    backlog, made = filled(2, 2)
    other = make_trigger(workflow="another")
    run = make_run(other)
    backlog.put((run.tenant_id, run.workflow_id), Task(run, None))
    assert not backlog.has_left(KEY)
    assert backlog.has_left((run.tenant_id, run.workflow_id))
    assert backlog.pop(KEY) is made[0]


def test_the_higher_priority_goes_first_and_the_older_among_equals():
    backlog = Backlog()
    made = [Task(make_run(TRIGGER, priority=priority), None) for priority in (0, -5, 7, 0, 7)]
    for task in made:
        backlog.put(KEY, task)
    assert backlog.remove(made[3].run)
    assert [backlog.pop(KEY) for _ in range(5)] == [made[2], made[4], made[0], made[1], None]
    assert (len(backlog), backlog.fences()) == (0, {})
