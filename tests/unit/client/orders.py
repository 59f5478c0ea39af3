"""Jobs and workflows that the tests define, run and import by name."""

from workflow_scheduler.client import Cron, Upstream, Webhook, job, shell, uses, workflow


@job(retry={"attempts": 3, "delay": "10s"}, timeout="15m")
def extract(day: str) -> dict:
    return {"files": [f"{day}-a", f"{day}-b"]}


@job
async def load(file: str, table: str = "orders") -> str:
    return f"{file}->{table}"


@job(run_if="all_done")
def report(loaded: list) -> int:
    return len(loaded)


@workflow(
    name="nightly",
    timezone="America/New_York",
    concurrency={"max_runs": 1},
    triggers={
        "nightly": Cron("0 2 * * *", catchup="latest", jitter="30s"),
        "orders": Webhook(path="orders", signature={"scheme": "none"}, condition="event.data.amount > 100"),
        "upstream": Upstream(all=["sales-etl", {"workflow": "customers", "condition": "on_completion"}], window="6h"),
    },
)
def nightly(day):
    files = extract(day)["files"]
    loaded = load.options(max_parallel=4).map(files, table="orders")
    count = report(loaded)
    shell(f"echo {count}", name="tell", if_="jobs.report.output > 0")
    uses("noop", {"output": "failed"}, name="alert", needs=[{"job": count, "condition": "on_failure"}])


NIGHTLY = """
version: 1
name: nightly
timezone: America/New_York
concurrency: {max_runs: 1}
triggers:
  nightly: {type: cron, cron: "0 2 * * *", catchup: latest, jitter: 30s}
  orders: {type: webhook, path: orders, signature: {scheme: none}, condition: event.data.amount > 100}
  upstream:
    type: workflow
    all: [sales-etl, {workflow: customers, condition: on_completion}]
    window: 6h
jobs:
  extract:
    uses: python
    with: {function: "orders:extract", args: ["${input.day}"]}
    retry: {attempts: 3, delay: 10s}
    timeout: 15m
  load:
    needs: [extract]
    map: "${jobs.extract.output.files}"
    max_parallel: 4
    uses: python
    with: {function: "orders:load", args: ["${item}"], kwargs: {table: orders}}
  report:
    needs: [load]
    run_if: all_done
    uses: python
    with: {function: "orders:report", args: ["${jobs.load.output}"]}
  tell: {needs: [report], if: jobs.report.output > 0, run: "echo ${jobs.report.output}"}
  alert: {needs: [{job: report, condition: on_failure}], uses: noop, with: {output: failed}}
"""
