"""What the tests of overlap share: a workflow that one event starts, its fires, and the ends of its runs."""

import msgspec

from workflow_scheduler.core.model.run import RunStatus


def on_event(overlap, name="paid"):
    return {name: {"type": "event", "event": "order_paid", "overlap": overlap}}


async def rest(instance):
    """Let everything come to rest, the reading of graphs included."""
    await instance.settle()
    await instance.until(lambda: not instance.launcher._loading)


async def fire(instance, number=0, **data):
    event = instance.event(key=f"e{number}", data=msgspec.json.encode({"n": number, **data}))
    receipt = await instance.inbox.accept(event)
    await rest(instance)
    return receipt


async def runs(instance):
    """Return (number of the event, status) of every run, in their order."""
    rows = await instance.all("SELECT input, status FROM runs ORDER BY id")
    return [(msgspec.json.decode(row[0]).get("n"), row[1]) for row in rows]


async def decided(instance):
    rows = await instance.all("SELECT outcome, reason FROM decisions ORDER BY event_id")
    return [tuple(row) for row in rows]


async def end_first(instance, status=RunStatus.SUCCEEDED):
    """End the run that has been under way longest, and return it."""
    run_id = min(instance.engine.tasks)
    await instance.engine.finish(run_id, status)
    await rest(instance)
    return run_id
