"""Maps and loops on the whole program and both stores."""

import pytest
from service_kit import deploy, ended, execute

LOAD = {
    "extract": {"run": "printf '{\"files\": [\"a\", \"b\", \"c d\"]}'", "uses": "run", "with": {"output": "json"}},
    "load": {"needs": ["extract"], "map": "${jobs.extract.output.files}", "max_parallel": 2,
             "run": "echo ${item} ${iteration.index}"},
    "sum": {"needs": ["load"], "uses": "noop",
            "with": {"output": "${jobs.load.output.map(one, one.stdout)}"}},
}  # fmt: skip


async def test_a_map_over_a_list_that_a_command_printed(service):
    await deploy(service, "load", LOAD)
    run, jobs = await ended(service, await execute(service, "load"))
    assert run["output"] == ["a 0\n", "b 1\n", "c d 2\n"], run
    assert sorted(jobs) == ["extract", "load", "load[0]", "load[1]", "load[2]", "sum"]
    assert jobs["load[2]"]["output"] == {"exit_code": 0, "stdout": "c d 2\n"}
    logs = (await service.get(f"/api/v1/runs/{run['id']}/logs?job=load[1]")).json()["items"]
    assert [line["line"] for line in logs] == ["b 1"]


async def test_an_ended_run_says_how_parallel_it_was(service):
    naps = {"map": [1, 2, 3], "uses": "sleep_for", "with": {"duration": "300ms"}}
    await deploy(service, "naps", {"nap": naps})
    run_id = await execute(service, "naps")
    assert (await service.get(f"/api/v1/runs/{run_id}")).json()["parallelism"] is None
    await ended(service, run_id)
    found = (await service.get(f"/api/v1/runs/{run_id}")).json()["parallelism"]
    assert found["max"] == 3
    assert found["saved_ms"] == pytest.approx(found["sequential_ms"] - found["elapsed_ms"])
    assert found["sequential_ms"] >= 900


async def test_a_loop_until_its_condition_is_false(service):
    jobs = {"poll": {"while": "iteration.index == 0 || iteration.previous.n < 3", "max_iterations": 9, "delay": "1ms",
                     "uses": "noop", "with": {"output": {"n": "${iteration.index + 1}"}}}}  # fmt: skip
    await deploy(service, "poll", jobs)
    run, _ = await ended(service, await execute(service, "poll"))
    assert run["output"] == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_a_map_of_runs_of_another_workflow(service):
    await deploy(service, "square", {"it": {"uses": "noop", "with": {"output": "${input * input}"}}})
    call = {"map": [1, 2, 3], "uses": "workflow", "with": {"workflow": "square", "input": "${item}"}}
    await deploy(service, "squares", {"all": call})
    run, _ = await ended(service, await execute(service, "squares"))
    assert run["output"] == [1, 4, 9]
    assert len((await service.get("/api/v1/runs?workflow=square")).json()["items"]) == 3


@pytest.mark.parametrize(("job", "field", "line"), [
    ("while: 'true'", "jobs.a.while", 4), ("map: nothing", "jobs.a.map", 4),
    ("for_each: '${item}'", "jobs.a.for_each", 4),
])  # fmt: skip
async def test_what_cannot_be_repeated_is_refused_with_its_place(service, job, field, line):
    text = f"name: w\njobs:\n  a:\n    {job}\n    uses: noop\n"
    headers = {"content-type": "application/yaml"}
    answer = await service.post("/api/v1/workflows", body=text.encode(), headers=headers)
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["line"]) == (field, line)
