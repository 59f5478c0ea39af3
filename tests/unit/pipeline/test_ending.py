"""Tasks of sources end, also where a library swallows that they were cancelled."""

import asyncio

import pytest

from workflow_scheduler.pipeline.sources.ending import end


async def stubborn(times, begun):
    """Swallow so many cancellations, as `asyncio.wait_for` may."""
    begun.set()
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def started(times):
    begun = asyncio.Event()
    task = asyncio.ensure_future(stubborn(times, begun))
    await begun.wait()
    return task


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again(monkeypatch):
    monkeypatch.setattr("workflow_scheduler.pipeline.sources.ending.AGAIN_SECONDS", 0)
    tasks = [await started(0), await started(3)]
    await end(tasks)
    assert all(task.cancelled() for task in tasks)


async def test_who_is_cancelled_meanwhile_still_ends_them_all_and_then_is(monkeypatch):
    monkeypatch.setattr("workflow_scheduler.pipeline.sources.ending.AGAIN_SECONDS", 0)
    task = await started(2)
    ending = asyncio.ensure_future(end([task]))
    asyncio.get_running_loop().call_soon(ending.cancel)
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.cancelled()


async def test_how_a_task_ended_is_nobodys_business_any_more():
    async def failing():
        raise ValueError

    task = asyncio.ensure_future(failing())
    await end([task])
    assert task.done()
