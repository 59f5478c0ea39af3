"""Deploying, undeploying and rolling back; what is live changes in one transaction or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from workflow_scheduler.core import ids
from workflow_scheduler.core.dag.calls import called_workflows
from workflow_scheduler.core.definition.check import ELSEWHERE, Checked
from workflow_scheduler.core.errors import Conflict, NotFound, SchedulerError, ValidationFailed
from workflow_scheduler.core.model.deployment import OldTimes, PlannedTrigger, Publication, WorkflowRecord
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.model.wait import JOB_TYPE as WAITING
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.calendars.use import use_of
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.services.closing import closed, closer
from workflow_scheduler.services.definition_shapes import deployment_shape, moment
from workflow_scheduler.services.definitions import Bind, Definitions, Given, new_version
from workflow_scheduler.services.earlier import earlier_triggers
from workflow_scheduler.services.plans import NOTHING, Side, compare, is_empty
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.resolution import Resolution
from workflow_scheduler.services.restraints import Restraints, deferring
from workflow_scheduler.stores.portable.deployments import Beginning, DeploymentRepository
from workflow_scheduler.stores.portable.workflows import WorkflowRepository, no_workflow

_encode = msgspec.json.encode


class _Attempt(msgspec.Struct):
    """One deployment under way; `step` is where it would fail now."""

    beginning: Beginning
    step: str = "check"
    warnings: list[str] = []


class Deployments:
    """What can be asked and done about deployments."""

    def __init__(self, store: Store, clock: Clock, definitions: Definitions, requirements: Requirements) -> None:
        """Keep deployments in `store`; check definitions with `definitions`, what they need with `requirements`.

        `resolution`, set by the composition root, asks the providers about names and credentials.
        """
        self._clock = clock
        self._definitions = definitions
        self._requirements = requirements
        self._store = store
        self.resolution: Resolution | None = None
        self._workflows = WorkflowRepository(store)
        self._deployments = DeploymentRepository(store)

    async def deploy(self, principal: Principal, reference: str, spec: Given | None = None) -> dict[str, Any]:
        """Make the latest version live; with `spec` it becomes the latest version first. `warnings` tell of surprises.

        A workflow that does not exist yet is created from `spec`, under its name or, if `reference` is a UUID, id. An
        object without a name has that of the workflow.

        Raises:
            NotFound: there is no such workflow, and no `spec` to create it from.
            DefinitionInvalid: the definition has mistakes.
            ValidationFailed: a secret that a trigger names is not set.
            Conflict: a path is taken, workflows would start each other, or another deployment is under way.

        """
        record = await self._workflows.find(principal.tenant_id, reference)
        spec = _named(spec, record, reference)
        if record is None:
            if spec is None:
                raise no_workflow(reference)
            record = await self._create(principal, reference, spec)
            spec = None
        return await self._run(principal, record, "deploy", spec=spec, version=record.latest_version)

    async def rollback(self, principal: Principal, reference: str, version: int | None = None) -> dict[str, Any]:
        """Make an earlier version live again: `version`, or the one that was deployed before the live one.

        Raises:
            NotFound: there is no such workflow or version.
            Conflict: there is no earlier deployment to go back to; or as for `deploy`.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        wanted = version if version is not None else await self._previous(record)
        await self._workflows.version(record.tenant_id, record.id, wanted)
        return await self._run(principal, record, "rollback", spec=None, version=wanted)

    async def undeploy(self, principal: Principal, reference: str) -> dict[str, Any]:
        """Take a workflow out of service; runs that are under way go on.

        Raises:
            NotFound: there is no such workflow.
            Conflict: it is not deployed.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        now = self._clock.now()
        await self._deployments.undeploy(record.tenant_id, record.id, ids.mint(now), principal.user_id, now)
        return await self.status(principal, record.id)

    async def history(
        self, principal: Principal, reference: str, *, limit: int = 50, before: str | None = None
    ) -> Page:
        """Return the deployments of a workflow, the newest first.

        Raises:
            NotFound: there is no such workflow.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        page = await self._deployments.history(record.tenant_id, record.id, limit, before)
        return Page([deployment_shape(row) for row in page.items], page.next)

    async def status(self, principal: Principal, reference: str) -> dict[str, Any]:
        """Return where a workflow stands, with its newest deployment.

        Raises:
            NotFound: there is no such workflow.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        newest = (await self._deployments.history(record.tenant_id, record.id, 1, None)).items
        return {
            "workflow_id": record.id,
            "workflow": record.name,
            "deployment_status": record.deployment_status.value,
            "status": record.deployment_status.value,
            "error": record.deployment_error,
            "live_version": record.live_version,
            "version": record.live_version if record.live_version is not None else record.latest_version,
            "latest_version": record.latest_version,
            "paused": record.paused,
            "updated_at": moment(record.updated_at),
            "deployment": deployment_shape(newest[0]) if newest else None,
        }

    async def plan(self, principal: Principal, spec: Given) -> dict[str, Any]:
        """Return what deploying `spec` would change; nothing is written.

        Raises:
            DefinitionInvalid: the definition has mistakes.

        """
        checked = await self._definitions.read(spec, earlier_triggers(self._workflows, principal.tenant_id))
        name = checked.definition.name
        record = await self._workflows.find(principal.tenant_id, name)
        workflow_id = record.id if record is not None else ""
        before = NOTHING if record is None else await self._live_side(record)
        after = Side(checked.loaded.value, (await self._planned(checked, principal.tenant_id, workflow_id))[0])
        found = compare(before, after, self._clock.now())
        return {
            "workflow": name,
            "workflow_id": workflow_id or None,
            "action": "create" if record is None else "none" if is_empty(found) else "update",
            "live_version": None if record is None else record.live_version,
            "latest_version": None if record is None else record.latest_version,
            **found,
            "warnings": await self.warnings(principal.tenant_id, name, checked),
            "problems": await self.problems(principal.tenant_id, workflow_id, name, checked),
        }

    async def warnings(self, tenant_id: str, name: str, checked: Checked) -> list[str]:
        """Return what is allowed and may surprise, also where a trigger waits for a workflow that does not exist."""
        upstreams = [
            (trigger.name, upstream)
            for trigger in checked.triggers.values()
            if trigger.type == "workflow"
            for upstream in trigger.module.index_keys(trigger.config)
            if upstream != name
        ]
        missing = [
            f"{trigger}: there is no workflow `{upstream}` yet, so its end cannot be heard"
            for trigger, upstream in upstreams
            if await self._workflows.find(tenant_id, upstream) is None
        ]
        return [*checked.warnings, *missing]

    async def problems(self, tenant_id: str, workflow_id: str, name: str, checked: Checked) -> list[dict[str, Any]]:
        """Return what a deployment would be refused for although the definition is right."""
        found = []
        try:
            await self._requirements.check(tenant_id, checked)
        except SchedulerError as error:
            found.append({"code": error.code, "message": error.detail, "fix": error.fix})
        try:
            await self._deployments.verify(await self._publication(checked, tenant_id, workflow_id, name))
        except SchedulerError as error:
            found.append({"code": error.code, "message": error.detail, "fix": error.fix})
        return found

    async def verify(self, tenant_id: str, workflow_id: str, name: str, checked: Checked) -> None:
        """Refuse what a deployment would be refused for; nothing is written.

        Raises:
            ValidationFailed: a secret is not set.
            Conflict: a path is taken, or workflows would start each other.

        """
        await self._requirements.check(tenant_id, checked)
        await self._deployments.verify(await self._publication(checked, tenant_id, workflow_id, name))

    async def check_cycles(self, tenant_id: str, workflow_id: str, name: str, checked: Checked) -> None:
        """Refuse a definition whose workflow triggers would close a circle with those that are live.

        Raises:
            Conflict: they would; the message holds the path.

        """
        await self._deployments.check_cycles(await self._publication(checked, tenant_id, workflow_id, name))

    async def recover(self, *, alone: bool = False) -> int:
        """Close deployments that a stopped process left open; called at start. Returns their number.

        `alone`: no other instance can be at work, so that young ones are closed as well.
        """
        return await self._deployments.recover(self._clock.now(), alone=alone)

    async def _create(self, principal: Principal, reference: str, spec: Given) -> WorkflowRecord:
        checked = await self._definitions.read(spec)
        name = checked.definition.name
        if reference != name and not _is_uuid(reference):
            raise NotFound(
                f"there is no workflow `{reference[:200]}`",
                fix=f"deploy under the name in the definition, `{name}`, or create the workflow first",
            )
        now = self._clock.now()
        workflow_id = reference if _is_uuid(reference) else ids.mint(now)
        planned = self._definitions.planned(checked, principal.tenant_id, workflow_id)
        await self._workflows.create(new_version(checked, principal, workflow_id, planned, now))
        return await self._workflows.get(principal.tenant_id, workflow_id)

    async def _run(
        self, principal: Principal, record: WorkflowRecord, action: str, *, spec: Given | None, version: int
    ) -> dict[str, Any]:
        now = self._clock.now()
        beginning = Beginning(
            id=ids.mint(now),
            tenant_id=record.tenant_id,
            workflow_id=record.id,
            version=version,
            action=action,
            actor=principal.user_id,
            now=now,
        )
        await self._deployments.begin(beginning)
        attempt = _Attempt(beginning)
        try:
            await self._carry_out(principal, record, attempt, spec)
        except BaseException as error:
            await self._deployments.fail(beginning, attempt.step, _sentence(error), self._clock.now())
            raise
        return {**await self.status(principal, record.id), "warnings": attempt.warnings}

    async def _carry_out(
        self, principal: Principal, record: WorkflowRecord, attempt: _Attempt, spec: Given | None
    ) -> None:
        version, name = attempt.beginning.version, record.name
        if spec is None:
            stored = await self._workflows.version(record.tenant_id, record.id, version)
            checked = await self._definitions.read_stored(stored.definition)
        else:
            checked = await self._definitions.read(spec, earlier_triggers(self._workflows, record.tenant_id, record.id))
            attempt.step = "version"
            planned = self._definitions.planned(checked, record.tenant_id, record.id)
            new = new_version(checked, principal, record.id, planned, self._clock.now())
            who = (record.tenant_id, record.id, record.name)
            close = await closer(self._store, self._definitions.trigger_types, who, new.now)
            version = await self._workflows.add_version(msgspec.structs.replace(new, closed=close))
            name = new.name
        attempt.warnings = await self.warnings(record.tenant_id, name, checked)
        attempt.step = "secrets"
        await self._requirements.check(record.tenant_id, checked)
        attempt.step = "resolve"
        resolved = checked
        if self.resolution is not None:
            resolved, told = await self.resolution.resolve(record.tenant_id, checked, principal.user_id)
            attempt.warnings = [*attempt.warnings, *told]
        attempt.step = "plan"
        before = await self._live_side(record)
        publication = await self._publication(resolved, record.tenant_id, record.id, name)
        planned = publication.triggers
        if resolved is not checked:
            planned = (await self._planned(checked, record.tenant_id, record.id))[0]
        changes = compare(before, Side(checked.loaded.value, planned), self._clock.now())
        attempt.step = "publish"
        await self._deployments.publish(
            msgspec.structs.replace(
                publication,
                version=version,
                deployment_id=attempt.beginning.id,
                changes=_encode(changes).decode(),
            )
        )

    async def _planned(
        self, checked: Checked, tenant_id: str, workflow_id: str
    ) -> tuple[tuple[PlannedTrigger, ...], Restraints]:
        """Return the triggers as they are to be stored, and the calendars and windows of them and the live ones."""
        uses = [use for one in checked.triggers.values() if (use := use_of(one.config)) is not None]
        names = dict.fromkeys(name for use in uses for name in use.names)
        names |= dict.fromkeys(await self._deployments.followed(tenant_id, workflow_id))
        types, workflow = self._definitions.trigger_types, checked.definition.name
        held = await Restraints.load(self._store, types, tenant_id, names, self._clock.now())
        planned = self._definitions.planned(checked, tenant_id, workflow_id, partial(held.bind_known, workflow))
        windows = held.of(workflow)
        if any(window.mode == "defer" for window in windows):
            waits = partial(deferring, windows)
            planned = tuple(msgspec.structs.replace(one, deferred=waits) if one.next_due else one for one in planned)
        return planned, held

    async def _publication(self, checked: Checked, tenant_id: str, workflow_id: str, name: str) -> Publication:
        triggers, held = await self._planned(checked, tenant_id, workflow_id)
        now = self._clock.now()
        return Publication(
            tenant_id=tenant_id,
            workflow_id=workflow_id,
            workflow=name,
            version=0,
            deployment_id="",
            triggers=triggers,
            calendars=held.calendars.versions,
            changes="{}",
            now=now,
            tzdata=tzdata_version(),
            closed=partial(self._closed, tenant_id, now, partial(held.bind_known, name)),
            calls=called_workflows(checked.definition),
            awaits=checked.definition.engine in ELSEWHERE
            or any(job.type == WAITING for job in checked.definition.jobs.values()),
        )

    def _closed(self, tenant_id: str, now: int, bind: Bind, old: OldTimes) -> list[Occurrence]:
        return closed(self._definitions.trigger_types, tenant_id, old, now, bind)

    async def _live_side(self, record: WorkflowRecord) -> Side:
        """Return what is live, or nothing where it cannot be read any more."""
        if record.live_version is None:
            return NOTHING
        stored = await self._workflows.version(record.tenant_id, record.id, record.live_version)
        try:
            checked = await self._definitions.read_stored(stored.definition)
        except ValidationFailed:
            return Side(msgspec.json.decode(stored.definition), ())
        return Side(checked.loaded.value, (await self._planned(checked, record.tenant_id, record.id))[0])

    async def _previous(self, record: WorkflowRecord) -> int:
        found = await self._deployments.previous_version(record.tenant_id, record.id, record.live_version)
        if found is None:
            raise Conflict("there is no earlier deployed version to go back to", fix='name one: {"version": 1}')
        return found


def _named(spec: Given | None, record: WorkflowRecord | None, reference: str) -> Given | None:
    if not isinstance(spec, Mapping) or "name" in spec or (record is None and _is_uuid(reference)):
        return spec
    return {**spec, "name": reference if record is None else record.name}


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _sentence(error: BaseException) -> str:
    return error.detail if isinstance(error, SchedulerError) else f"{type(error).__name__}: {error}"[:500]
