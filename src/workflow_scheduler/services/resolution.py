"""What a deployment asks of the providers: names become ids, credentials are tried, before anything is live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from workflow_scheduler.core.definition.check import Checked
from workflow_scheduler.core.definition.trigger_check import CheckedTrigger
from workflow_scheduler.core.errors import FieldError, Rejected, SchedulerError, ValidationFailed
from workflow_scheduler.core.model.connection import Connection
from workflow_scheduler.core.ports.connections import Connections
from workflow_scheduler.core.ports.resolving import GitHubPlace
from workflow_scheduler.core.ports.resources import Outbound
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.time.clock import Clock

Installations = Callable[[str, str, GitHubPlace], Awaitable[str]]
"""Of tenant, person and place: see core.ports.resolving.Resolving.github_installation."""


class Around:
    """Implements core.ports.resolving.Resolving for one tenant."""

    def __init__(self, resolution: Resolution, tenant_id: str, actor: str) -> None:
        """Ask in the name of `tenant_id`, for the person `actor`."""
        self._resolution = resolution
        self._actor = actor
        self.tenant_id = tenant_id
        self.outbound = resolution.outbound
        self.now = resolution.clock.now()
        self.public_url = resolution.public_url

    async def secret(self, name: str) -> str | None:
        """Return a secret's value, or None."""
        return await self._resolution.secrets.get(self.tenant_id, name)

    async def connection(self, name: str) -> Connection | None:
        """Return a connection, or None when the tenant has none of that name."""
        return await self._resolution.connections.open(self.tenant_id, name)

    @property
    def has_github_app(self) -> bool:
        """Whether this service has a GitHub App."""
        return self._resolution.installations is not None

    async def github_installation(self, place: GitHubPlace) -> str:
        """Return the id of the GitHub App's installation that covers a place."""
        ask = self._resolution.installations
        if ask is None:
            raise Rejected("this service has no GitHub App", fix="Set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY.")
        return await ask(self.tenant_id, self._actor, place)


class Resolution:
    """Has the triggers of a definition resolved by their types (see core.registry, `resolve`)."""

    def __init__(self, secrets: Secrets, connections: Connections, outbound: Outbound, clock: Clock) -> None:
        """Resolve with these.

        Set by the composition root: `installations` where there is a GitHub App, `public_url` where one is configured.
        """
        self.secrets = secrets
        self.connections = connections
        self.outbound = outbound
        self.clock = clock
        self.installations: Installations | None = None
        self.public_url = ""

    async def resolve(self, tenant_id: str, checked: Checked, actor: str) -> tuple[Checked, list[str]]:
        """Return the definition with what was found laid over its triggers, and warnings.

        Raises:
            ValidationFailed: a name does not exist; the errors name the trigger and the field.
            SchedulerError: a provider cannot be asked now, and something depends on it.

        """
        around = Around(self, tenant_id, actor)
        triggers: dict[str, CheckedTrigger] = {}
        warnings: list[str] = []
        for name, trigger in checked.triggers.items():
            resolve = getattr(trigger.module, "resolve", None)
            if resolve is None:
                continue
            try:
                found = await resolve(trigger.config, around)
            except ValidationFailed as error:
                lines = [FieldError(f"triggers.{name}.{line.field}", line.message) for line in error.errors]
                raise ValidationFailed(f"triggers.{name}.{error.detail}", fix=error.fix, errors=lines) from None
            except SchedulerError as error:
                error.detail = f"triggers.{name}: {error.detail}"
                raise
            warnings += [f"{name}: {sentence}" for sentence in found.warnings]
            if found.fields:
                triggers[name] = _laid_over(trigger, found.fields)
        if not triggers:
            return checked, warnings
        return msgspec.structs.replace(checked, triggers={**checked.triggers, **triggers}), warnings


def _laid_over(trigger: CheckedTrigger, fields: dict[str, Any]) -> CheckedTrigger:
    config = type(trigger.config).model_validate({**trigger.plain, **fields})
    plain = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return msgspec.structs.replace(trigger, config=config, plain=plain)
