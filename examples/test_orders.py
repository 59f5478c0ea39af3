"""How a workflow and its triggers are tested: docs/how-to/testing.md."""

from __future__ import annotations

from collections.abc import Callable

from workflow_scheduler.client import Cron, Webhook, WorkflowBuilder, task
from workflow_scheduler.testing.requests import webhook
from workflow_scheduler.testing.workflows import WorkflowTest

ORDERS = (
    WorkflowBuilder(
        "orders",
        timezone="Europe/Berlin",
        triggers={
            "placed": Webhook(path="orders", signature={"scheme": "none"}, condition="event.data.amount > 100"),
            "mornings": Cron("0 8 * * *", input={"amount": 0}),
        },
    )
    .add(task("check").tool("noop").input(output="${has(event.data.amount) ? event.data.amount : 0}"))
    .add(task("publish").tool("noop").input(output="${jobs.check.output}"))
    .build()
)


async def test_large_orders_are_published_and_each_morning_there_is_a_run(
    workflow_test: Callable[..., WorkflowTest],
) -> None:
    """The clock goes on by a day at once."""
    async with workflow_test(ORDERS) as t:
        publish = t.stub("publish", output={"ok": True})
        await t.send(webhook("orders", {"amount": 500}))
        await t.send(webhook("orders", {"amount": 5}))
        assert [run.status for run in t.runs] == ["SUCCEEDED"]
        assert publish.calls == [{"output": 500}]
        await t.advance("1d")
        assert t.runs[-1].scheduled_for == "2027-01-06T07:00:00Z"
        assert t.runs[-1].jobs["publish"]["output"] == {"ok": True}
