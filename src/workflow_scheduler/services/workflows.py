"""Workflows: create, read, change, delete, versions, differences, validation, pausing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from workflow_scheduler.core import ids
from workflow_scheduler.core.definition.as_nodes import as_nodes
from workflow_scheduler.core.definition.check import Checked
from workflow_scheduler.core.definition.diff import changes
from workflow_scheduler.core.errors import Conflict, DefinitionInvalid, FieldError, TooLarge, ValidationFailed
from workflow_scheduler.core.model.deployment import DeploymentStatus, WorkflowRecord
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.closing import closer
from workflow_scheduler.services.definition_shapes import (
    count_waiting,
    moment,
    trigger_shape,
    version_shape,
    workflow_shape,
)
from workflow_scheduler.services.definitions import Definitions, Given, new_version
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.earlier import earlier_triggers
from workflow_scheduler.services.pauses import Missed, Pauses
from workflow_scheduler.stores.portable.triggers import TriggerRepository
from workflow_scheduler.stores.portable.workflows import WorkflowFilter, WorkflowRepository

Form = Literal["document", "nodes"]


class Workflows:
    """What can be asked and done about workflows."""

    def __init__(self, store: Store, clock: Clock, definitions: Definitions, deployments: Deployments) -> None:
        """Keep workflows in `store`; check definitions with `definitions` and against what is live."""
        self._store = store
        self._clock = clock
        self._definitions = definitions
        self._deployments = deployments
        self._workflows = WorkflowRepository(store)
        self._triggers = TriggerRepository(store)
        self._pauses = Pauses(store, clock, definitions.trigger_types)

    async def create(self, principal: Principal, given: Given) -> dict[str, Any]:
        """Store a new workflow with its first version; it is not deployed.

        Raises:
            DefinitionInvalid: the definition has mistakes.
            Conflict: there is a workflow of that name already.

        """
        checked = await self._definitions.read(given, earlier_triggers(self._workflows, principal.tenant_id))
        now = self._clock.now()
        workflow_id = ids.mint(now)
        planned = self._definitions.planned(checked, principal.tenant_id, workflow_id)
        await self._workflows.create(new_version(checked, principal, workflow_id, planned, now))
        return {**await self.get(principal, workflow_id), "warnings": list(checked.warnings)}

    async def get(self, principal: Principal, reference: str, form: Form = "document") -> dict[str, Any]:
        """Return a workflow by id or name, its definition as a document or in node form.

        Raises:
            NotFound: there is no such workflow.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        return _in_form((await self._shapes(principal.tenant_id, [record]))[0], form)

    async def page(
        self,
        principal: Principal,
        *,
        limit: int = 50,
        after: str | None = None,
        wanted: WorkflowFilter | None = None,
    ) -> Page:
        """Return workflows in the order of their names; `next` is the name that the following page is after.

        Raises:
            ValidationFailed: a filter has a value that does not exist.

        """
        wanted = wanted or WorkflowFilter()
        if wanted.status is not None and wanted.status not in set(DeploymentStatus):
            known = ", ".join(DeploymentStatus)
            message = f"`{wanted.status[:40]}` is not a deployment status; known are {known}"
            raise ValidationFailed(message, errors=[FieldError("status", message)])
        found = await self._workflows.page(principal.tenant_id, wanted, limit, after, self._clock.now())
        return Page(await self._shapes(principal.tenant_id, found.items), found.next)

    async def update(
        self, principal: Principal, reference: str, given: Given, *, revision: int | None = None
    ) -> dict[str, Any]:
        """Store a new version when the definition differs from the latest one; what is live stays live.

        Raises:
            NotFound: there is no such workflow.
            DefinitionInvalid: the definition has mistakes.
            PreconditionFailed: `revision` (If-Match) is not the workflow's any more.
            Conflict: another workflow has the new name.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        earlier = earlier_triggers(self._workflows, principal.tenant_id, record.id)
        checked = await self._definitions.read(given, earlier)
        await self.store_version(principal, record, checked, revision)
        return {**await self.get(principal, record.id), "warnings": list(checked.warnings)}

    async def store_version(
        self, principal: Principal, record: WorkflowRecord, checked: Checked, revision: int | None
    ) -> int:
        """Store a checked definition as the next version of `record`, and return the latest version's number.

        Raises:
            PreconditionFailed: `revision` is not the workflow's any more.
            Conflict: another workflow has the new name.

        """
        planned = self._definitions.planned(checked, record.tenant_id, record.id)
        new = new_version(checked, principal, record.id, planned, self._clock.now())
        who = (record.tenant_id, record.id, record.name)
        close = await closer(self._store, self._definitions.trigger_types, who, new.now)
        return await self._workflows.add_version(msgspec.structs.replace(new, expected_revision=revision, closed=close))

    async def delete(self, principal: Principal, reference: str, *, force: bool = False) -> None:
        """Remove a workflow with its versions and triggers; runs and events stay.

        Raises:
            NotFound: there is no such workflow.
            Conflict: it is deployed and `force` is not given.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        await self._workflows.delete(record.tenant_id, record.id, force=force)

    async def versions(
        self, principal: Principal, reference: str, *, limit: int = 50, before: int | None = None
    ) -> Page:
        """Return the versions of a workflow, the newest first.

        Raises:
            NotFound: there is no such workflow.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        page = await self._workflows.versions(record.tenant_id, record.id, limit, before)
        shapes = [version_shape(row, live=row.version == record.live_version, whole=False) for row in page.items]
        return Page(shapes, page.next)

    async def version(
        self, principal: Principal, reference: str, version: int, form: Form = "document"
    ) -> dict[str, Any]:
        """Return one version with its definition, as a document or in node form, and its source text.

        Raises:
            NotFound: there is no such workflow or version.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        found = await self._workflows.version(record.tenant_id, record.id, version)
        return _in_form(version_shape(found, live=found.version == record.live_version, whole=True), form)

    async def diff(self, principal: Principal, reference: str, one: int, other: int) -> dict[str, Any]:
        """Return what version `other` changed against version `one`.

        Raises:
            NotFound: there is no such workflow or version.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        before = await self._workflows.version(record.tenant_id, record.id, one)
        after = await self._workflows.version(record.tenant_id, record.id, other)
        found = changes(msgspec.json.decode(before.definition), msgspec.json.decode(after.definition))
        return {"workflow": record.name, "from": one, "to": other, "changes": found}

    async def validate(self, principal: Principal, given: Given) -> dict[str, Any]:
        """Return whether a definition could be deployed, with every mistake; nothing is written."""
        try:
            checked = await self._definitions.read(given, earlier_triggers(self._workflows, principal.tenant_id))
        except (DefinitionInvalid, TooLarge) as error:
            return {"valid": False, "errors": _issues(error), "warnings": [], "problems": [], "detail": error.detail}
        name = checked.definition.name
        record = await self._workflows.find(principal.tenant_id, name)
        workflow_id = "" if record is None else record.id
        problems = await self._deployments.problems(principal.tenant_id, workflow_id, name, checked)
        return {
            "valid": True,
            "errors": [],
            "warnings": await self._deployments.warnings(principal.tenant_id, name, checked),
            "problems": problems,
            "name": name,
            "triggers": {trigger.name: trigger.type for trigger in checked.triggers.values()},
            "jobs": list(checked.definition.jobs),
        }

    async def validate_dependencies(self, principal: Principal, given: Given) -> dict[str, Any]:
        """Return the order of a definition's jobs, or the circle among them or between workflows.

        `levels` are groups of jobs that may run at the same time, one group after the other.
        """
        try:
            checked = await self._definitions.read(given, earlier_triggers(self._workflows, principal.tenant_id))
        except DefinitionInvalid as error:
            return {"valid": False, "errors": _issues(error), "levels": [], "workflows": []}
        nodes = checked.graph.nodes
        depth = [0] * len(nodes)
        for index in _topological([node.needs for node in nodes]):
            depth[index] = max((depth[need] + 1 for need in nodes[index].needs), default=0)
        levels: list[list[str]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for node in nodes:
            levels[depth[node.index]].append(node.id)
        upstreams = sorted({key for t in checked.triggers.values() if t.type == "workflow" for key in _keys(t)})
        found = {"levels": levels, "workflows": upstreams}
        name = checked.definition.name
        record = await self._workflows.find(principal.tenant_id, name)
        workflow_id = "" if record is None else record.id
        try:
            await self._deployments.check_cycles(principal.tenant_id, workflow_id, name, checked)
        except Conflict as error:
            return {"valid": False, "errors": _issues(error), **found}
        return {"valid": True, "errors": [], **found}

    async def pause(
        self, principal: Principal, reference: str, *, reason: str | None = None, until: int | None = None
    ) -> dict[str, Any]:
        """Pause a workflow; `until` (microseconds) ends the pause by itself.

        Raises:
            NotFound: there is no such workflow.
            ValidationFailed: `until` has passed.

        """
        await self._pauses.pause(principal, reference, reason=reason, until=until)
        return await self.get(principal, reference)

    async def resume(self, principal: Principal, reference: str, *, missed: Missed | None = None) -> dict[str, Any]:
        """Resume a workflow.

        Raises:
            NotFound: there is no such workflow.

        """
        await self._pauses.resume(principal, reference, missed=missed)
        return await self.get(principal, reference)

    async def pause_all(
        self, principal: Principal, *, reason: str | None = None, until: int | None = None
    ) -> dict[str, Any]:
        """Pause every workflow of the tenant.

        Raises:
            ValidationFailed: `until` has passed.

        """
        paused = await self._pauses.pause(principal, None, reason=reason, until=until)
        said = {"paused_reason": reason, "paused_by": principal.user_id, "paused_until": moment(until)}
        return {"paused": paused, **said}

    async def resume_all(self, principal: Principal, *, missed: Missed | None = None) -> dict[str, Any]:
        """Resume every paused workflow of the tenant."""
        return {"resumed": await self._pauses.resume(principal, None, missed=missed)}

    async def watch_pauses(self) -> None:
        """Resume workflows whose pause has run out, for ever; a loop of the service."""
        await self._pauses.watch()

    async def _shapes(self, tenant_id: str, records: Sequence[WorkflowRecord]) -> list[dict[str, Any]]:
        definitions = await self._workflows.definitions(tenant_id, [(r.id, r.latest_version) for r in records])
        triggers = await self._triggers.of_workflows(tenant_id, [record.id for record in records])
        last = await self._triggers.last_decisions(tenant_id, [trigger.id for trigger in triggers])
        by_workflow: dict[str, list[dict[str, Any]]] = {record.id: [] for record in records}
        for trigger in triggers:
            by_workflow[trigger.workflow_id].append(trigger_shape(trigger, last.get(trigger.id)))
        await count_waiting(self._store, tenant_id, [one for some in by_workflow.values() for one in some])
        return [workflow_shape(r, definitions.get(r.id), by_workflow[r.id]) for r in records]


def _in_form(shape: dict[str, Any], form: Form) -> dict[str, Any]:
    if form == "nodes" and isinstance(shape["definition"], dict):
        shape["definition"] = as_nodes(shape["definition"])
    return shape


def _issues(error: ValidationFailed | Conflict | TooLarge) -> list[dict[str, Any]]:
    found = error.errors or (FieldError("", error.detail),)
    return [msgspec.to_builtins(issue) for issue in found]


def _keys(trigger: Any) -> tuple[str, ...]:
    keys: tuple[str, ...] = trigger.module.index_keys(trigger.config)
    return keys


def _topological(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the indexes of a graph without cycles, each after everything it needs."""
    left = [len(needed) for needed in needs]
    dependents: list[list[int]] = [[] for _ in needs]
    for index, needed in enumerate(needs):
        for need in needed:
            dependents[need].append(index)
    ready = [index for index, count in enumerate(left) if count == 0]
    for index in ready:
        for dependent in dependents[index]:
            left[dependent] -= 1
            if left[dependent] == 0:
                ready.append(dependent)
    return ready
