import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.ids import IdSource
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.stores.portable.occurrences import covers
from workflow_scheduler.stores.portable.rows import Malformed, decode_json, numbered, read_rows, strings
from workflow_scheduler.stores.portable.runs import COLUMNS
from workflow_scheduler.stores.portable.scan import between, id_floor
from workflow_scheduler.testing.factories import NOON, make_occurrence, make_run, make_trigger

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)


def row(**changed):
    values = {**msgspec.structs.asdict(make_run()), **changed}
    return tuple(values[name] for name in COLUMNS)


def test_a_good_row_becomes_the_model():
    (found,) = read_rows(Run, COLUMNS, [row(cancel_requested=1)], "runs")
    assert isinstance(found, Run)
    assert found.cancel_requested is True


@pytest.mark.parametrize("changed", [{"status": "LOST"}, {"version": None}, {"created_at": "noon"}, {"input": 7}])
def test_a_wrong_value_makes_the_row_malformed(changed):
    (found,) = read_rows(Run, COLUMNS, [row(id="r1", **changed)], "runs")
    assert isinstance(found, Malformed)
    assert (found.kind, found.id) == ("runs", "r1")


@given(st.lists(VALUES, min_size=len(COLUMNS), max_size=len(COLUMNS)))
def test_no_row_whatever_it_holds_raises(values):
    (found,) = read_rows(Run, COLUMNS, [tuple(values)], "runs")
    assert isinstance(found, Run | Malformed)


def test_json_columns_are_decoded_or_refused():
    assert decode_json(None) is None
    assert decode_json(b'{"a":1}') == {"a": 1}
    assert strings('["a",""]') == ("a", "")
    for bad in (b"{", b"\xff", b"NaN"):
        with pytest.raises((msgspec.DecodeError, ValueError)):
            decode_json(bad)
    for bad in ("{}", "[1]", "nope"):
        with pytest.raises((msgspec.DecodeError, ValueError)):
            strings(bad)


def test_lists_become_named_parameters():
    assert numbered("id", ["a", "b"]) == (":id0, :id1", {"id0": "a", "id1": "b"})


@given(st.integers(min_value=0, max_value=1 << 50), st.integers(min_value=0, max_value=1 << 50))
def test_ids_lie_in_the_range_of_their_times(at, since):
    minted = IdSource().mint(at)
    assert (minted >= id_floor(since)) == (at // 1000 >= since // 1000)


def test_a_cursor_narrows_the_range():
    floor = id_floor(NOON)
    assert between(None, None, None).before > floor > between(None, None, None).since
    assert between("00", None, NOON).before == "00"
    assert between("ffff", None, NOON).before == floor
    assert between(None, NOON, None).since == floor


def test_a_record_speaks_for_its_stretch():
    trigger = make_trigger()
    single = make_occurrence(trigger, NOON)
    stretch = make_occurrence(trigger, NOON, note="300 fires until 2027-01-05T17:00:00Z")
    spoiled = make_occurrence(trigger, NOON, note="300 fires until tomorrow")
    hour = 3_600_000_000
    assert covers(single, NOON)
    assert not covers(single, NOON + hour)
    assert covers(stretch, NOON + 5 * hour)
    assert not covers(stretch, NOON + 6 * hour)
    assert not covers(spoiled, NOON + hour)
