"""Candidates: found by key, by sub key where many share one, in bounded memory, and never older than a deploy."""

import msgspec
import pytest

from workflow_scheduler.core.match.keys import trigger_keys
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.pipeline import candidates
from workflow_scheduler.triggers import github

REPOSITORY = "acme/shop"


async def plant(instance, count, branch):
    """Insert `count` GitHub triggers for pushes to a branch, straight into the tables."""
    config = {"repository": REPOSITORY, "secret": "gh", "events": {"push": {"branches": [branch]}}}
    parsed = github.Config.model_validate(config)

    def work():
        for number in range(count):
            name = f"{branch}-{number}"
            row = {"id": name, "name": name, "config": msgspec.json.encode(config).decode(), "key": REPOSITORY}
            yield Sql(
                "INSERT INTO workflows (tenant_id, id, name, live_version, latest_version, deployment_status, "
                "created_at, updated_at) VALUES ('local', :id, :name, 1, 1, 'DEPLOYED', 0, 0)",
                {"id": name, "name": name},
            )
            yield Sql(
                "INSERT INTO trigger_index (tenant_id, id, workflow_id, workflow_version, name, trigger_subtype, "
                "trigger_config, index_key, created_at, updated_at) "
                "VALUES ('local', :id, :id, 1, :name, 'github', :config, :key, 0, 0)",
                row,
            )
            for key, sub in trigger_keys(github, parsed, tenant_id="local", workflow_id=name, trigger_id=name):
                yield Sql(
                    "INSERT INTO trigger_keys (tenant_id, trigger_subtype, index_key, sub_key, trigger_id) "
                    "VALUES ('local', 'github', :key, :sub, :id)",
                    {"key": key, "sub": sub, "id": name},
                )
        yield Sql("UPDATE index_epoch SET epoch = epoch + 1")

    await instance.store.transact(work())
    await instance.hear()


def push(branch, **given):
    body = msgspec.json.encode(
        {"ref": f"refs/heads/{branch}", "repository": {"full_name": REPOSITORY, "owner": {"login": "acme"}}}
    )
    request = given.pop("instance").post("/", body, x_github_event="push", x_github_delivery=branch)
    (heard,) = github.parse(None, request)
    return Event(
        id="e", tenant_id="local", provider="github", source=heard.source, type=heard.type, event_key="k", time=0,
        received_at=0, data=heard.data, attributes=heard.attributes, index_keys=heard.index_keys,
        sub_keys=heard.sub_keys,
    )  # fmt: skip


def names(bucket):
    return {compiled.trigger.id for compiled in bucket}


async def test_few_triggers_of_a_key_are_one_bucket(one):
    await plant(one, 3, "main")
    event = push("main", instance=one)
    assert one.cache.cached(event) is None
    assert names(await one.cache.find(event)) == {"main-0", "main-1", "main-2"}
    assert names(one.cache.cached(event)) == {"main-0", "main-1", "main-2"}
    other = Event(**{name: getattr(event, name) for name in event.__struct_fields__} | {"tenant_id": "other"})
    assert await one.cache.find(other) == ()


async def test_a_hot_key_is_looked_up_by_sub_key(one):
    await plant(one, 70, "main")
    await plant(one, 5, "release")
    reads = []
    by_sub_key = one.catalog.by_sub_key

    async def counted(*args):
        found = await by_sub_key(*args)
        reads.append(len(found))
        return found

    one.catalog.by_sub_key = counted
    event = push("release", instance=one)
    assert names(await one.cache.find(event)) == {f"release-{number}" for number in range(5)}
    assert sum(reads) == 5
    assert names(one.cache.cached(event)) == {f"release-{number}" for number in range(5)}
    assert len(await one.cache.find(push("main", instance=one))) == 70
    assert await one.cache.find(push("nothing", instance=one)) == ()


async def test_memory_is_bounded(one, monkeypatch):
    monkeypatch.setattr(candidates, "CACHED_TRIGGERS_MAX", 10)
    for number in range(30):
        await one.cache.find(one.event(type=f"kind{number}"))
    assert len(one.cache._buckets) <= 10
    assert one.cache._size <= 10
    assert one.cache.cached(one.event(type="kind29")) is not None
    assert one.cache.cached(one.event(type="kind0")) is None


async def test_a_changed_index_empties_the_cache(one):
    event = push("main", instance=one)
    assert await one.cache.find(event) == ()
    await plant(one, 2, "main")
    assert one.cache.cached(event) is None
    assert len(await one.cache.find(event)) == 2


async def test_a_fill_that_an_index_change_overtook_is_not_kept(one):
    by_key = one.catalog.by_key

    async def slow(*args):
        found = await by_key(*args)
        one.catalog.by_key = by_key
        await plant(one, 1, "main")
        return found

    event = push("main", instance=one)
    one.catalog.by_key = slow
    await one.cache.find(event)
    assert len(await one.cache.find(event)) == 1


@pytest.mark.parametrize("epochs", [[3, 2], [3, 3]])
def test_an_older_epoch_is_no_news(epochs):
    cache = candidates.CandidateCache(None, None, {})
    cache.moved(epochs[0])
    cache._buckets["x", "y", "z", ""] = ()
    cache.moved(epochs[1])
    assert cache.epoch == 3
    assert cache._buckets


async def test_a_trigger_with_a_broken_configuration_is_decided_too(one):
    await plant(one, 2, "main")
    await one.write("UPDATE trigger_index SET trigger_config = :text WHERE id = 'main-0'", text='{"repository": 7}')
    await one.cache.refresh()
    event = one.inbox.event(
        github.parse(None, one.post("/", push("main", instance=one).data, x_github_event="push"))[0],
        tenant_id="local", provider="github",
    )  # fmt: skip
    receipt = await one.inbox.accept(event)
    assert sorted((found.trigger_id, found.reason) for found in receipt.decisions) == [
        ("main-0", "malformed"), ("main-1", "matched"),
    ]  # fmt: skip
