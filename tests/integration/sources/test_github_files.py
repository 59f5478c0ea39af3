"""Files that GitHub does not send are asked for before `paths` is decided; what cannot be had leaves it undecided."""

import msgspec
import pytest
from servers.github import GitHub

from workflow_scheduler.testing.sources import SourceBench

PUSH = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "size": 30, "created": False, "forced": False,
        "commits": [{"id": "c", "added": [], "removed": [], "modified": ["README.md"]}] * 20}  # fmt: skip
PULL = {"action": "opened", "number": 7, "pull_request": {"number": 7, "base": {"ref": "main"}}}
PATHS = {"push": {"paths": ["src/**"]}, "pull_request": {"paths": ["src/**"]}}


class Bench(SourceBench):
    """The service with one trigger that looks at paths, and what it decided last."""

    async def decided(self, event, payload):
        peer = self.peer
        await peer.deliver(self.http, event, {**payload, "repository": {"full_name": peer.repository}})
        assert peer.kept[-1]["status_code"] == 202
        rows = await self.app.store.read(
            "SELECT d.outcome, d.reason, e.attributes FROM decisions d JOIN events e ON e.id = d.event_id "
            "ORDER BY d.event_id DESC LIMIT 1"
        )
        outcome, reason, attributes = rows[0]
        return (outcome, reason), msgspec.json.decode(attributes)


@pytest.fixture
async def bench(tmp_path):
    peer = GitHub()
    await peer.start()
    async with Bench(tmp_path, peer) as made:
        await made.deploy(events=PATHS)
        yield made
    await peer.stop()


@pytest.mark.parametrize("event", ["push", "pull_request"])
async def test_files_that_github_leaves_out_decide(bench, event):
    payload = PUSH if event == "push" else PULL
    bench.peer.files = [f"docs/{number}.md" for number in range(70)]
    assert (await bench.decided(event, payload))[0] == ("filtered", "predicate_false")
    bench.peer.files.append("src/app.py")
    (decision, attributes) = await bench.decided(event, payload)
    assert decision == ("run_started", "matched")
    assert attributes["files"][-1] in {"src/app.py", "old/src/app.py"}


async def test_a_list_that_is_whole_is_not_asked_for(bench):
    whole = {**PUSH, "size": 20}
    before = len(bench.peer.asked)
    assert (await bench.decided("push", {**whole, "commits": whole["commits"][:1], "size": 1}))[0][0] == "filtered"
    assert not any("compare" in path for path in bench.peer.asked[before:])


@pytest.mark.parametrize("why", ["too many", "forced", "limit", "new branch"])
async def test_what_cannot_be_had_leaves_the_paths_undecided_and_the_workflow_runs(bench, why):
    bench.peer.files = ["docs/a.md"]
    payload = PUSH
    if why == "too many":
        bench.peer.files = [f"docs/{number}.md" for number in range(400)]
    elif why == "forced":
        bench.peer.behind = 3
    elif why == "limit":
        bench.peer.refusals = [(429, {"Retry-After": "60"})] * 5
    else:
        payload = {**PUSH, "before": "0" * 40}
    (decision, attributes) = await bench.decided("push", payload)
    assert decision == ("run_started", "unknown_fired")
    assert ("files_missing" in attributes) == (why == "limit")
