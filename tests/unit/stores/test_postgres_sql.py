import enum

import pytest

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.stores.postgres.group import mergeable, rounds, rounds_by_fence
from workflow_scheduler.stores.postgres.sql import native, tenant_of
from workflow_scheduler.testing.conformance.store_material import advance, ended, started
from workflow_scheduler.testing.factories import NOON, make_job, make_schedule, make_trigger


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("SELECT 1", {}, ("SELECT 1", [])),
        ("SELECT :a, :b, :a", {"a": 1, "b": "x"}, ("SELECT $1::bigint, $2::text, $1::bigint", [1, "x"])),
        ("SELECT :a + :b", {"a": None, "b": 2}, ("SELECT NULL + $1::bigint", [2])),
        ("SELECT ':a', ':b''s :c', :c", {"c": b"x"}, ("SELECT ':a', ':b''s :c', $1::bytea", [b"x"])),
        ("SELECT :a::int", {"a": 1.5}, ("SELECT $1::float8::int", [1.5])),
        ("SELECT :a", {"a": True}, ("SELECT $1::bigint", [1])),
        ("SELECT :a", {"a": Colour.RED}, ("SELECT $1::text", ["red"])),
        ("SELECT :a", {"a": memoryview(b"x")}, ("SELECT $1::bytea", [b"x"])),
        ("SELECT {json:data} ->> 'a'", {}, ("SELECT wfs_json(data) ->> 'a'", [])),
        ("SELECT {json::d} ->> :k", {"d": "{}", "k": "a"}, ("SELECT wfs_json($1::text) ->> $2::text", ["{}", "a"])),
        ("SELECT :a", {"a": 1, "unused": 2}, ("SELECT $1::bigint", [1])),
    ],
)
def test_portable_sql_becomes_native(text, params, expected):
    assert native(text, params) == expected


def test_one_text_serves_values_of_several_types():
    text = "SELECT :a"
    assert [native(text, {"a": value})[0] for value in (1, "1", None, 1)] == [
        "SELECT $1::bigint", "SELECT $1::text", "SELECT NULL", "SELECT $1::bigint",
    ]  # fmt: skip


def test_a_missing_parameter_is_a_mistake():
    with pytest.raises(KeyError):
        native("SELECT :a", {})


@pytest.mark.parametrize(
    ("params", "tenant"),
    [
        (None, "*"),
        ({}, "*"),
        ({"tenant": "a"}, "a"),
        ({"tenant_id": "b"}, "b"),
        ({"tenant": None}, "*"),
        ({"tenant": ""}, "*"),
        ({"tenant": 5}, "*"),
    ],
)
def test_the_tenant_comes_from_the_parameters(params, tenant):
    assert tenant_of(params) == tenant


def test_rounds_keep_the_order_of_equal_keys():
    assert rounds([], len) == []
    assert rounds(["a1", "b1", "a2", "c1", "a3", "b2"], lambda text: text[0]) == [
        ["a1", "b1", "c1"],
        ["a2", "b2"],
        ["a3"],
    ]


def test_records_of_one_run_under_two_fences_are_written_apart():
    run, other = started().runs[0], started().runs[0]
    jobs = [make_job(run), make_job(run, "x", fence=2), make_job(other), make_job(run, "y")]
    assert [[job.job_id for job in part] for part in rounds_by_fence(jobs)] == [["work", "work", "y"], ["x"]]
    assert rounds_by_fence([]) == []


def test_batches_whose_refusals_could_be_mixed_up_are_not_merged():
    run, other = started().runs[0], started().runs[0]
    end, end_again = ended(run), ended(run, RunStatus.FAILED)
    step = advance(make_schedule(make_trigger(), NOON))
    running = ended(run, RunStatus.RUNNING)
    assert mergeable([Batch(run_changes=[end]), Batch(run_changes=[ended(other)])])
    assert mergeable([Batch(run_changes=[running]), Batch(run_changes=[end], jobs=[make_job(run)])])
    assert not mergeable([Batch(run_changes=[end]), Batch(run_changes=[end_again])])
    assert not mergeable([Batch(run_changes=[running]), Batch(run_changes=[ended(run, fence=9)])])
    assert not mergeable([Batch(run_changes=[end]), Batch(jobs=[make_job(run, fence=9)])])
    assert not mergeable([Batch(advances=[step]), Batch(advances=[step])])
