"""What a definition needs from its tenant besides being right: secrets, connections, and the permission to run code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Protocol

from workflow_scheduler.core.dag.pools import missing, outside
from workflow_scheduler.core.definition.check import Checked
from workflow_scheduler.core.definition.trigger_check import CheckedTrigger
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.ports.resources import CodeRule
from workflow_scheduler.services.tenant import CODE_FIX, CODE_REFUSED
from workflow_scheduler.stores.portable.connections import uses


class SecretNames(Protocol):
    """Tells which secrets a tenant lacks."""

    async def missing(self, tenant_id: str, names: Iterable[str]) -> list[str]:
        """Return those of `names` that are not set."""
        ...


class ConnectionNames(Protocol):
    """Tells which connections a tenant lacks."""

    async def missing(self, tenant_id: str, wanted: Mapping[str, str]) -> list[FieldError]:
        """Return an error for each field of `wanted` (path -> connection) whose connection is not there."""
        ...


class PoolRule(Protocol):
    """Tells which pools a tenant has."""

    async def pools(self, tenant_id: str) -> dict[str, int]:
        """Return the capacities of the tenant's pools by name."""
        ...


class Requirements:
    """Checks them before a deployment."""

    def __init__(
        self,
        secrets: SecretNames,
        connections: ConnectionNames | None = None,
        code_rule: CodeRule | None = None,
        job_types: Mapping[str, ModuleType] | None = None,
        pool_rule: PoolRule | None = None,
    ) -> None:
        """Ask these; what is left out is not checked.

        `given`, set by the composition root, are secrets that the service itself has for triggers of a type.
        """
        self.given: frozenset[tuple[str, str]] = frozenset()
        self._secrets = secrets
        self._connections = connections
        self._code_rule = code_rule
        self._job_types = job_types or {}
        self._pool_rule = pool_rule

    async def check(self, tenant_id: str, checked: Checked) -> None:
        """Refuse a definition that the tenant lacks something for.

        Raises:
            ValidationFailed: a secret, a connection or a pool is not there, or the tenant may not run code.

        """
        await self._check_secrets(tenant_id, checked)
        wanted = uses(checked.loaded.value)
        absent = await self._connections.missing(tenant_id, wanted) if wanted and self._connections else []
        if absent:
            raise ValidationFailed(
                f"{absent[0].field}: {absent[0].message}",
                fix="make it: workflow-scheduler connection add NAME --kind KIND",
                errors=absent,
            )
        await self._check_code(tenant_id, checked)
        await self._check_pools(tenant_id, checked)

    async def _check_pools(self, tenant_id: str, checked: Checked) -> None:
        asked = outside(checked.definition)
        if not asked or self._pool_rule is None:
            return
        errors = missing(asked, await self._pool_rule.pools(tenant_id), checked.definition.resources)
        if errors:
            fix = (
                "add it under `resources` of the workflow, or an owner: workflow-scheduler tenant set --resource NAME=N"
            )
            raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", fix=fix, errors=errors)

    async def _check_code(self, tenant_id: str, checked: Checked) -> None:
        coded = [
            FieldError(f"jobs.{name}", CODE_REFUSED)
            for name, job in checked.definition.jobs.items()
            if getattr(self._job_types.get(job.type), "needs_code_allowance", False)
        ]
        if not coded or checked.definition.engine != "embedded" or self._code_rule is None:
            return
        if not await self._code_rule.code_allowed(tenant_id):
            raise ValidationFailed(f"{coded[0].field}: {coded[0].message}", fix=CODE_FIX, errors=coded)

    async def _check_secrets(self, tenant_id: str, checked: Checked) -> None:
        wanted: dict[str, tuple[str, str]] = {}  # field -> trigger and secret
        for trigger in checked.triggers.values():
            name_of = getattr(trigger.module, "secret_name", None)
            names_of = getattr(trigger.module, "secret_names", None)
            secrets = [] if name_of is None else [name_of(trigger.config)]
            secrets += [] if names_of is None else names_of(trigger.config)
            for secret in filter(None, secrets):
                if (trigger.type, secret) in self.given:
                    continue  # the type asks for it while it is resolved, where it needs the tenant's own
                wanted[_field(checked, trigger, secret)] = (trigger.name, secret)
        missing = await self._secrets.missing(tenant_id, {secret for _, secret in wanted.values()}) if wanted else []
        errors = [
            FieldError(field, f"the secret `{secret}` is not set")
            for field, (_, secret) in wanted.items()
            if secret in missing
        ]
        if errors:
            name, secret = wanted[errors[0].field]
            raise ValidationFailed(
                f"the secret `{secret}` of the trigger `{name}` is not set",
                fix=f"set it: workflow-scheduler secret set {secret}",
                errors=errors,
            )


def _field(checked: Checked, trigger: CheckedTrigger, secret: str) -> str:
    """Return the field that names a secret; where none is written, the one that would."""
    whole = f"triggers.{trigger.name}"
    triggers = checked.loaded.value.get("triggers") if isinstance(checked.loaded.value, dict) else None
    written = triggers.get(trigger.name) if isinstance(triggers, dict) else None
    found = list(_places(written, secret, whole))
    named = [path for path in found if "secret" in path.rpartition(".")[2]]
    if named or found:
        return (named or found)[0]
    return f"{whole}.secret" if "secret" in trigger.module.Config.model_fields else whole


def _places(value: Any, text: str, path: str) -> Iterator[str]:
    """Yield the paths at which a text stands."""
    if value == text:
        yield path
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _places(part, text, f"{path}.{key}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _places(part, text, f"{path}[{place}]")
