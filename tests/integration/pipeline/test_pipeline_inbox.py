"""The inbox: one transaction for many events, each counted once, none acknowledged that is not stored."""

import asyncio

import pytest
from plant import ON_EVENT

from workflow_scheduler.core.errors import BadRequest, SchedulerError, StoreUnavailable, Unavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.pipeline import inbox as inboxes


async def test_events_that_come_together_share_a_commit(one):
    await one.deploy("orders", ON_EVENT)
    receipts = await asyncio.gather(*(one.inbox.accept(one.event()) for _ in range(50)))
    assert len(one.store.commits) == 1
    assert len({receipt.run_ids[0] for receipt in receipts}) == 50
    assert (await one.count("events"), await one.count("runs"), await one.count("decisions")) == (50, 50, 50)
    await one.settle()
    assert sorted(one.engine.started) == sorted(receipt.run_ids[0] for receipt in receipts)


async def test_a_repeated_event_starts_nothing_more(one):
    await one.deploy("orders", ON_EVENT)
    first = await one.inbox.accept(one.event(key="k"))
    again = await one.inbox.accept(one.event(key="k"))
    assert again.duplicate
    assert again.event_id == first.event_id
    assert again.run_ids == []
    assert one.counts.duplicates == ["event"]
    assert await one.all("SELECT duplicates FROM events") == [(1,)]
    await one.settle()
    assert len(one.engine.started) == 1


async def test_repeats_within_one_batch_are_found(one):
    await one.deploy("orders", ON_EVENT)
    receipts = await asyncio.gather(*(one.inbox.accept(one.event(key="k")) for _ in range(5)))
    assert len(one.store.commits) == 1
    assert [receipt.duplicate for receipt in receipts].count(True) == 4
    assert len({receipt.event_id for receipt in receipts}) == 1
    await one.until(lambda: one.engine.started)
    await one.settle()
    assert len(one.engine.started) == 1


async def test_the_same_key_of_another_source_or_tenant_is_another_event(one):
    events = [one.event(key="k"), one.event(key="k", source="/till"), one.event(key="k", tenant_id="other")]
    assert [receipt.duplicate for receipt in await one.inbox.accept_all(events)] == [False] * 3


async def test_instances_that_hear_the_same_event_start_it_once(one, two):
    await one.deploy("orders", ON_EVENT)
    pairs = await asyncio.gather(
        *(each.inbox.accept(each.event(key=str(number))) for number in range(20) for each in (one, two))
    )
    assert sum(receipt.duplicate for receipt in pairs) == 20
    await one.settle()
    await two.settle()
    assert len(one.engine.started) + len(two.engine.started) == await one.count("runs") == 20


async def test_an_event_that_waited_for_a_deploy_is_decided_by_it(one):
    """Decided under the old triggers, held at the disk, and decided again because a deploy came first."""
    one.store.gate = asyncio.Event()
    waiting = asyncio.ensure_future(one.inbox.accept(one.event()))
    await one.clock.settle()
    await one.deployments.deploy(*deployable("orders"))
    one.store.gate.set()
    receipt = await waiting
    assert len(receipt.run_ids) == 1
    assert len(one.store.commits) > 1
    assert await one.count("events") == 1


async def test_an_event_that_waited_for_an_undeploy_starts_nothing(one):
    await one.deploy("orders", ON_EVENT)
    await one.inbox.accept(one.event())
    one.store.gate = asyncio.Event()
    waiting = asyncio.ensure_future(one.inbox.accept(one.event()))
    await one.clock.settle()
    await one.deployments.undeploy(deployable("orders")[0], "orders")
    one.store.gate.set()
    assert (await waiting).decisions == []
    assert await one.count("runs") == 1


def deployable(name):
    return LOCAL, name, {"version": 1, "name": name, "triggers": ON_EVENT, "jobs": {"work": {"uses": "noop"}}}


async def test_what_a_refresh_reads_is_never_older_than_its_epoch(one, monkeypatch):
    """A fill that began before the epoch was read must not be kept under it."""
    started, go = asyncio.Event(), asyncio.Event()
    by_key, epoch = one.catalog.by_key, one.store.epoch

    async def slow_by_key(*args):
        found = await by_key(*args)
        started.set()
        await go.wait()
        return found

    async def slow_epoch():
        await started.wait()
        await one.deployments.deploy(*deployable("orders"))
        return await epoch()

    one.cache.moved = lambda _epoch: None
    monkeypatch.setattr(one.catalog, "by_key", slow_by_key)
    monkeypatch.setattr(one.store, "epoch", slow_epoch, raising=False)
    refreshing = asyncio.ensure_future(one.cache.refresh())
    finding = asyncio.ensure_future(one.cache.find(one.event()))
    await refreshing
    go.set()
    await finding
    monkeypatch.undo()
    assert [found.trigger.name for found in await one.cache.find(one.event())] == ["paid"]


async def test_a_full_disk_acknowledges_nothing_and_is_forgotten_when_it_is_over(one):
    await one.deploy("orders", ON_EVENT)
    one.store.fail = 1
    with pytest.raises(StoreUnavailable):
        await one.inbox.accept(one.event(key="k"))
    await one.settle()
    assert await one.count("events") == 0
    assert one.engine.started == []
    receipt = await one.inbox.accept(one.event(key="k"))
    assert not receipt.duplicate
    await one.clock.advance(60)
    await one.settle()
    assert one.engine.started == receipt.run_ids


async def test_runs_of_a_commit_without_an_answer_are_launched_once(one):
    """The connection was lost after the commit; the sender tries again and is a duplicate, so nobody else would."""
    await one.deploy("orders", ON_EVENT)
    one.store.lose = 1
    with pytest.raises(StoreUnavailable):
        await one.inbox.accept(one.event(key="k"))
    again = await one.inbox.accept(one.event(key="k"))
    assert again.duplicate
    for _ in range(30):
        await one.clock.advance(1)
        await one.settle()
    assert await one.all("SELECT id FROM runs") == [(one.engine.started[0],)]
    assert len(one.engine.started) == 1


async def test_doubts_have_a_limit(one, monkeypatch):
    await one.deploy("orders", ON_EVENT)
    monkeypatch.setattr("workflow_scheduler.pipeline.doubts.DOUBTFUL_RUNS_MAX", 3)
    one.store.fail = 1
    with pytest.raises(StoreUnavailable):
        await one.inbox.accept_all([one.event() for _ in range(3)])
    with pytest.raises(Unavailable):
        await one.inbox.accept(one.event())
    for _ in range(30):
        await one.clock.advance(1)
        await one.settle()
    assert len((await one.inbox.accept(one.event())).run_ids) == 1


async def test_an_event_that_cannot_be_stored_fails_alone(one):
    await one.deploy("orders", ON_EVENT)
    events = [one.event(), one.event(depth=2**70), one.event()]
    results = await asyncio.gather(*(one.inbox.accept(event) for event in events), return_exceptions=True)
    assert [isinstance(result, SchedulerError) for result in results] == [False, True, False]
    assert not isinstance(results[1], StoreUnavailable)
    assert await one.count("runs") == 2


async def test_too_many_waiting_events_are_refused(one, monkeypatch):
    monkeypatch.setattr(inboxes, "WAITING_ENTRIES_MAX", 3)
    one.store.gate = asyncio.Event()
    first = [asyncio.ensure_future(one.inbox.accept(one.event())) for _ in range(2)]
    await one.clock.settle()
    late = [asyncio.ensure_future(one.inbox.accept(one.event())) for _ in range(12)]
    await one.clock.settle()
    refused = [task for task in late if task.done()]
    assert refused
    assert all(isinstance(task.exception(), Unavailable) for task in refused)
    assert refused[0].exception().retry_after_seconds == 1
    one.store.gate.set()
    kept = [task for task in first + late if task not in refused]
    await asyncio.gather(*kept)
    assert await one.count("events") == len(kept)


async def test_large_events_are_limited_by_their_size(one, monkeypatch):
    monkeypatch.setattr(inboxes, "WAITING_BYTES_MAX", 1000)
    one.store.gate = asyncio.Event()
    big = asyncio.ensure_future(one.inbox.accept(one.event(data=b'"' + b"x" * 1200 + b'"')))
    await one.clock.settle()
    with pytest.raises(Unavailable):
        await one.inbox.accept(one.event())
    one.store.gate.set()
    await big
    assert not (await one.inbox.accept(one.event())).duplicate


async def test_a_second_run_of_the_same_trigger_and_key_is_refused_and_said(one):
    """Two sources tell the same key to one trigger: two events, one run."""
    await one.deploy("orders", ON_EVENT)
    first = await one.inbox.accept(one.event(key="k"))
    second = await one.inbox.accept(one.event(key="k", source="/till"))
    assert not second.duplicate
    assert second.run_ids == []
    assert [(one_.outcome, one_.reason, one_.run_id) for one_ in second.decisions] == [
        ("duplicate", "already_seen", first.run_ids[0])
    ]
    await one.settle()
    assert one.engine.started == first.run_ids


async def test_nothing_to_accept_is_nothing(one):
    assert await one.inbox.accept_all([]) == []
    assert one.store.commits == []


async def test_a_thousand_waiting_events_are_written_in_portions(one, monkeypatch):
    monkeypatch.setattr(inboxes, "BATCH_ENTRIES_MAX", 40)
    await asyncio.gather(*(one.inbox.accept(one.event()) for _ in range(100)))
    assert max(len(batch.accepted) for batch in one.store.commits) == 40
    assert await one.count("events") == 100


@pytest.mark.parametrize("given", [{"key": "a\0b"}, {"key": "k" * 3000}, {"subject": "a\0b"}, {"source": "s\ud800"}])
async def test_what_a_database_could_not_keep_is_refused_on_both(one, given):
    with pytest.raises(BadRequest):
        await one.inbox.accept(one.event(**given))
    assert one.store.commits == []
    assert not (await one.inbox.accept(one.event(key="k" * 1500, subject="☃" * 1000))).duplicate


async def test_an_escaped_nul_in_the_payload_is_kept(one):
    await one.deploy("orders", ON_EVENT)
    receipt = await one.inbox.accept(one.event(data=b'{"amount":"\\u0000"}'))
    assert await one.all("SELECT input FROM runs WHERE id = :id", id=receipt.run_ids[0]) == [(b'{"amount":"\\u0000"}',)]
