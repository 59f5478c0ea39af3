"""Which rows of `trigger_keys` a trigger gets: its own index keys, and the public routes of push triggers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from workflow_scheduler.core.time.calendars.use import calendar_key, use_of


def id_route(trigger_id: str) -> str:
    """Return the route key of `/webhooks/{provider}/{trigger id}`."""
    return f"id:{trigger_id}"


def workflow_route(workflow_id: str) -> str:
    """Return the route key of `/api/v1/public/webhook/{workflow id}`."""
    return f"wf:{workflow_id}"


def secret_route(tenant_id: str, secret_name: str) -> str:
    """Return the key under which all triggers of a tenant that share a secret are found."""
    return f"secret:{tenant_id}/{secret_name}"


def split_secret_route(key: str) -> tuple[str, str]:
    """Return the tenant and the secret's name of a `secret_route`; a tenant's id may hold slashes, a name never."""
    tenant_id, _, name = key.removeprefix("secret:").rpartition("/")
    return tenant_id, name


def trigger_keys(
    module: ModuleType, config: Any, *, tenant_id: str, workflow_id: str, trigger_id: str
) -> list[tuple[str, str]]:
    """Return the (index key, sub key) pairs to store for a trigger.

    The secret's key carries no sub key per trigger: it exists to list the secrets of a type without reading its
    triggers. A time trigger is found by each calendar it follows.
    """
    sub_keys = module.sub_keys(config) if hasattr(module, "sub_keys") else ("",)
    pairs = [(key, sub) for key in module.index_keys(config) for sub in sub_keys]
    use = use_of(config) if module.shape == "timer" else None
    if use is not None:
        pairs += [(calendar_key(name), "") for name in use.names]
    if module.shape == "push":
        pairs += [(id_route(trigger_id), ""), (workflow_route(workflow_id), "")]
        secret = module.secret_name(config)
        if secret:
            pairs.append((secret_route(tenant_id, secret), ""))
    return list(dict.fromkeys(pairs))
