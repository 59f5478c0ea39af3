"""Templates: keep definitions under a name with a schema of their input, run them, make workflows from them.

A template runs without being deployed: its definition, without triggers, is stored as a version that never changes,
and the run refers to that version. Templates that come with the program are read-only; a tenant's own template of the
same name hides one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from workflow_scheduler.core.definition.check import Checked
from workflow_scheduler.core.errors import Conflict, FieldError, SchedulerError, ValidationFailed
from workflow_scheduler.core.form import form_errors, schema_errors
from workflow_scheduler.core.inputs import completed, without_event_fields
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.template import SOURCE, Template, workflow_id
from workflow_scheduler.core.model.workflow import NAME_PATTERN
from workflow_scheduler.core.ports.catalog import WorkflowRef
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.builtin_templates import builtin_templates
from workflow_scheduler.services.definition_shapes import moment
from workflow_scheduler.services.definitions import Definitions, Given, new_version
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.templates import TemplateRepository, no_template

R_co = TypeVar("R_co", covariant=True)
_NAME = re.compile(NAME_PATTERN)
_ANYTHING: dict[str, Any] = {"type": "object"}


class Starts(Protocol[R_co]):
    """Starts stored versions (the manual source)."""

    async def start_version(
        self,
        principal: Principal,
        version: WorkflowRef,
        source: str,
        *,
        input: Any = None,  # noqa: A002 -- the word of the interface
        idempotency_key: str | None = None,
    ) -> R_co:
        """Return the receipt after the durable commit."""
        ...


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A template as it is asked for; without a schema any object is its input."""

    definition: Given
    input_schema: dict[str, Any] | None = None
    description: str = ""
    category: str = ""


class Templates:
    """What can be asked and done about templates."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        definitions: Definitions,
        workflows: Workflows,
        deployments: Deployments,
        requirements: Requirements,
    ) -> None:
        """Keep templates in `store`; workflows are made by `workflows` and `deployments`."""
        self._store = store
        self._clock = clock
        self._definitions = definitions
        self._services = (workflows, deployments)
        self._requirements = requirements
        self._templates = TemplateRepository(store)

    async def create(self, principal: Principal, name: str, given: Draft) -> dict[str, Any]:
        """Store a new template of the tenant.

        Raises:
            ValidationFailed: the name, the definition or the schema is wrong; the errors name each field.
            Conflict: the tenant has a template of that name.

        """
        if _NAME.fullmatch(name) is None:
            message = f"`{name[:60]}` is not a name; use letters, digits, `_`, `.` and `-`"
            raise ValidationFailed(message, errors=[FieldError("name", message)])
        await self._templates.add(principal.tenant_id, await self._read(principal, name, given))
        return await self.get(principal, name)

    async def update(self, principal: Principal, name: str, given: Draft, if_match: int | None) -> dict[str, Any]:
        """Replace a template of the tenant by its next version; runs that have begun keep the one they began with.

        Raises:
            NotFound: there is no such template.
            ValidationFailed: the definition or the schema is wrong.
            PreconditionFailed: it is at another version than `if_match`.
            Conflict: it comes with the program.

        """
        await self._own(principal, name)
        await self._templates.replace(principal.tenant_id, await self._read(principal, name, given), if_match)
        return await self.get(principal, name)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a template of the tenant; one of that name that comes with the program is there again then.

        Raises:
            NotFound: there is no such template.
            Conflict: it comes with the program.

        """
        await self._own(principal, name)
        await self._templates.delete(principal.tenant_id, name)

    async def get(self, principal: Principal, name: str) -> dict[str, Any]:
        """Return a template with its definition.

        Raises:
            NotFound: there is no such template.

        """
        return _shape(principal, await self._find(principal, name), whole=True)

    async def page(
        self, principal: Principal, *, limit: int = 50, after: str | None = None, category: str | None = None
    ) -> Page:
        """Return templates in the order of their names, without definitions; `next` is the name to go on after."""
        start = after or ""
        own = await self._templates.page(principal.tenant_id, category, start, limit + 1)
        await quarantine(self._store, principal.tenant_id, own, self._clock.now())
        builtin = await _builtin()
        shown = [one for one in builtin.values() if one.name > start and category in (None, one.category)]
        hidden = await self._templates.names(principal.tenant_id, [one.name for one in shown]) if shown else set()
        visible = [one for one in shown if one.name not in hidden]
        found = sorted([*own, *visible], key=_name)
        items = [_shape(principal, one, whole=False) for one in found[:limit] if isinstance(one, Template)]
        return Page(items, _name(found[limit - 1]) if len(found) > limit else None)

    async def run(self, principal: Principal, name: str, value: Any, key: str | None, starts: Starts[R_co]) -> R_co:
        """Start one run of a template through `starts`, and return its receipt after the durable commit.

        Nothing is stored before the input fits the schema. Equal keys start one run.

        Raises:
            NotFound: there is no such template.
            ValidationFailed: the input does not fit, or the tenant lacks a connection that a job names.

        """
        template = await self._find(principal, name)
        given = _input(template.input_schema, value)
        alone = {part: kept for part, kept in template.definition.items() if part != "triggers"}
        checked = await self._definitions.read(alone)
        await self._requirements.check(principal.tenant_id, checked)
        version = await self._version(principal, name, checked)
        return await starts.start_version(principal, version, f"{SOURCE}{name}", input=given, idempotency_key=key)

    async def instantiate(
        self, principal: Principal, name: str, workflow: str, value: Any, *, deploy: bool = False
    ) -> dict[str, Any]:
        """Make the workflow `workflow` from a template: triggers and all, with `value` as the `input` it holds ready.

        Raises:
            NotFound: there is no such template.
            ValidationFailed: the values do not fit, or the tenant lacks something that a deployment needs.
            Conflict: there is a workflow of that name, or the template cannot be deployed.

        """
        workflows, deployments = self._services
        template = await self._find(principal, name)
        baked = _input(without_event_fields(template.input_schema), value)
        definition = {**template.definition, "name": workflow}
        definition["input"] = {**template.definition.get("input", {}), **baked}
        if deploy:
            checked = await self._definitions.read(definition)
            await deployments.verify(principal.tenant_id, "", workflow, checked)
        made = await workflows.create(principal, definition)
        if deploy:
            await deployments.deploy(principal, made["id"])
            return {**(await workflows.get(principal, made["id"])), "warnings": made["warnings"]}
        return made

    async def _find(self, principal: Principal, name: str) -> Template:
        found = await self._templates.find(principal.tenant_id, name) or (await _builtin()).get(name)
        if found is None:
            raise no_template(name)
        if isinstance(found, Malformed):
            await quarantine(self._store, principal.tenant_id, [found], self._clock.now())
            raise Conflict(
                f"the stored template `{name}` cannot be read: {found.detail}", fix="delete it, or replace it"
            )
        return found

    async def _own(self, principal: Principal, name: str) -> None:
        if await self._templates.find(principal.tenant_id, name) is None and name in await _builtin():
            raise Conflict(
                f"the template `{name}` comes with the program and cannot be changed",
                fix="create one of your own under this name, which then hides it: POST /api/v1/templates",
            )

    async def _read(self, principal: Principal, name: str, given: Draft) -> Template:
        """Return the checked template that a request describes."""
        schema = given.input_schema if given.input_schema is not None else _ANYTHING
        errors = schema_errors(schema, "input_schema") or _not_object(schema)
        if errors:
            raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)
        checked = await self._definition(name, given.definition)
        now = self._clock.now()
        return Template(
            name=name, description=given.description, category=given.category,
            definition=dict(checked.loaded.value), input_schema=schema, created_at=now, updated_at=now,
            updated_by=principal.user_id,
        )  # fmt: skip

    async def _definition(self, name: str, given: Given) -> Checked:
        """Return a checked definition under the template's name, whatever name it has itself."""
        named = {**given, "name": name} if isinstance(given, Mapping) else given
        try:
            checked = await self._definitions.read(named)
            if checked.definition.name != name:
                checked = await self._definitions.read({**checked.loaded.value, "name": name})
        except SchedulerError as error:
            errors = [
                FieldError(
                    f"definition.{one.field}" if one.field else "definition", one.message, suggestion=one.suggestion
                )
                for one in error.errors
            ]
            raise ValidationFailed(f"definition: {error.detail}", errors=errors, fix=error.fix) from error
        return checked

    async def _version(self, principal: Principal, name: str, checked: Checked) -> WorkflowRef:
        own_id = workflow_id(principal.tenant_id, name)
        number = await self._templates.keep(new_version(checked, principal, own_id, (), self._clock.now()))
        return WorkflowRef(principal.tenant_id, own_id, name, number, number, paused=False)


def _name(one: Template | Malformed) -> str:
    return one.name if isinstance(one, Template) else one.id


async def _builtin() -> dict[str, Template]:
    return await asyncio.to_thread(builtin_templates)


def _not_object(schema: Any) -> list[FieldError]:
    if isinstance(schema, dict) and schema.get("type", "object") != "object":
        return [FieldError("input_schema.type", "the input of a template is an object: write `type: object`")]
    return []


def _input(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    """Return an input with the defaults of the schema.

    Raises:
        ValidationFailed: it does not fit; the errors name each field as `input.email`.

    """
    given = completed(schema, {} if value is None else value)
    errors = form_errors({"type": "object", **schema}, given, "input")
    if errors:
        raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)
    return dict(given)


def _shape(principal: Principal, template: Template, *, whole: bool) -> dict[str, Any]:
    triggers = template.definition.get("triggers") or {}
    shape = {
        "id": workflow_id(principal.tenant_id, template.name),
        "name": template.name,
        "description": template.description,
        "category": template.category,
        "builtin": template.builtin,
        "version": template.version,
        "input_schema": template.input_schema,
        "triggers": {name: one.get("type") for name, one in triggers.items()},
        "created_at": moment(template.created_at),
        "updated_at": moment(template.updated_at),
        "updated_by": template.updated_by,
    }
    return {**shape, "definition": template.definition} if whole else shape
