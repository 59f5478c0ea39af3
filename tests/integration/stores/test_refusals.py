"""What a trigger refused is noted beside it, seldom enough that strangers cannot keep the database busy."""

import pytest

from workflow_scheduler.stores.portable.refusals import TOGETHER_MAX, Refusal, Refusals, last_refusal
from workflow_scheduler.testing.factories import Rows, make_trigger

SECOND_US = 1_000_000
T0 = 1_800_000_000 * SECOND_US


class Counted:
    """A store that counts what is written."""

    def __init__(self, store):
        self.store, self.written = store, 0

    async def transact(self, work):
        self.written += 1
        return await self.store.transact(work)


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_a_note_is_written_once_a_second_for_all_triggers_of_a_request(store):
    rows, found = (
        Rows(store),
        [make_trigger(tenant_id="acme", id=f"t{number}", name=f"t{number}") for number in range(3)],
    )
    await rows.workflow(found[0])
    for one in found:
        await rows.trigger(one)
    triggers = [("acme", one.id) for one in found]
    counted = Counted(store)
    refusals = Refusals(counted)
    for at in (T0, T0 + 1, T0 + SECOND_US - 1):
        await refusals.note(triggers, "the signature is wrong", at)
    assert counted.written == 1
    for _, trigger_id in triggers:
        assert await last_refusal(store, "acme", trigger_id) == Refusal(T0, "the signature is wrong")
    await refusals.note(triggers[:1], "x" * 1_000, T0 + SECOND_US)
    assert await last_refusal(store, "acme", triggers[0][1]) == Refusal(T0 + SECOND_US, "x" * 500)


async def test_one_request_writes_to_a_bounded_number_of_triggers():
    seen = []

    class Kept:
        async def transact(self, work):
            seen.extend(work)

    await Refusals(Kept()).note([("acme", str(number)) for number in range(1_000)], "no", T0)
    assert len(seen) == TOGETHER_MAX
