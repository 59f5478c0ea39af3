"""Real shapes of scientific workflows run to their end."""

from __future__ import annotations

import json

from workflow_scheduler.core.imports import wfformat
from workflow_scheduler.testing.workflows import WorkflowTest


def montage(width: int) -> bytes:
    """Return an instance of the shape of Montage: projections, differences of neighbours, one model, corrections."""
    projected = [f"mProject_{place:04}" for place in range(width)]
    tasks = [{"name": name, "id": name, "parents": [], "children": []} for name in projected]
    differences = [
        {"name": f"mDiffFit_{place:04}", "id": f"mDiffFit_{place:04}", "children": [],
         "parents": [name, projected[(place + 1) % width]]}
        for place, name in enumerate(projected)
    ]  # fmt: skip
    tasks += differences
    tasks.append({"name": "mConcatFit", "id": "c", "parents": [one["id"] for one in differences], "children": ["m"]})
    tasks.append({"name": "mBgModel", "id": "m", "parents": [], "children": []})
    corrected = [
        {"name": f"mBackground_{place:04}", "id": f"b{place}", "parents": ["m", name], "children": ["a"]}
        for place, name in enumerate(projected)
    ]
    tasks += [*corrected, {"name": "mAdd", "id": "a", "parents": [], "children": []}]
    seen = [{"id": one["id"], "runtimeInSeconds": 600} for one in tasks if one["id"] in {"c", "m", "a"}]
    parts = {"specification": {"tasks": tasks}, "execution": {"tasks": seen}}
    return json.dumps({"name": "montage", "schemaVersion": "1.5", "workflow": parts}).encode()


async def test_more_than_a_thousand_tasks_run_to_the_end_in_their_order():
    definition = wfformat.convert(montage(350), time_scale=0.1).definition
    async with WorkflowTest(definition) as t:
        run = await t.start()
        assert run.ended_at is None
        await t.advance("5m")
        [run] = t.runs
        assert (run.status, len(run.jobs)) == ("SUCCEEDED", 1_053)
        assert {job["status"] for job in run.jobs.values()} == {"SUCCEEDED"}
        for name, job in definition["jobs"].items():
            ends = [run.jobs[need]["ended_at"] for need in job.get("needs", ())]
            assert all(end <= run.jobs[name]["started_at"] for end in ends)
        assert run.ended_at == "2027-01-05T12:03:00Z"
