import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workflow_scheduler.core.dag.park import SleepUntil
from workflow_scheduler.core.errors import Rejected, StoreUnavailable
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.jobs import emit, noop, python, run, sleep_for, sleep_until
from workflow_scheduler.testing.job_context import NOW_US, FakeJobContext


def test_noop_passes_its_output_on():
    assert noop.run(noop.Config(output={"a": [1]}), FakeJobContext()) == {"a": [1]}
    assert noop.run(noop.Config(), FakeJobContext()) is None


@pytest.mark.parametrize(
    ("duration", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), (1.5, 1.5), (0, 0)]
)
def test_sleep_for_parks_until_the_duration_has_passed(duration, seconds):
    parked = sleep_for.run(sleep_for.Config(duration=duration), FakeJobContext())
    assert parked.wake_at == NOW_US + seconds * 1_000_000
    assert from_iso(parked.output["until"]) == parked.wake_at


@pytest.mark.parametrize("duration", ["soon", -1, "11 years", "4000d", None, "nan"])
def test_sleep_for_refuses_what_is_not_a_duration(duration):
    with pytest.raises(ValidationError):
        sleep_for.Config.model_validate({"duration": duration})


@pytest.mark.parametrize(
    ("timestamp", "utc"),
    [
        ("2027-03-14T09:30:00Z", "2027-03-14T09:30:00Z"),
        ("2027-03-14T09:30:00+02:00", "2027-03-14T07:30:00Z"),
        ("2027-03-14T09:30:00", "2027-03-14T09:30:00Z"),
        ("2027-03-14", "2027-03-14T00:00:00Z"),
    ],
)
def test_sleep_until_parks_until_the_moment(timestamp, utc):
    parked = sleep_until.run(sleep_until.Config(timestamp=timestamp), FakeJobContext())
    assert parked == SleepUntil(from_iso(utc), {"until": utc})


@pytest.mark.parametrize("timestamp", ["tomorrow", "2027-13-01", "", "2027-03-14T25:00:00Z"])
def test_sleep_until_refuses_what_is_not_a_moment(timestamp):
    with pytest.raises(ValidationError, match="not a date-time"):
        sleep_until.Config(timestamp=timestamp)


async def test_emit_accepts_one_event_per_run_and_job():
    context = FakeJobContext()
    output = await emit.run(emit.Config(type="order_shipped", data={"n": 1}), context)
    assert output == {"event_id": "event:run-1:job", "type": "order_shipped"}
    assert context.events == [({"type": "order_shipped", "data": {"n": 1}}, "run-1:job")]


async def test_emit_with_source_subject_and_key():
    context = FakeJobContext()
    await emit.run(emit.Config(type="t", source="/shop", subject="orders/1", key="order-1"), context)
    assert context.events == [({"type": "t", "data": None, "source": "/shop", "subject": "orders/1"}, "order-1")]


def test_emit_is_tried_again_when_the_store_is_down():
    assert emit.retryable(StoreUnavailable())
    assert not emit.retryable(Rejected())


@pytest.mark.parametrize("config", [{}, {"type": ""}, {"type": "x", "key": ""}, {"type": "x", "payload": 1}])
def test_emit_refuses_what_is_not_an_event(config):
    with pytest.raises(ValidationError):
        emit.Config.model_validate(config)


@pytest.mark.parametrize(
    "config", [{}, {"command": ""}, {"command": "x", "output": "xml"}, {"command": "x", "grace": "2h"}]
)
def test_run_refuses_what_cannot_be_run(config):
    with pytest.raises(ValidationError):
        run.Config.model_validate(config)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"function": "a.b:c", "code": "x"},
        {"function": "a.b"},
        {"function": "a.b:"},
        {"function": ":c"},
        {"function": "a b:c"},
        {"function": "a:c()"},
        {"function": "__import__('os'):system"},
        {"code": "x", "args": [1]},
        {"code": "x", "kwargs": {"a": 1}},
        {"code": "x", "isolation": "thread"},
        {"function": "a:b", "memory_mb_max": 100},
        {"function": "a:b", "env": {"A": "1"}},
        {"function": "a:b", "isolation": "process", "memory_mb_max": 1},
        {"function": "a:b", "isolation": "fiber"},
    ],
)
def test_python_refuses_what_makes_no_sense(config):
    with pytest.raises(ValidationError):
        python.Config.model_validate(config)


@given(st.text(max_size=40))
def test_a_function_name_is_never_an_expression(text):
    try:
        config = python.Config(function=text)
    except ValidationError:
        return
    assert all(part.isidentifier() for half in config.function.split(":") for part in half.split("."))


def test_code_is_taken_as_it_is_written():
    assert python.raw_fields == ("code",)
    assert run.shell_fields == ("command",)
