import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.stores.portable.merge import (
    WRITTEN,
    GuardLostError,
    Refusals,
    folded,
    parts,
    result_of,
    rows_of,
    seen,
    side_by_side,
    without_fenced_ends,
    without_lost,
)
from workflow_scheduler.stores.sqlite import statements
from workflow_scheduler.stores.sqlite.connection import native
from workflow_scheduler.stores.sqlite.statements import SIZES, flat, pieces
from workflow_scheduler.testing.conformance.store_material import CLOCKED, TRIGGER, advance, ended, started
from workflow_scheduler.testing.factories import NOON, make_job, make_occurrence, make_schedule


@given(st.integers(0, 5_000))
def test_pieces_cover_every_row_once(count):
    found = list(pieces(count))
    assert [start for start, _ in found] == [sum(size for _, size in found[:index]) for index in range(len(found))]
    assert sum(size for _, size in found) == count
    assert all(size in SIZES for _, size in found)
    assert len(found) <= count // SIZES[0] + 5


def test_flat_values_keep_their_order():
    assert flat([(1, "a"), (2, "b")]) == [1, "a", 2, "b"]


def test_sqlite_reads_the_json_macro():
    assert native("SELECT {json:data} ->> 'a', :x") == "SELECT CAST(data AS TEXT) ->> 'a', :x"


def test_batches_side_by_side_hold_everything_in_order():
    first, second = (Batch(accepted=[started()], ends={str(n): "r"}, fired={str(n): ("e",)}) for n in range(2))
    whole = side_by_side([first, second])
    assert whole.accepted == first.accepted + second.accepted
    assert set(whole.ends) == set(whole.fired) == {"0", "1"}
    assert len(first.accepted) == 1, "the batches themselves stay as they were"


def test_changes_of_one_run_are_laid_over_each_other():
    run, other = started().runs[0], started().runs[0]
    running = ended(run, RunStatus.RUNNING, started_at=5, ended_at=None, external_id="x")
    changes = folded([running, ended(other), ended(run, output=b"1")])
    assert [(c.run_id, c.status, c.started_at, c.external_id, c.output) for c in changes] == [
        (run.id, "SUCCEEDED", 5, "x", b"1"),
        (other.id, "SUCCEEDED", None, None, None),
    ]


def test_changes_after_the_end_or_of_two_owners_are_not_folded():
    run = started().runs[0]
    for pair in ([ended(run), ended(run)], [ended(run, RunStatus.RUNNING), ended(run, fence=2)]):
        with pytest.raises(GuardLostError):
            folded(pair)


def test_what_a_lost_schedule_fired_is_left_out():
    fired, other = started(), started()
    batch = Batch(
        accepted=[fired, other],
        advances=[advance(make_schedule(CLOCKED, NOON))],
        fired={CLOCKED.id: (fired.event.id,)},
        occurrences=[make_occurrence(CLOCKED, NOON), make_occurrence(TRIGGER, NOON)],
    )
    assert without_lost(batch, set()) == (batch.accepted, batch.occurrences)
    assert without_lost(batch, {CLOCKED.id}) == ([other], batch.occurrences[1:])


def test_the_event_of_a_refused_end_is_left_out():
    first, second = started(), started()
    batch = Batch(accepted=[first, second], ends={first.event.id: "run-1"})
    assert without_fenced_ends(batch, batch.accepted, {"run-1"}) == [second]
    assert without_fenced_ends(batch, batch.accepted, {"run-2"}) == [first, second]


def test_work_on_runs_that_the_batch_creates_comes_later():
    new, old = started(), started()
    batch = Batch(
        accepted=[new],
        jobs=[make_job(new.runs[0]), make_job(old.runs[0])],
        run_changes=[ended(old.runs[0]), ended(new.runs[0])],
    )
    split = parts(batch, batch.accepted)
    assert (split.jobs, split.late_jobs) == ([batch.jobs[1]], [batch.jobs[0]])
    assert (split.changes, split.late_changes) == ([batch.run_changes[0]], [batch.run_changes[1]])


def test_a_batch_hears_of_its_own_refusals_only():
    mine, theirs = started(), started()
    refused = Refusals(
        duplicates={mine.event.id: "first", theirs.event.id: "x"},
        runs={mine.runs[0].id: "r1", theirs.runs[0].id: "r2"},
        lost={"t"},
        fenced={theirs.runs[0].id},
    )
    result = result_of(Batch(accepted=[mine]), refused)
    assert result.duplicates == {mine.event.id: "first"}
    assert result.refused_runs == {mine.runs[0].id: "r1"}
    assert result.lost_advances == result.fenced == frozenset()
    assert result_of(Batch(run_changes=[ended(theirs.runs[0])]), refused).fenced == {theirs.runs[0].id}
    assert result_of(Batch(), Refusals()) is WRITTEN


def test_the_decision_of_a_refused_run_names_the_earlier_one():
    item = started()
    decision = item.decisions[0]
    told = seen(decision, {item.runs[0].id: "earlier"})
    assert (told.outcome, told.reason, told.run_id) == (Outcome.DUPLICATE, Reason.ALREADY_SEEN, "earlier")
    assert seen(decision, {"another": "earlier"}) is decision


def test_rows_are_counted_so_that_groups_stay_bounded():
    assert rows_of(Batch()) == 1
    assert rows_of(Batch(accepted=[started()] * 10, jobs=[make_job(started().runs[0])])) == 32


@pytest.mark.parametrize(
    "statement",
    [
        statements.insert_events, statements.insert_runs, statements.insert_decisions, statements.insert_occurrences,
        statements.insert_logs, statements.insert_dead_letters, statements.upsert_jobs, statements.update_runs,
        statements.advance_schedules,
    ],
)  # fmt: skip
def test_the_largest_statement_is_small_enough_to_be_kept_prepared(statement):
    kept_bytes_max = 16_384
    assert len(statement(SIZES[0]).encode()) <= kept_bytes_max
