"""What is read from DAG files of Airflow and flows of Kestra."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_scheduler.core.definition.load import from_value
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.dialects import airflow, airflow_times, compare, entry, kestra

START = from_iso("2027-01-01T00:00:00Z")
DAG = """
import pendulum
from datetime import datetime, timedelta
from airflow import DAG
raise SystemExit("this file is never executed")
BEGIN = pendulum.datetime(2026, 1, 1, tz="Europe/Berlin")
ARGS = {"retries": 2, "retry_delay": timedelta(minutes=1), "start_date": BEGIN}
with DAG(
    "nightly_sales", schedule="30 2 * * *", default_args=ARGS, catchup=False, max_active_runs=1,
    params={"region": "eu"}, description="Sales", dagrun_timeout=timedelta(hours=2),
) as dag:
    start = EmptyOperator(task_id="start")
    extract = BashOperator(
        task_id="extract.eu", bash_command="python -m etl ${HOME}", execution_timeout=timedelta(hours=1))
    with TaskGroup("checks") as checks:
        a = PythonOperator(task_id="a", python_callable=f)
        b = PythonOperator(task_id="b", python_callable=f, trigger_rule="all_done")
    mail = EmailOperator(task_id="mail", trigger_rule="one_failed")
    start >> extract >> [a, b] >> mail
    mail << start
    checks >> mail
    for n in range(3):
        BashOperator(task_id=f"t{n}", bash_command="x")
    mapped = BashOperator.partial(task_id="m").expand(bash_command=["a", "b"])
"""
TASKFLOW = """
from airflow.decorators import dag, task

@task(retries=1)
def extract(): ...

@task
def load(rows): ...

@dag(schedule=timedelta(hours=6), start_date=datetime(2027, 1, 1), catchup=True)
def pipeline():
    rows = extract()
    load(rows)

pipeline()
"""


def dag(arguments: str) -> str:
    return f'd = DAG("d", {arguments})\n'


def read(text: str) -> entry.Imported:
    entries, unread = entry.every_entry(airflow.entries(text, "UTC"))
    assert unread == []
    return entries[0]


def test_a_dag_becomes_a_workflow_with_the_skeleton_of_its_tasks() -> None:
    (one,), unread = entry.every_entry(airflow.entries(DAG, "UTC"))
    assert one.name == "nightly-sales"
    assert one.trigger == {
        "type": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "start_at": "2026-01-02T01:30:00Z",
        "catchup": "latest", "input": {"region": "eu"},
    }  # fmt: skip
    assert one.more == {"description": "Sales", "concurrency": {"max_runs": 1}, "timeout": "7200s"}
    retry = {"attempts": 3, "delay": "60s"}
    assert one.jobs == {
        "start": {"uses": "noop", "retry": retry},
        "extract_eu": {"run": "python -m etl $${HOME}", "retry": retry, "timeout": "3600s", "needs": ["start"]},
        "a": {"uses": "noop", "retry": retry, "needs": ["extract_eu"]},
        "b": {"uses": "noop", "retry": retry, "run_if": "all_done", "needs": ["extract_eu"]},
        "mail": {"uses": "noop", "retry": retry, "run_if": "at_least_one_failed", "needs": ["a", "b", "start"]},
    }
    assert any("data interval" in note for note in one.notes)
    assert any("`a` (PythonOperator)" in note for note in one.notes)
    assert [item.line for item in unread] == [21, 22, 24]
    from_value({"version": 1, "name": one.name, **one.more, "triggers": {"s": one.trigger}, "jobs": one.jobs})


def test_functions_of_the_taskflow_style_need_what_they_are_given() -> None:
    one = read(TASKFLOW)
    assert one.name == "pipeline"
    assert one.trigger == {
        "type": "interval", "every": "21600s", "timezone": "UTC", "anchor": "2027-01-01T00:00:00Z",
        "start_at": "2027-01-01T06:00:00Z", "catchup": "all",
    }  # fmt: skip
    assert one.jobs == {
        "extract": {"uses": "noop", "retry": {"attempts": 2, "delay": "300s"}},
        "load": {"uses": "noop", "needs": ["extract"]},
    }
    assert any("default_timezone" in note for note in one.notes)


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [
        ('schedule="@daily"', "@daily"),
        ('schedule_interval="@quarterly"', "0 0 1 */3 *"),
        ('schedule="0 0 * * L5"', "0 0 * * 5L"),
        ('schedule="0 0 */2 * 1"', "0 0 1-31/2 * 1"),
        ('schedule=CronTriggerTimetable("0 5 * * 1", timezone="Asia/Tokyo")', "0 5 * * 1"),
        ('timetable=CronDataIntervalTimetable(cron="0 5 * * 1", timezone="Asia/Tokyo")', "0 5 * * 1"),
    ],
)
def test_schedules_and_timetables_become_expressions(schedule: str, cron: str) -> None:
    one = read(dag(f"{schedule}, catchup=False"))
    assert one.trigger["cron"] == cron
    assert one.trigger["timezone"] == ("Asia/Tokyo" if "Tokyo" in schedule else "UTC")
    assert any("data interval" in note for note in one.notes) == ("CronTrigger" not in schedule)


def test_a_run_comes_at_the_end_of_its_data_interval() -> None:
    bounds = "start_date=datetime(2027, 1, 1), end_date=datetime(2027, 1, 10), catchup=False"
    intervals = read(dag(f'schedule="@daily", {bounds}')).trigger
    assert (intervals["start_at"], intervals["end_at"]) == ("2027-01-02T00:00:00Z", "2027-01-11T00:00:00Z")
    instants = read(dag(f'schedule=CronTriggerTimetable("@daily", timezone="UTC"), {bounds}')).trigger
    assert (instants["start_at"], instants["end_at"]) == ("2027-01-01T00:00:00Z", "2027-01-10T00:00:00Z")


def test_dags_without_times_are_started_by_hand() -> None:
    for text in ("schedule=None", 'schedule="@once"', "catchup=False"):
        assert read(dag(text)).trigger == {"type": "manual"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedule=[Dataset('x')]", "datasets"),
        ("schedule=compute()", "`compute` is not known"),
        ("schedule=f'{x}'", "running the file"),
        ('schedule="@continuous"', "@continuous"),
        ('schedule="0 0 * * * 30"', "seconds"),
        ('schedule="0 0 31 2 *"', "never fires"),
        ("schedule=timedelta(milliseconds=5)", "whole number of seconds"),
    ],
)
def test_what_cannot_be_taken_over_is_said_with_its_line(text: str, said: str) -> None:
    entries, unread = entry.every_entry(airflow.entries(f"\n{dag(text)}", "UTC"))
    assert entries == []
    assert unread[0].line == 2
    assert said in unread[0].message


def test_a_file_that_is_not_python_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="not Python"):
        list(airflow.entries("def (:", "UTC"))


def test_airflow_moves_a_missing_time_by_the_gap_and_takes_the_second_copy_of_a_doubled_one() -> None:
    one = read(
        dag('schedule="30 1,2 * * *", start_date=pendulum.datetime(2020, 1, 1, tz="America/New_York"), catchup=False')
    )
    assert [(item.local, item.fires) for item in compare.differences(one, START, 1).items] == [
        ("2027-03-14T03:00:00", "now"), ("2027-03-14T03:30:00", "before"),
        ("2027-11-07T01:30:00", "now"), ("2027-11-07T01:30:00", "before"),
    ]  # fmt: skip
    assert compare.differences(compare.as_before(one), START).items == []
    assert airflow_times.expression("5 4 * * *") == "5 4 * * *"


def flow(**trigger: Any) -> dict[str, Any]:
    shell = {"id": "a", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["echo ${X}", "date"]}
    tasks = [shell, {"id": "b", "type": "io.kestra.plugin.core.log.Log", "message": "hi"}]
    given = {"id": "daily", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "30 1 * * *", **trigger}
    return {"id": "sales", "namespace": "acme", "tasks": tasks, "triggers": [given]}


def of_kestra(**trigger: Any) -> tuple[list[entry.Imported], list[entry.Unread]]:
    return entry.every_entry(kestra.entries([(flow(**trigger), lambda _: 12)], "America/New_York"))


def test_a_flow_becomes_a_workflow() -> None:
    (one,), unread = of_kestra(inputs={"a": 1}, recoverMissedSchedules="LAST", disabled=True, conditions=[1])
    assert unread == []
    assert (one.name, one.line) == ("sales-daily", 12)
    assert one.trigger == {
        "type": "cron", "cron": "30 1 * * *", "timezone": "America/New_York", "catchup": "latest", "input": {"a": 1},
        "enabled": False,
    }  # fmt: skip
    assert one.jobs == {"a": {"run": "echo $${X}\ndate"}, "b": {"uses": "noop", "needs": ["a"]}}
    for said in ("`timezone`", "`conditions` is not taken over", "`b` (io.kestra.plugin.core.log.Log)"):
        assert any(said in note for note in one.notes)
    assert compare.differences(one, START).items == []


def test_kestra_recovers_all_missed_times_by_default_and_knows_seconds_on_request() -> None:
    (one,), _ = of_kestra(cron="0 30 2 * * *", withSeconds=True, timezone="Europe/Berlin")
    assert (one.trigger["cron"], one.trigger["catchup"]) == ("30 2 * * *", "all")
    assert [item.local for item in compare.differences(one, START, 1).items] == ["2027-03-28T03:00:00"]
    assert compare.differences(compare.as_before(one), START).items == []


@pytest.mark.parametrize(
    "trigger",
    [{"type": "io.kestra.plugin.core.trigger.Flow"}, {"cron": "* * *"}, {"cron": "5 0 1 * * *", "withSeconds": True}],
)
def test_other_triggers_and_seconds_are_said_with_their_line(trigger: dict[str, Any]) -> None:
    entries, unread = of_kestra(**trigger)
    assert entries == []
    assert unread[0].line == 12
