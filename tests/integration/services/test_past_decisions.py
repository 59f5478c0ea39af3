"""The triggers that past decisions speak of keep their names."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)


def definition(**triggers):
    return {"name": "report", "triggers": triggers, "jobs": {"a": {"uses": "noop"}}}


MANUAL = {"type": "manual"}
PING = {"type": "event", "event": "ping"}


async def test_a_trigger_that_was_live_stays_known_when_a_draft_drops_it(plane):
    await plane.deploy(definition(ping=PING, other=MANUAL))
    trigger = (await plane.triggers_of("report"))["ping"]
    await plane.write(
        "INSERT INTO decisions (tenant_id, event_id, trigger_id, workflow_id, outcome, reason, predicates, decided_at) "
        "VALUES ('local', 'e', :trigger, :workflow, 'filtered', 'predicate_false', :lines, 1)",
        trigger=trigger["id"],
        workflow=trigger["workflow_id"],
        lines=b"[]",
    )
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.workflows.update(LOCAL, "report", definition(ping=PING, draft=MANUAL))
    await plane.workflows.update(LOCAL, "report", definition(other=MANUAL))
    rows = await plane.store.read("SELECT name, deployment_status, removed_at FROM trigger_index ORDER BY name")
    known = {row[0]: row[1:] for row in rows}
    assert known["ping"] == ("inactive", plane.clock.now())
    assert "draft" not in known
    assert set(await plane.triggers_of("report")) == {"other"}
