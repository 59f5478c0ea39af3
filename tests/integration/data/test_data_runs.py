import msgspec
import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.stores.portable import runs as runs_module
from workflow_scheduler.stores.portable.runs import RunFilter
from workflow_scheduler.testing.factories import (
    NOON,
    make_decision,
    make_event,
    make_job,
    make_log,
    make_run,
    make_trigger,
)

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")


async def some_runs(house, count=5, **given):
    trigger = make_trigger()
    await house.rows.workflow(trigger)
    await house.rows.trigger(trigger)
    made = []
    for number in range(count):
        event = await house.rows.event(make_event(NOON + number * SECOND_US))
        run = await house.rows.run(make_run(trigger, event, **given))
        await house.rows.decision(make_decision(trigger, event, run))
        made.append(run)
    return made


async def test_a_list_shows_the_newest_first_and_its_cursor_goes_on(house):
    made = await some_runs(house)
    first = await house.runs.page(LOCAL, limit=2)
    second = await house.runs.page(LOCAL, limit=2, cursor=first.next)
    third = await house.runs.page(LOCAL, limit=2, cursor=second.next)
    ids = [item["id"] for page in (first, second, third) for item in page.items]
    assert ids == [run.id for run in reversed(made)]
    assert third.next is None


async def test_filters_choose_runs(house):
    made = await some_runs(house, 3)
    trigger = make_trigger("other", "second-flow", type="github")
    await house.rows.workflow(trigger)
    event = await house.rows.event(make_event(NOON + 60 * SECOND_US))
    failed = await house.rows.run(make_run(trigger, event, status=RunStatus.FAILED))
    await house.rows.decision(make_decision(trigger, event, failed))

    async def found(workflow=None, **filters):
        page = await house.runs.page(LOCAL, workflow=workflow, wanted=RunFilter(**filters))
        return {item["id"] for item in page.items}

    everything = {run.id for run in made} | {failed.id}
    assert await found() == everything
    assert await found(workflow="second-flow") == {failed.id}
    assert await found(workflow=trigger.workflow_id, status=RunStatus.FAILED) == {failed.id}
    assert await found(workflow="nobody") == set()
    assert await found(status=RunStatus.FAILED) == {failed.id}
    assert await found(status=RunStatus.QUEUED) == everything - {failed.id}
    assert await found(status=RunStatus.SUCCEEDED) == set()
    assert await found(trigger_type="github") == {failed.id}
    assert await found(event_id=event.id) == {failed.id}
    assert await found(event_id=event.id, status=RunStatus.QUEUED) == set()
    assert await found(since=NOON + 30 * SECOND_US) == {failed.id}
    assert await found(until=NOON + 30 * SECOND_US) == everything - {failed.id}


async def test_a_run_is_shown_with_jobs_cause_and_provenance(house):
    (run,) = await some_runs(
        house, 1, status=RunStatus.SUCCEEDED, output=b'{"sum":3}', started_at=NOON, ended_at=NOON + 1500
    )
    await house.rows.job(make_job(run))
    await house.rows.job(make_job(run, "after", status=JobStatus.SKIPPED, started_at=None, ended_at=None, output=None))
    shown = await house.runs.show(LOCAL, run.id)
    assert shown["workflow"] == "order-flow"
    assert shown["status"] == "SUCCEEDED"
    assert shown["output"] == {"sum": 3}
    assert shown["duration_ms"] == 1.5
    assert [job["id"] for job in shown["jobs"]] == ["work", "after"]
    assert shown["jobs"][0]["output"] == {"rows": 3}
    assert shown["trigger"] == "orders"
    assert shown["cause"]["decision"]["outcome"] == "run_started"
    assert shown["cause"]["summary"].startswith("Started by *orders*: webhook from /webhooks/orders")
    assert shown["provenance"]["event_id"] == run.event_id


async def test_a_list_carries_jobs_as_far_as_its_bound_reaches(house, monkeypatch):
    made = await some_runs(house, 3)
    for run in made:
        for name in ("one", "two"):
            await house.rows.job(make_job(run, name))
    page = await house.runs.page(LOCAL)
    assert [len(item["jobs"]) for item in page.items] == [2, 2, 2]
    monkeypatch.setattr("workflow_scheduler.services.runs.PAGE_JOBS", 3)
    page = await house.runs.page(LOCAL)
    assert len(page.items[0]["jobs"]) == 2
    assert page.items[1]["jobs_omitted"]
    assert page.items[2]["jobs_omitted"]


async def test_another_tenants_run_is_as_missing_as_none(house):
    (run,) = await some_runs(house, 1)
    for run_id in (run.id, "no-such-run"):
        for ask in (house.runs.show, house.runs.logs, house.runs.cancel, house.runs.output, house.runs.execution):
            with pytest.raises(NotFound) as refusal:
                await ask(STRANGER, run_id)
            assert refusal.value.detail == f"There is no run `{run_id}`."
    assert (await house.runs.page(STRANGER)).items == []
    assert (await house.runs.page(STRANGER, workflow="order-flow")).items == []


async def test_logs_are_followed_by_sequence_number(house):
    (run,) = await some_runs(house, 1)
    for number in range(5):
        await house.rows.log(make_log(run, f"line {number}", number, job_id="a" if number % 2 else "b"))
    first = await house.runs.logs(LOCAL, run.id, limit=3)
    assert [line["line"] for line in first.items] == ["line 0", "line 1", "line 2"]
    rest = await house.runs.logs(LOCAL, run.id, after=first.next, limit=3)
    assert [line["seq"] for line in rest.items] == [3, 4]
    assert rest.next is None
    assert [line["seq"] for line in (await house.runs.logs(LOCAL, run.id, job="a")).items] == [1, 3]
    with pytest.raises(ValidationFailed):
        await house.runs.logs(LOCAL, run.id, after="; DROP TABLE runs")


async def test_cancel_asks_the_launcher_and_refuses_ended_runs(house):
    (run,) = await some_runs(house, 1)
    await house.runs.cancel(LOCAL, run.id)
    assert house.fakes.cancelled == [("local", run.id)]
    event = await house.rows.event(make_event())
    ended = await house.rows.run(make_run(None, event, status=RunStatus.SUCCEEDED))
    with pytest.raises(Conflict, match="SUCCEEDED"):
        await house.runs.cancel(LOCAL, ended.id)
    gone = await house.rows.run(make_run(None, await house.rows.event(make_event()), status=RunStatus.CANCELLED))
    assert (await house.runs.cancel(LOCAL, gone.id))["status"] == "CANCELLED"


async def test_waiting_returns_the_run_as_it_stands(house):
    (run,) = await some_runs(house, 1)
    shown = await house.runs.wait(LOCAL, run.id, 10_000)
    assert shown["ended"] is False
    assert house.fakes.waited == [300.0]
    with pytest.raises(Conflict, match="not ended"):
        await house.runs.output(LOCAL, run.id)


async def test_executions_are_runs_in_the_words_of_the_engine_protocol(house):
    await house.deploy("flow")
    receipt = await house.manual.start(LOCAL, "flow", input={"a": 1}, idempotency_key="their-run-1")
    again = await house.manual.start(LOCAL, "flow", input={"a": 1}, idempotency_key="their-run-1")
    assert again.run_ids == receipt.run_ids
    page = await house.runs.executions(LOCAL, "flow", key="their-run-1")
    assert [item["execution_id"] for item in page.items] == receipt.run_ids
    assert page.items[0]["idempotency_key"] == "their-run-1"
    assert page.items[0]["started_at"] is not None
    assert (await house.runs.executions(LOCAL, "flow", key="unknown")).items == []
    listed = await house.runs.executions(LOCAL, "flow", status=RunStatus.QUEUED)
    assert [item["execution_id"] for item in listed.items] == receipt.run_ids
    assert (await house.runs.executions(LOCAL, "flow", status=RunStatus.PAUSED)).items == []


async def test_a_filter_without_index_costs_a_bounded_number_of_rows_and_still_reaches_the_end(house, monkeypatch):
    made = await some_runs(house, 12)
    monkeypatch.setattr("workflow_scheduler.stores.portable.scan.page.__defaults__", (4,))
    wanted = RunFilter(trigger_type="nothing-like-it")
    cursor, pages = None, 0
    while True:
        page = await house.runs.page(LOCAL, wanted=wanted, limit=5, cursor=cursor)
        pages += 1
        assert page.items == []
        cursor = page.next
        if cursor is None:
            break
    assert pages == 4
    found, cursor = [], None
    while True:
        page = await house.runs.page(LOCAL, wanted=RunFilter(trigger_type="webhook"), limit=3, cursor=cursor)
        found += [item["id"] for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == [run.id for run in reversed(made)]


async def test_a_run_whose_json_is_broken_is_listed_with_an_error_and_quarantined(house):
    made = await some_runs(house, 2)
    broken = await house.rows.run(make_run(None, await house.rows.event(make_event()), input=b"{nonsense"))
    page = await house.runs.page(LOCAL)
    by_id = {item["id"]: item for item in page.items}
    assert by_id[broken.id]["error"]["code"] == "malformed"
    assert "input" in by_id[made[0].id]
    rows = await house.store.read("SELECT kind, id FROM quarantine")
    assert rows == [("runs", broken.id)]
    await house.runs.page(LOCAL)
    assert len(await house.store.read("SELECT kind, id FROM quarantine")) == 1
    assert (await house.runs.show(LOCAL, broken.id))["error"]["code"] == "malformed"


async def test_broken_columns_do_not_take_the_list_down(house):
    await some_runs(house, 1)
    await house.rows.run(make_run(None, await house.rows.event(make_event()), version=2, status="NO_SUCH_STATUS"))
    await house.rows.run(make_run(None, await house.rows.event(make_event()), created_at=1 << 62))
    page = await house.runs.page(LOCAL)
    assert len(page.items) == 3
    assert sum(item.get("error") is not None and "status" not in item for item in page.items) == 2


def test_the_columns_are_those_of_the_model(house):
    assert set(runs_module.COLUMNS) == set(msgspec.structs.asdict(make_run())) - {"bearer"}
