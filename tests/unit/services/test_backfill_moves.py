"""Pausing, resuming and cancelling: which moves there are, and what they change."""

import msgspec
import pytest

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.model.backfill import BACKFILL_TRANSITIONS, Backfill, BackfillStatus
from workflow_scheduler.services.backfills import backfill_shape, moved_to

S = BackfillStatus
MADE = Backfill(
    id="b", tenant_id="t", workflow_id="w", workflow="w", trigger_id="x", trigger="x", type="cron", config="{}",
    anchor=0, version=None, since=0, until=100, reprocess="missing", run_order="forward", ignore_skips=False,
    max_active=2, input=None, status=S.RUNNING, position=0, exhausted=False, planned=10, created_at=0,
)  # fmt: skip


def at(status, **given):
    return msgspec.structs.replace(MADE, status=status, **given)


@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("to", [S.PAUSED, S.RUNNING, S.CANCELLING])
def test_only_the_moves_of_the_table_are_made(status, to):
    row = at(status, active='["r"]')
    if status is to or (to is S.CANCELLING and status is S.CANCELLED):
        assert moved_to(row, to, 5) is row
    elif to in BACKFILL_TRANSITIONS[status]:
        assert moved_to(row, to, 5).status is to
    else:
        with pytest.raises(Conflict, match=status.value):
            moved_to(row, to, 5)


def test_without_runs_under_way_a_cancelled_backfill_has_ended_at_once():
    ended = moved_to(MADE, S.CANCELLING, 7)
    assert (ended.status, ended.ended_at) == (S.CANCELLED, 7)
    waiting = moved_to(at(S.RUNNING, active='["r"]'), S.CANCELLING, 7)
    assert (waiting.status, waiting.ended_at, waiting.cancel_runs) == (S.CANCELLING, None, False)
    assert moved_to(waiting, S.CANCELLING, 8, cancel_runs=True).cancel_runs


def test_a_rest_does_not_count_for_the_time_that_is_left():
    paused = moved_to(at(S.RUNNING, started=5, succeeded=5), S.PAUSED, 50_000_000)
    assert backfill_shape(paused, 60_000_000)["eta_seconds"] is None
    going = moved_to(paused, S.RUNNING, 950_000_000)
    assert going.paused_us == 900_000_000
    assert backfill_shape(going, 950_000_000)["eta_seconds"] == 50.0
    assert backfill_shape(going, 950_000_000)["progress"] == 0.5
