"""Triggers outside a file: list, add, change, remove, switch, dry run; and the catalogue of trigger types.

Adding, changing and removing makes a new version of the workflow's definition, so that the definition stays the truth.
Where the version before was live, the new one is deployed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from workflow_scheduler.core.errors import (
    Conflict,
    FieldError,
    NotFound,
    PreconditionFailed,
    ValidationFailed,
    did_you_mean,
)
from workflow_scheduler.core.model.deployment import WorkflowRecord
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.core.ports.judge import Judges
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.definition_shapes import count_waiting, trigger_shape
from workflow_scheduler.services.definitions import Definitions, trigger_id
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.earlier import earlier_triggers
from workflow_scheduler.services.inline import NAMES as INLINE
from workflow_scheduler.services.inline import Inline, differs, inline, refuse_inline
from workflow_scheduler.services.trigger_catalogue import catalogue
from workflow_scheduler.services.trigger_health import trigger_health
from workflow_scheduler.services.trigger_simulation import Simulation
from workflow_scheduler.services.trigger_trials import Trials
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.stores.portable.triggers import TriggerFilter, TriggerRepository
from workflow_scheduler.stores.portable.workflows import WorkflowRepository

_ATTEMPTS = 5
_BESIDE = frozenset({"workflow", "name", "config", "mode", *INLINE})
_READ_ONLY = frozenset(
    [
        "id",
        "workflow_id",
        "workflow_version",
        "mode_reason",
        "deployment_status",
        "index_key",
        "next_fire_at",
        "last_fired_at",
        "completed",
        "paused",
        "last_decision",
        "revision",
        "waiting",
        "error",
        "created_at",
        "updated_at",
    ]
)
_Edit = Callable[[dict[str, Any]], None]


class Triggers:
    """What can be asked and done about triggers."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        definitions: Definitions,
        workflows: Workflows,
        deployments: Deployments,
        matcher: Judges,
    ) -> None:
        """Read from `store`; changes go through `workflows` and `deployments`, dry runs through `matcher`."""
        self._store = store
        self._clock = clock
        self._definitions = definitions
        self._services = (workflows, deployments)
        self._workflows = WorkflowRepository(store)
        self._triggers = TriggerRepository(store)
        self._trials = Trials(store, clock, definitions.trigger_types, matcher)
        self._simulation = Simulation(store, clock, definitions, self._trials)

    def types(self) -> list[dict[str, Any]]:
        """Return the catalogue of trigger types: schema, form hints, examples and documentation."""
        return catalogue(self._definitions.trigger_types)

    async def page(
        self,
        principal: Principal,
        *,
        limit: int = 50,
        after: str | None = None,
        workflow: str | None = None,
        type: str | None = None,  # noqa: A002 -- its name in the API
        mode: str | None = None,
    ) -> Page:
        """Return triggers in the order of their ids; `next` is the id that the following page is after.

        Raises:
            NotFound: there is no such workflow.
            ValidationFailed: a filter has a value that does not exist.

        """
        workflow_id = None
        if workflow is not None:
            workflow_id = (await self._workflows.get(principal.tenant_id, workflow)).id
        if mode is not None:
            _mode(mode)
        wanted = TriggerFilter(workflow_id=workflow_id, type=type, mode=mode)
        found = await self._triggers.page(principal.tenant_id, wanted, limit, after, self._clock.now())
        last = await self._triggers.last_decisions(principal.tenant_id, [row.id for row in found.items])
        shapes = [trigger_shape(row, last.get(row.id)) for row in found.items]
        await count_waiting(self._store, principal.tenant_id, shapes)
        return Page(shapes, found.next)

    async def with_health(self, principal: Principal, page: Page) -> Page:
        """Return a page of triggers with the health of each beside it; one that was deleted meanwhile has none."""
        items = []
        for shape in page.items:
            with suppress(NotFound):
                health = await self.health(principal, shape["id"])
                items.append({**shape, "health": {name: health[name] for name in ("status", "summary", "source")}})
        return Page(items, page.next)

    async def get(self, principal: Principal, trigger: str) -> dict[str, Any]:
        """Return one trigger.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        last = await self._triggers.last_decisions(principal.tenant_id, [record.id])
        shape = trigger_shape(record, last.get(record.id))
        await count_waiting(self._store, principal.tenant_id, [shape])
        return shape

    async def create(self, principal: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add a trigger `{"workflow", "name", "type", "config", …shared keys}` to a workflow.

        With `definition` instead of `workflow`, the workflow is created from it and is live at once; one that was
        created from the same definition before is used again.

        Raises:
            NotFound: there is no such workflow.
            ValidationFailed: the body, the configuration or the definition is wrong.
            Conflict: the workflow has a trigger of that name, or another definition, or cannot be deployed.

        """
        reference, kind = body.get("workflow"), body.get("type")
        brought = inline(body)
        if brought is not None:
            reference = brought.workflow
        if not isinstance(reference, str) or not reference:
            raise _field("workflow", "`workflow` is required: the id or name of the workflow that the trigger starts")
        if not isinstance(kind, str):
            raise _field("type", "`type` is required: the trigger type")
        given = body.get("name")
        value = _value(body, kind)
        name = ""
        if brought is not None:
            name = given if isinstance(given, str) and given else _free_name(kind, brought.value.get("triggers") or {})
            made = await self._created(principal, brought, name, value)
            if made is not None:
                return await self._with_mode(principal, made, body)

        def add(triggers: dict[str, Any]) -> None:
            nonlocal name
            name = given if isinstance(given, str) and given else _free_name(kind, triggers)
            if name in triggers:
                raise Conflict(f"the workflow has a trigger `{name}` already", fix="choose another name, or change it")
            triggers[name] = value

        record = await self._change(principal, reference, add)
        return await self._with_mode(principal, trigger_id(principal.tenant_id, record.id, name), body)

    async def _with_mode(self, principal: Principal, made: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trigger, in the mode that was asked for."""
        mode = body.get("mode")
        return await (self.get(principal, made) if mode is None else self.set_mode(principal, made, str(mode)))

    async def _created(self, principal: Principal, brought: Inline, name: str, value: Mapping[str, Any]) -> str | None:
        """Create and deploy the workflow of an inline definition with its trigger, and return the trigger's id.

        None when the workflow is live already, so that the trigger is to be added to it.
        """
        workflows, deployments = self._services
        record = await self._workflows.find(principal.tenant_id, brought.workflow)
        if record is None:
            checked = await self._definitions.read(brought.with_trigger(name, value))
            await deployments.verify(principal.tenant_id, "", brought.workflow, checked)
            made = await workflows.create(principal, checked.loaded.value)
            await deployments.deploy(principal, made["id"])
            return trigger_id(principal.tenant_id, str(made["id"]), name)
        stored = await self._workflows.version(record.tenant_id, record.id, record.latest_version)
        latest = msgspec.json.decode(stored.definition)
        if not brought.agrees(latest):
            raise differs(brought.workflow)
        if record.live_version is not None:
            return None
        # A process that was killed between the two steps has left it so: the second one is made up for.
        await deployments.deploy(principal, record.id)
        there = (latest.get("triggers") or {}).get(name) == value
        return trigger_id(principal.tenant_id, record.id, name) if there else None

    async def update(
        self, principal: Principal, trigger: str, body: Mapping[str, Any], if_match: int | None = None
    ) -> dict[str, Any]:
        """Replace a trigger's configuration; id and name stay.

        Raises:
            NotFound: there is no such trigger.
            ValidationFailed: the configuration is wrong.
            PreconditionFailed: `if_match` is not the trigger's revision any more.
            Conflict: the name is to change, or the trigger cannot be deployed.

        """
        refuse_inline(body)
        record = await self._triggers.get(principal.tenant_id, trigger)
        if if_match is not None and if_match != record.revision:
            raise PreconditionFailed(
                f"the trigger is at revision {record.revision}, not {if_match}", fix="read it again"
            )
        if body.get("name", record.name) not in (None, record.name):
            raise Conflict(
                "a trigger keeps its name, which its id is made from", fix="add a new one and delete this one"
            )
        kind = body.get("type", record.type)
        if not isinstance(kind, str):
            raise _field("type", "`type` must be a text")
        value = _value(body, kind)

        def replace(triggers: dict[str, Any]) -> None:
            triggers[record.name] = value

        await self._change(principal, record.workflow_id, replace)
        if body.get("mode") is not None:
            return await self.set_mode(principal, record.id, str(body["mode"]))
        return await self.get(principal, record.id)

    async def delete(self, principal: Principal, trigger: str) -> None:
        """Remove a trigger from its workflow.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)

        def remove(triggers: dict[str, Any]) -> None:
            triggers.pop(record.name, None)

        await self._change(principal, record.workflow_id, remove)

    async def set_mode(
        self, principal: Principal, trigger: str, mode: str, reason: str | None = None
    ) -> dict[str, Any]:
        """Set a trigger to `enabled`, `disabled` or `suspended`; it stays so through redeployments.

        Raises:
            NotFound: there is no such trigger.
            ValidationFailed: there is no such mode.

        """
        wanted = _mode(mode)
        await self._triggers.set_mode(principal.tenant_id, trigger, wanted, reason, self._clock.now())
        return await self.get(principal, trigger)

    async def test(self, principal: Principal, trigger: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Judge an event for a trigger without writing anything.

        The event is `{"event_id"}` of a stored one, `{"event": {…}}`, or, for push triggers, `{"request": {"method",
        "path", "query", "headers", "body"}}`, or `{"sample": true}` for an example of the trigger's type.

        Raises:
            NotFound: there is no such trigger or event.
            ValidationFailed: the body gives no event.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        return await self._trials.run(principal, record, body)

    async def simulate(self, principal: Principal, trigger: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Judge stored events by the trigger as it is and as `body` would change it; nothing is written.

        Raises:
            NotFound: there is no such trigger.
            ValidationFailed: the change or the range is wrong.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        return await self._simulation.run(principal, record, body)

    async def health(self, principal: Principal, trigger: str) -> dict[str, Any]:
        """Return whether a trigger can fire, whether it is late, and how its newest runs ended.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger)
        return await trigger_health(self._store, self._triggers, self._clock, principal.tenant_id, record)

    async def _change(self, principal: Principal, reference: str, edit: _Edit) -> WorkflowRecord:
        """Store the next version of a workflow with its triggers edited, and deploy it if the last one was live."""
        workflows, deployments = self._services
        for _ in range(_ATTEMPTS):
            record = await self._workflows.get(principal.tenant_id, reference)
            stored = await self._workflows.version(record.tenant_id, record.id, record.latest_version)
            value = msgspec.json.decode(stored.definition)
            value["triggers"] = dict(value.get("triggers") or {})
            edit(value["triggers"])
            earlier = earlier_triggers(self._workflows, record.tenant_id, record.id)
            checked = await self._definitions.read(value, earlier)
            live = record.live_version is not None and record.live_version == record.latest_version
            if live:
                await deployments.verify(record.tenant_id, record.id, record.name, checked)
            try:
                await workflows.store_version(principal, record, checked, record.revision)
            except PreconditionFailed:
                continue
            if live:
                await deployments.deploy(principal, record.id)
            return record
        raise Conflict("the workflow is changed by others all the time", fix="try again")


def _value(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a trigger as it stands in a definition; the body has its configuration in `config` or beside it."""
    config = body.get("config", {})
    if not isinstance(config, Mapping):
        raise _field("config", "`config` must be an object")
    beside = {key: value for key, value in body.items() if key not in _BESIDE | _READ_ONLY}
    return {"type": kind, **config, **beside}


def _free_name(kind: str, taken: Mapping[str, Any]) -> str:
    name, number = kind, 1
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    return name


def _mode(text: str) -> Mode:
    if text not in set(Mode):
        near = did_you_mean(text, list(Mode))
        message = f"`{text[:40]}` is not a mode; modes are enabled, disabled, suspended"
        raise ValidationFailed(message, errors=[FieldError("mode", message, suggestion=near)])
    return Mode(text)


def _field(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(name, message)])
