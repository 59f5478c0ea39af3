"""`runs rerun` against a real service."""

import pytest

PARTS = """version: 1
name: parts
jobs:
  good: {run: "echo ${input.n}"}
  bad: {needs: [good], run: "exit ${input.code}"}
"""


@pytest.fixture(scope="module")
def failed(service, wfs):
    (service.folder / "parts.yaml").write_text(PARTS)
    assert wfs("deploy", "parts.yaml").code == 0
    done = wfs("run", "parts", "-d", "n=1", "-d", "code=3", "--wait", "--json")
    assert (done.code, done.json["status"]) == (1, "FAILED")
    return done.json["id"]


def test_a_failed_run_shows_how_to_go_on(wfs, failed):
    assert f"next: workflow-scheduler runs rerun {failed} --from-failed" in wfs("runs", "show", failed).out


def test_one_field_of_the_input_is_changed_and_good_results_are_kept(wfs, failed):
    done = wfs("runs", "rerun", failed, "--from-failed", "-d", "code=0", "--wait", "--json")
    assert (done.code, done.json["status"], done.json["input"]) == (0, "SUCCEEDED", {"n": 1, "code": 0})
    assert {job["id"]: job["reused_from"] for job in done.json["jobs"]} == {"good": failed, "bad": None}
    shown = wfs("runs", "show", done.json["id"]).out
    assert f"repeats run {failed}" in shown
    assert "SUCCEEDED (kept)" in shown
    assert f"Rerun of run {failed}" in wfs("explain", done.json["id"]).out


def test_what_failed_again_is_exit_code_1_and_one_key_starts_one_rerun(wfs, failed):
    assert wfs("runs", "rerun", failed, "--wait").code == 1
    first = wfs("runs", "rerun", failed, "--key", "once", "--json").json["run_id"]
    assert wfs("runs", "rerun", failed, "--key", "once", "--json").json["run_id"] == first
    assert wfs("runs", "rerun", "no-such-run").code == 3
