"""Dependencies in the test kit: windows end at their own instant, and what is said about it is true."""

from workflow_scheduler.testing.workflows import WorkflowTest


def flow(name, **triggers):
    return {"version": 1, "name": name, "triggers": triggers or {"hand": {"type": "manual"}},
            "jobs": {"work": {"uses": "noop"}}}  # fmt: skip


async def test_a_missed_deadline_starts_its_run_in_time_and_is_explained():
    window = {"kind": "deadline", "by": "12:30"}
    report = flow("report", after={"type": "workflow", "all": ["sales", "stock"], "window": window, "on_miss": "run"})
    alarm = flow(
        "alarm", told={"type": "event", "event": "dependency_missed", "condition": "event.data.missing == 'b'"}
    )
    tells = flow("tells", after={"type": "workflow", "all": ["sales", "b"], "window": "5m", "on_miss": "tell"})
    async with WorkflowTest(flow("sales"), flow("stock"), flow("b"), report, alarm, tells) as t:
        await t.http.post("/api/v1/triggers/workflows/sales/manual", json={})
        await t.advance("1h")
        runs = {run.workflow: run for run in t.runs}
        assert set(runs) == {"sales", "report", "alarm"}
        assert runs["alarm"].created_at[:16] == "2027-01-05T12:05"
        assert runs["report"].created_at[:16] == "2027-01-05T12:30"
        assert runs["report"].input["missing"] == ["stock"]
        told = await t.explain(runs["report"].id)
        assert "its window was over at 2027-01-05T12:30:00Z and members were missing" in told["summary"]
        assert told["decision"]["summary"].endswith("it runs without those that were missing (still missing: stock).")
