"""`waits ls|show|answer|link` against a real service."""

import pytest

ASKS = """version: 1
name: asks
jobs:
  approve: {uses: approval, with: {ask: "Publish ${input.n}?", to: [ann], timeout: 1h}}
  publish: {needs: [approve], if: "jobs.approve.output.approved", uses: noop}
"""
FORM = """version: 1
name: form
jobs:
  ask:
    uses: approval
    with:
      ask: How many?
      decision: false
      form: {type: object, required: [count], properties: {count: {type: integer}}}
"""


@pytest.fixture(scope="module")
def asks(service, wfs):
    for name, text in (("asks", ASKS), ("form", FORM)):
        (service.folder / f"{name}.yaml").write_text(text)
        assert wfs("deploy", f"{name}.yaml").code == 0


def begin(wfs, name, *more):
    run = wfs("run", name, *more, "--json").json
    run_id = run.get("run_id") or run["id"]
    for _ in range(200):
        items = wfs("waits", "ls", "--run", run_id, "--json").json["items"]
        if items:
            return run_id, items[0]
    raise AssertionError(wfs("runs", "show", run_id).out)


def ended(wfs, run_id):
    for _ in range(200):
        run = wfs("runs", "show", run_id, "--json").json
        if run["ended_at"]:
            return run
    raise AssertionError(run)


def test_a_wait_is_listed_and_approved(wfs, asks):
    run_id, wait = begin(wfs, "asks", "-d", "n=7")
    listed = wfs("waits", "ls", "--workflow", "asks").out
    assert "Publish 7?" in listed
    assert "ann" in listed
    done = wfs("waits", "answer", wait["id"], "--approve", "--comment", "looks good", "--by", "ann")
    assert (done.code, "ann approved (api): looks good" in done.out) == (0, True)
    run = ended(wfs, run_id)
    assert run["status"] == "SUCCEEDED"
    assert {job["id"]: job["status"] for job in run["jobs"]} == {"approve": "SUCCEEDED", "publish": "SUCCEEDED"}
    assert wfs("waits", "ls", "--run", run_id, "--json").json["items"] == []
    assert wfs("waits", "ls", "--run", run_id, "--status", "all", "--json").json["items"][0]["status"] == "ANSWERED"


def test_a_second_answer_is_too_late(wfs, asks):
    run_id, wait = begin(wfs, "asks", "-d", "n=1")
    assert wfs("waits", "answer", wait["id"], "--reject", "--by", "ann").code == 0
    late = wfs("waits", "answer", wait["id"], "--approve", "--by", "ann")
    assert late.code == 5
    assert "late" in late.err or "closed" in late.err or "answered" in late.err
    assert {job["id"]: job["status"] for job in ended(wfs, run_id)["jobs"]}["publish"] == "SKIPPED"


def test_a_form_is_filled_in_and_checked(wfs, asks):
    run_id, wait = begin(wfs, "form")
    wrong = wfs("waits", "answer", wait["id"], "-d", "count=many")
    assert wrong.code == 2
    assert "count" in wrong.err
    assert wfs("waits", "answer", wait["id"], "-d", "count=3").code == 0
    run = ended(wfs, run_id)
    assert next(job["output"] for job in run["jobs"] if job["id"] == "ask")["answer"] == {"count": 3}


def test_a_link_is_made_and_an_unknown_wait_is_not_found(wfs, asks):
    _, wait = begin(wfs, "asks", "-d", "n=2")
    assert wfs("waits", "link", wait["id"], "--for", "ann").out.strip().startswith("http")
    assert wfs("waits", "show", "no-such-wait").code == 3
    assert wfs("waits", "answer", "no-such-wait", "--approve").code == 3
