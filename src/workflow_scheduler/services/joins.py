"""What a workflow that waits for others has got so far: shown, and forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.dependencies.need import absent, lacking
from workflow_scheduler.core.dependencies.rounds import Rule
from workflow_scheduler.core.dependencies.window import bounds
from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.model.deployment import TriggerRecord
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.services.definition_shapes import moment, readable
from workflow_scheduler.stores.portable import joins
from workflow_scheduler.stores.portable.joins import Member, Round
from workflow_scheduler.stores.portable.triggers import TriggerRepository


class Joins:
    """Shows and forgets what has arrived."""

    def __init__(self, store: Store, types: Mapping[str, ModuleType]) -> None:
        """Read from `store`; `types` are the trigger types."""
        self._store = store
        self._types = types
        self._triggers = TriggerRepository(store)

    async def page(self, principal: Principal, trigger: str) -> dict[str, Any]:
        """Return the open rounds of a trigger, with what has arrived in each and what is missing.

        One that does not wait for several has no rule, and no rounds.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        rule = self._rule(record)
        rounds = [] if rule is None else await joins.of_trigger(self._store, principal.tenant_id, record.id)
        return {
            "trigger_id": record.id,
            "trigger": record.name,
            "workflow": record.workflow,
            "rule": None if rule is None else rule.label,
            "members": [] if rule is None else list(rule.need.names),
            "optional": [] if rule is None else list(rule.handed),
            "correlate_by": None if rule is None else rule.correlate_by,
            "on_miss": None if rule is None else rule.on_miss,
            "items": [] if rule is None else [_shape(rule, one, arrived) for one, arrived in rounds],
            "next": None,
        }

    async def reset(self, principal: Principal, trigger: str, correlation: str | None = None) -> dict[str, Any]:
        """Forget what has arrived for a trigger, or only the rounds that are named `correlation`; say how many.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        gone = await self._store.transact(joins.reset(principal.tenant_id, record.id, correlation))
        return {"trigger_id": record.id, "reset": gone}

    def _rule(self, record: TriggerRecord) -> Rule | None:
        module = self._types.get(record.type)
        asked = getattr(module, "rule", None)
        if module is None or asked is None:
            return None
        try:
            rule: Rule | None = asked(module.Config.model_validate(readable(record.config) or {}))
        except ValueError as error:
            raise Conflict("the stored configuration of this trigger cannot be read", fix=str(error)) from None
        return rule


def _shape(rule: Rule, one: Round, arrived: list[Member]) -> dict[str, Any]:
    names = {part.name for part in arrived}
    window = bounds(rule.window, arrived[0].at) if rule.window is not None and rule.window.fixed and arrived else None
    return {
        "correlation": None if one.value is None else msgspec.json.decode(one.value),
        "key": one.id.correlation,
        "opened_at": moment(one.opened_at),
        "updated_at": moment(one.updated_at),
        "due_at": None if rule.window is None else moment(one.due_at),
        "window": None if window is None else {"from": moment(window[0]), "until": moment(window[1])},
        "arrived": [
            {
                "member": part.name,
                "run_id": part.run_id,
                "event_id": part.event_id,
                "status": part.status,
                "ended_at": moment(part.at),
            }
            for part in arrived
            if part.name in rule.names
        ],
        "missing": absent(rule.need, names),
        "summary": f"still missing: {lacking(rule.need, names)}",
    }
