"""DBOS: durable one-step workflows, a chain of 100 steps, and one after the other. Run by bench/peers/run.py."""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS

DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "log_level": "ERROR"})


@DBOS.step()
def step(number: int) -> int:
    """Return what it was given."""
    return number


@DBOS.workflow()
def one_step(number: int) -> int:
    """Do one step."""
    return step(number)


@DBOS.workflow()
def chain(length: int) -> None:
    """Do `length` steps, one after the other."""
    for number in range(length):
        step(number)


def main(count: int = 300) -> None:
    """Measure and print JSON."""
    DBOS.launch()
    one_step(0)
    begin = time.perf_counter()
    for handle in [DBOS.start_workflow(one_step, number) for number in range(count)]:
        handle.get_result()
    runs = count / (time.perf_counter() - begin)
    begin = time.perf_counter()
    chain(100)
    per_job = (time.perf_counter() - begin) * 10
    begin = time.perf_counter()
    for number in range(100):
        one_step(number)
    serial = 100 / (time.perf_counter() - begin)
    print(json.dumps({"runs": runs, "chain_ms": per_job, "serial": serial}))
    DBOS.destroy()


main()
