"""Workflows after others: `any` fires each time, `all` once per round, whatever happens in between."""

import asyncio

import msgspec
import pytest
from plant import Instance

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunStatus


def after(**members):
    ((kind, names),) = members.items()
    return {"after": {"type": "workflow", kind: [{"workflow": name} for name in names]}}


BOTH = after(all=["sales", "stock"])


@pytest.fixture
async def upstreams(one):
    await one.deploy_by_hand("sales", "stock", "costs")
    return one


async def runs_of(instance, name):
    rows = await instance.all("SELECT input FROM runs WHERE workflow = :name ORDER BY id", name=name)
    return [msgspec.json.decode(row[0]) for row in rows]


async def last_decision(instance, name="report"):
    rows = await instance.all(
        "SELECT d.outcome, d.reason, d.predicates FROM decisions d JOIN workflows w ON w.tenant_id = d.tenant_id "
        "AND w.id = d.workflow_id WHERE w.name = :name ORDER BY d.event_id DESC LIMIT 1",
        name=name,
    )
    return rows[0][0], rows[0][1], msgspec.json.decode(rows[0][2])


async def test_any_fires_for_each_end_that_counts(upstreams):
    await upstreams.deploy("report", after(any=["sales", "stock"]))
    await upstreams.end_run("sales")
    await upstreams.end_run("stock")
    await upstreams.end_run("sales", RunStatus.FAILED)
    await upstreams.end_run("costs")
    found = await runs_of(upstreams, "report")
    assert [(one["workflow_name"], one["status"]) for one in found] == [("sales", "SUCCEEDED"), ("stock", "SUCCEEDED")]


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        ("on_success", ["SUCCEEDED"]),
        ("on_failure", ["FAILED"]),
        ("on_completion", ["SUCCEEDED", "FAILED", "CANCELLED"]),
    ],
)
async def test_conditions(upstreams, condition, fires):
    members = [{"workflow": "sales", "condition": condition}]
    await upstreams.deploy("report", {"after": {"type": "workflow", "any": members}})
    for status in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED):
        await upstreams.end_run("sales", status)
    assert [one["status"] for one in await runs_of(upstreams, "report")] == fires


async def test_all_fires_once_when_the_last_one_has_ended_and_then_begins_again(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales", output=b'{"rows":7}')
    outcome, reason, lines = await last_decision(upstreams)
    assert (outcome, reason) == ("absorbed", "waiting_for_members")
    assert lines[-1]["note"] == "still missing: stock"
    assert await runs_of(upstreams, "report") == []
    await upstreams.end_run("stock")
    (first,) = await runs_of(upstreams, "report")
    assert first["members"]["sales"]["output"] == {"rows": 7}
    assert set(first["members"]) == {"sales", "stock"}
    assert await upstreams.count("join_members") == await upstreams.count("join_rounds") == 0
    await upstreams.end_run("stock")
    assert len(await runs_of(upstreams, "report")) == 1
    await upstreams.end_run("sales")
    assert len(await runs_of(upstreams, "report")) == 2
    assert (await last_decision(upstreams))[:2] == ("run_started", "matched")


async def test_the_later_end_of_one_member_replaces_the_earlier(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales", output=b"1")
    await upstreams.end_run("sales", output=b"2")
    await upstreams.end_run("stock")
    (found,) = await runs_of(upstreams, "report")
    assert found["members"]["sales"]["output"] == 2


async def test_a_window_lets_old_members_go(upstreams):
    await upstreams.deploy("report", {"after": {**BOTH["after"], "window": "1h"}})
    await upstreams.end_run("sales")
    await upstreams.clock.advance(3700)
    await upstreams.end_run("stock")
    assert await runs_of(upstreams, "report") == []
    await upstreams.clock.advance(60)
    await upstreams.end_run("sales")
    assert len(await runs_of(upstreams, "report")) == 1


async def test_a_window_lies_between_the_ends_however_late_they_become_known(upstreams):
    await upstreams.deploy("report", {"after": {**BOTH["after"], "window": "1h"}})
    sales, stock = [await upstreams.begin_run(name) for name in ("sales", "stock")]
    ended = upstreams.clock.now()
    await upstreams.clock.advance(7_200)  # their engine could not be asked for so long
    await upstreams.engine.finish(sales, RunStatus.SUCCEEDED, ended_at=ended)
    await upstreams.settle()
    await upstreams.engine.finish(stock, RunStatus.SUCCEEDED, ended_at=ended + 600_000_000)
    await upstreams.settle()
    assert len(await runs_of(upstreams, "report")) == 1


async def test_an_end_outside_the_window_does_not_count_because_it_comes_late(upstreams):
    await upstreams.deploy("report", {"after": {**BOTH["after"], "window": "1h"}})
    stock = await upstreams.begin_run("stock")
    ended = upstreams.clock.now()
    await upstreams.clock.advance(7_200)
    await upstreams.end_run("sales")
    await upstreams.engine.finish(stock, RunStatus.SUCCEEDED, ended_at=ended)
    await upstreams.settle()
    assert await runs_of(upstreams, "report") == []
    await upstreams.end_run("stock")
    assert len(await runs_of(upstreams, "report")) == 1


async def test_members_that_are_not_required_are_not_waited_for_but_handed_on(upstreams):
    members = [{"workflow": "sales"}, {"workflow": "stock", "required": False}]
    await upstreams.deploy("report", {"after": {"type": "workflow", "all": members}})
    await upstreams.end_run("sales")
    await upstreams.end_run("stock")
    await upstreams.end_run("sales")
    assert [set(one["members"]) for one in await runs_of(upstreams, "report")] == [{"sales"}, {"sales", "stock"}]


async def test_a_failed_or_cancelled_member_does_not_count(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales", RunStatus.FAILED)
    await upstreams.end_run("sales", RunStatus.CANCELLED)
    await upstreams.end_run("stock")
    assert await runs_of(upstreams, "report") == []


async def test_what_arrived_survives_a_restart(upstreams, store, clock):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales")
    later = Instance(store, clock, "later")
    await later.begin()
    await later.end_run("stock")
    assert len(await runs_of(later, "report")) == 1


async def test_a_member_that_left_the_definition_is_not_handed_on(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales")
    await upstreams.deploy("report", after(all=["stock", "costs"]))
    await upstreams.end_run("stock")
    await upstreams.end_run("costs")
    (found,) = await runs_of(upstreams, "report")
    assert set(found["members"]) == {"stock", "costs"}


async def test_two_members_that_end_at_once_on_two_instances_start_one_run(upstreams, two):
    await upstreams.deploy("report", BOTH)
    for _ in range(10):
        sales, stock = await upstreams.begin_run("sales"), await two.begin_run("stock")
        await asyncio.gather(upstreams.engine.finish(sales), two.engine.finish(stock))
    await upstreams.settle()
    await two.settle()
    assert len(await runs_of(upstreams, "report")) == 10
    started = upstreams.engine.started + two.engine.started
    assert len(started) == len(set(started)) == await upstreams.count("runs")


async def test_a_deploy_between_decision_and_commit_is_heard(upstreams):
    """The join is decided again by the new version; nothing is written under the old one."""
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales")
    run_id = await upstreams.begin_run("stock")
    decide, held = upstreams.inbox.transactions.commit, []

    async def deploy_first(decided, epoch, now):
        if not held:
            held.append(epoch)
            await upstreams.deployments.deploy(*report(["sales", "stock", "costs"]))
        return await decide(decided, epoch, now)

    upstreams.inbox.transactions.commit = deploy_first
    await upstreams.engine.finish(run_id)
    await upstreams.settle()
    assert await runs_of(upstreams, "report") == []
    assert (await last_decision(upstreams))[2][-1]["note"] == "still missing: costs"


def report(names):
    text = {"version": 1, "name": "report", "triggers": after(all=names), "jobs": {"w": {"uses": "noop"}}}
    return LOCAL, "report", text


async def test_a_former_owner_completes_nothing(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales")
    run_id = await upstreams.begin_run("stock")
    await upstreams.write("UPDATE runs SET fence = fence + 1 WHERE id = :id", id=run_id)
    await upstreams.engine.finish(run_id)
    await upstreams.settle()
    assert await runs_of(upstreams, "report") == []
    assert await upstreams.all("SELECT status FROM runs WHERE id = :id", id=run_id) == [("QUEUED",)]


async def test_a_lost_connection_after_the_join_was_written_still_launches_its_run(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.end_run("sales")
    run_id = await upstreams.begin_run("stock")
    upstreams.store.lose = 1
    ending = asyncio.ensure_future(upstreams.engine.finish(run_id))
    for _ in range(30):
        await upstreams.settle()
        await upstreams.clock.advance(1)
    await ending
    rows = await upstreams.all("SELECT id FROM runs WHERE workflow = 'report'")
    assert [row[0] for row in rows] == [name for name in upstreams.engine.started if name in upstreams.engine.tasks]


async def test_one_end_may_complete_one_join_and_start_other_workflows(upstreams):
    await upstreams.deploy("report", BOTH)
    await upstreams.deploy("audit", {"after": {"type": "workflow", "any": [{"workflow": "stock"}]}})
    await upstreams.deploy("watch", {"ends": {"type": "event", "event": "workflow_completed"}})
    await upstreams.end_run("sales")
    await upstreams.end_run("stock")
    assert [len(await runs_of(upstreams, name)) for name in ("report", "audit", "watch")] == [1, 1, 2]
