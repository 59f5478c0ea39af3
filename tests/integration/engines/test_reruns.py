"""Ended runs that are run again, whole or from what failed, on the whole program and both stores."""

from service_kit import deploy, ended, execute

BREAKS = {
    "load": {"uses": "noop", "with": {"output": "${input.n}"}},
    "check": {"needs": ["load"], "uses": "noop", "if": "input.n > 100"},
    "send": {"needs": ["load"], "run": 'test -e "${input.flag}"'},
    "after": {"needs": ["send"], "uses": "noop", "with": {"output": "${jobs.load.output}"}},
    "tell": {"needs": ["send"], "run_if": "at_least_one_failed", "uses": "noop"},
}


async def broken(client, tmp_path, jobs=BREAKS, **more):
    """Deploy and run what fails while a file is missing; return the run, its jobs, and the file."""
    flag = tmp_path / "flag"
    await deploy(client, "flow", jobs, **more)
    run, found = await ended(client, await execute(client, "flow", {"n": 7, "flag": str(flag)}))
    assert run["status"] == "FAILED", found
    return run, found, flag


async def rerun(client, run_id, status=201, headers=None, **body):
    answer = await client.request("POST", f"/api/v1/runs/{run_id}/rerun", json=body, headers=headers or {})
    assert answer.status == status, answer.text
    return answer.json()


def statuses(jobs):
    return {name: job["status"] for name, job in jobs.items()}


async def test_from_the_failed_job_good_results_are_kept_and_what_comes_after_runs_again(service, tmp_path):
    first, before, flag = await broken(service, tmp_path)
    assert (before["tell"]["status"], before["after"]["status"]) == ("SUCCEEDED", "SKIPPED")
    flag.touch()
    started = await rerun(service, first["id"], from_failed=True)
    assert (started["kept"], started["again"]) == (["load"], ["check", "send", "after", "tell"])
    run, jobs = await ended(service, started["run_id"])
    assert (run["status"], run["rerun_of"], jobs["after"]["output"]) == ("SUCCEEDED", first["id"], 7)
    assert run["id"] != first["id"]
    assert statuses(jobs) == {
        "load": "SUCCEEDED", "check": "SKIPPED", "send": "SUCCEEDED", "after": "SUCCEEDED", "tell": "SKIPPED",
    }  # fmt: skip
    assert {name for name, job in jobs.items() if job["reused_from"]} == {"load"}
    assert jobs["load"]["reused_from"] == first["id"]
    assert jobs["load"]["ended_at"] == before["load"]["ended_at"]
    shown = (await service.get(f"/api/v1/runs/{run['id']}")).json()
    assert shown["provenance"]["rerun_of"] == first["id"]
    why = (await service.get(f"/api/v1/runs/{run['id']}/explain")).json()
    assert f"Rerun of run {first['id']}" in why["summary"]
    assert (why["decision"]["outcome"], why["decision"]["reason"]) == ("run_started", "rerun")
    assert why["decision"]["predicates"][0]["actual"]["again"] == ["check", "send", "after", "tell"]


async def test_a_whole_rerun_does_everything_again_also_of_a_run_that_succeeded(service):
    await deploy(service, "flow", {"a": {"uses": "noop", "with": {"output": "${input.n}"}}})
    first, _ = await ended(service, await execute(service, "flow", {"n": 1}))
    again, jobs = await ended(service, (await rerun(service, first["id"]))["run_id"])
    assert (again["status"], again["output"], jobs["a"]["reused_from"]) == ("SUCCEEDED", 1, None)
    edited, _ = await ended(service, (await rerun(service, first["id"], input={"n": 2}))["run_id"])
    assert (edited["output"], edited["input"]) == (2, {"n": 2})
    refused = await rerun(service, first["id"], 409, from_failed=True)
    assert "no job of it failed" in refused["detail"]


async def test_with_an_edited_input_kept_outputs_stay(service, tmp_path):
    first, _, flag = await broken(service, tmp_path)
    flag.touch()
    started = await rerun(service, first["id"], from_failed=True, input={"n": 8, "flag": str(flag)})
    run, jobs = await ended(service, started["run_id"])
    assert (run["status"], run["input"]["n"], jobs["after"]["output"]) == ("SUCCEEDED", 8, 7)


async def test_the_same_key_starts_one_rerun(service, tmp_path):
    first, _, _ = await broken(service, tmp_path)
    key = {"idempotency-key": "again-1"}
    one = await rerun(service, first["id"], headers=key, from_failed=True)
    two = await rerun(service, first["id"], headers=key, from_failed=True)
    assert one["run_id"] == two["run_id"]
    other = await rerun(service, first["id"], from_failed=True)
    assert other["run_id"] != one["run_id"]


async def test_a_rerun_of_a_rerun_names_the_run_that_did_the_work(service, tmp_path):
    first, _, flag = await broken(service, tmp_path)
    second, _ = await ended(service, (await rerun(service, first["id"], from_failed=True))["run_id"])
    assert second["status"] == "FAILED"
    flag.touch()
    third, jobs = await ended(service, (await rerun(service, second["id"], from_failed=True))["run_id"])
    assert (third["status"], third["rerun_of"]) == ("SUCCEEDED", second["id"])
    assert jobs["load"]["reused_from"] == first["id"]


async def test_on_the_live_version_changed_jobs_run_again_with_those_after_them(service, tmp_path):
    first, _, flag = await broken(service, tmp_path)
    flag.touch()
    await deploy(service, "flow", {**BREAKS, "load": {"uses": "noop", "with": {"output": "${input.n * 2}"}}})
    started = await rerun(service, first["id"], from_failed=True, version="live")
    assert (started["changed"], started["kept"], started["version"]) == (["load"], [], 2)
    run, jobs = await ended(service, started["run_id"])
    assert (run["status"], run["version"], jobs["after"]["output"]) == ("SUCCEEDED", 2, 14)
    same = await rerun(service, first["id"], from_failed=True)
    assert (same["version"], same["kept"]) == (1, ["load"])


async def test_an_open_run_is_refused_and_a_cancelled_one_goes_on(service):
    jobs = {"a": {"uses": "noop"}, "nap": {"uses": "sleep_for", "needs": ["a"], "with": {"duration": "${input.d}"}}}
    await deploy(service, "flow", jobs)
    run_id = await execute(service, "flow", {"d": "30s"})
    refused = await rerun(service, run_id, 409)
    assert "has not ended" in refused["detail"]
    await service.post(f"/api/v1/runs/{run_id}/cancel", json={})
    run, _ = await ended(service, run_id)
    assert run["status"] == "CANCELLED"
    started = await rerun(service, run_id, from_failed=True, input={"d": "10ms"})
    run, found = await ended(service, started["run_id"])
    assert (run["status"], started["kept"], found["a"]["reused_from"]) == ("SUCCEEDED", ["a"], run_id)


async def test_of_a_map_only_the_failed_instances_run_again(service, tmp_path):
    marks = tmp_path / "marks"
    work = f"echo ${{item}} >> {marks}; test ${{item}} != 2 || test -e {tmp_path}/flag"
    jobs = {"each": {"map": [1, 2, 3], "run": work}, "sum": {"needs": ["each"], "uses": "noop"}}
    first, _, flag = await broken(service, tmp_path, jobs)
    assert sorted(marks.read_text().split()) == ["1", "2", "3"]
    flag.touch()
    run, found = await ended(service, (await rerun(service, first["id"], from_failed=True))["run_id"])
    assert run["status"] == "SUCCEEDED"
    assert sorted(marks.read_text().split()) == ["1", "2", "2", "3"]
    assert {name for name, job in found.items() if job["reused_from"]} == {"each[0]", "each[2]"}
    assert len(found["each"]["output"]) == 3


async def test_a_loop_goes_on_after_its_last_good_iteration(service, tmp_path):
    marks = tmp_path / "marks"
    work = f"echo ${{item}} >> {marks}; test ${{item}} != 2 || test -e {tmp_path}/flag"
    first, _, flag = await broken(service, tmp_path, {"each": {"for_each": [1, 2, 3], "run": work}})
    flag.touch()
    before = marks.read_text().split()
    run, _ = await ended(service, (await rerun(service, first["id"], from_failed=True))["run_id"])
    assert run["status"] == "SUCCEEDED"
    assert before[0] == "1"
    assert marks.read_text().split()[len(before) :] == ["2", "3"]


async def test_a_rerun_waits_for_its_turn_where_runs_must_not_overlap(service):
    jobs = {"nap": {"uses": "sleep_for", "with": {"duration": "${input.d}"}}}
    await deploy(service, "flow", jobs, overlap="queue_all")
    first, _ = await ended(service, await execute(service, "flow", {"d": "1ms"}))
    other = await execute(service, "flow", {"d": "30s"})
    started = await rerun(service, first["id"])
    assert (started["waiting"], started["status"]) == (True, "QUEUED")
    await service.post(f"/api/v1/runs/{other}/cancel", json={})
    run, _ = await ended(service, started["run_id"])
    assert run["status"] == "SUCCEEDED"


async def test_bad_requests_are_refused(service, tmp_path):
    first, _, _ = await broken(service, tmp_path)
    assert (await rerun(service, "no-such-run", 404))["code"] == "not_found"
    refused = await rerun(service, first["id"], 422, version="newest")
    assert refused["errors"][0]["field"].endswith("version")


async def test_what_is_stored_goes_on_on_another_instance(start, tmp_path):
    application, client = await start()
    first, _, flag = await broken(client, tmp_path)
    flag.touch()

    async def lost(run):
        """Take the run for lost, as after a kill right behind the commit."""

    application.reruns._adopts.adopt = lost
    started = await rerun(client, first["id"], from_failed=True)
    await application.stop()
    _, other = await start()
    run, jobs = await ended(other, started["run_id"])
    assert (run["status"], jobs["load"]["reused_from"]) == ("SUCCEEDED", first["id"])
