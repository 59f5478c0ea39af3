import pytest

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter
from workflow_scheduler.testing.factories import NOON, make_dead_letter

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")


async def some(house, count=3, **given):
    return [await house.rows.dead_letter(make_dead_letter(NOON + n * SECOND_US, **given)) for n in range(count)]


async def test_dead_letters_are_listed_with_cause_and_attempts(house):
    letters = await some(house, 3)
    page = await house.dead.page(LOCAL, limit=2)
    assert [item["id"] for item in page.items] == [letters[2].id, letters[1].id]
    rest = await house.dead.page(LOCAL, limit=2, cursor=page.next)
    assert [item["id"] for item in rest.items] == [letters[0].id]
    shown = await house.dead.show(LOCAL, letters[0].id)
    assert shown["attempts"] == 5
    assert shown["payload"] == {"amount": 120}
    assert shown["explanation"] == "the run was delivered too often without reaching an end"
    assert (await house.dead.page(STRANGER)).items == []


async def test_filters_choose_dead_letters(house):
    await some(house, 2)
    (refused,) = await some(house, 1, reason="engine_refused", workflow_id="w", trigger_id="t")

    async def found(**filters):
        return [item["id"] for item in (await house.dead.page(LOCAL, DeadLetterFilter(**filters))).items]

    for filters in ({"reason": "engine_refused"}, {"workflow_id": "w"}, {"trigger_id": "t", "kind": "run"}):
        assert await found(**filters) == [refused.id]
    assert await found(status="redriven") == []
    assert await found(since=NOON + 1) != []
    assert await found(until=NOON) == []


async def test_the_workflow_is_chosen_by_id_or_name(house):
    await house.deploy("orders", m={"type": "manual"})
    ((workflow_id,),) = await house.store.read("SELECT id FROM workflows WHERE name = 'orders'")
    await some(house, 1, workflow_id="another")
    (letter,) = await some(house, 1, workflow_id=workflow_id)
    for workflow, wanted in (("orders", [letter.id]), (workflow_id, [letter.id]), ("nothing", [])):
        page = await house.dead.page(LOCAL, DeadLetterFilter(workflow=workflow))
        assert [item["id"] for item in page.items] == wanted
        counted = await house.dead.redrive_all(LOCAL, DeadLetterFilter(workflow=workflow), dry_run=True)
        assert counted["count"] == len(wanted)


async def test_redrive_hands_over_the_edited_payload(house):
    (letter,) = await some(house, 1)
    done = await house.dead.redrive(LOCAL, letter.id, b'{"amount":1}')
    assert done["revived_id"] == "revived"
    assert house.fakes.redriven == [(letter.id, b'{"amount":1}')]
    with pytest.raises(NotFound):
        await house.dead.redrive(STRANGER, letter.id)


async def test_redriving_many_counts_first(house):
    await some(house, 3)
    await some(house, 1, reason="engine_refused")
    counted = await house.dead.redrive_all(LOCAL, DeadLetterFilter(), dry_run=True)
    assert counted["count"] == 4
    assert counted["by_reason"] == {"poison": 3, "engine_refused": 1}
    assert house.fakes.redriven == []
    done = await house.dead.redrive_all(LOCAL, DeadLetterFilter(reason="poison"), dry_run=False, limit=2)
    assert done["redriven"] == 2
    assert done["more"] is True
    assert len(house.fakes.redriven) == 2


async def test_one_that_cannot_be_redriven_does_not_stop_the_others(house, monkeypatch):
    letters = await some(house, 3)

    async def stubborn(tenant_id, dead_letter_id, payload=None):
        if dead_letter_id == letters[1].id:
            raise Conflict("already settled")
        return "run"

    monkeypatch.setattr(house.fakes, "redrive", stubborn)
    done = await house.dead.redrive_all(LOCAL, DeadLetterFilter(), dry_run=False)
    assert done["redriven"] == 2
    assert done["failed"] == [{"id": letters[1].id, "error": {"code": "conflict", "message": "already settled"}}]


async def test_discarding_settles_once(house):
    (letter,) = await some(house, 1)
    gone = await house.dead.discard(LOCAL, letter.id)
    assert gone["status"] == "discarded"
    assert gone["settled_at"] == "2027-01-05T12:00:00Z"
    with pytest.raises(Conflict, match="discarded"):
        await house.dead.discard(LOCAL, letter.id)
    assert (await house.dead.page(LOCAL)).items == []
    with pytest.raises(NotFound):
        await house.dead.discard(STRANGER, letter.id)


async def test_a_payload_that_is_not_json_is_shown_as_text(house):
    letter = await house.rows.dead_letter(make_dead_letter(payload=b"\xffplain"))
    assert (await house.dead.show(LOCAL, letter.id))["payload"] == "\ufffdplain"
