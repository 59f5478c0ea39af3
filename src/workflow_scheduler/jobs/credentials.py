"""What jobs ask for by name: connections, secrets, and the permission to run code."""

from __future__ import annotations

from typing import TypeVar

from workflow_scheduler.core.errors import Forbidden, Rejected
from workflow_scheduler.core.model.connection import KINDS
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.time.clock import to_iso

F = TypeVar("F", bound=Fields)


async def fields_of(context: JobContext, name: str, kind: type[F]) -> F:
    """Return the fields of a connection of this kind.

    Raises:
        Rejected: the tenant has no such connection, or it is of another kind, or it has expired.

    """
    wanted = next(key for key, model in KINDS.items() if model is kind)
    found = await context.resources.connections.open(context.tenant_id, name)
    if found is None:
        raise Rejected(
            f"there is no connection `{name}`",
            fix=f"Make it with `workflow-scheduler connection add {name} --kind {wanted}`.",
        )
    if not isinstance(found.fields, kind):
        raise Rejected(f"the connection `{name}` is of kind `{found.kind}`, and this job needs one of kind `{wanted}`")
    if found.expires_at is not None and found.expires_at <= context.now():
        raise Rejected(
            f"the connection `{name}` has expired at {to_iso(found.expires_at)}",
            fix=f"Give it a new secret with `workflow-scheduler connection rotate {name}`.",
        )
    return found.fields


async def secret_of(context: JobContext, name: str) -> str:
    """Return the value of a secret.

    Raises:
        Rejected: the tenant has no such secret.

    """
    value = await context.secret(name)
    if value is None:
        raise Rejected(f"there is no secret `{name}`", fix=f"Set it with `workflow-scheduler secret set {name}`.")
    return value


async def require_code(context: JobContext, what: str) -> None:
    """Refuse `what` where this tenant may not run code.

    Raises:
        Forbidden: it may not.

    """
    if not await context.resources.code_rule.code_allowed(context.tenant_id):
        raise Forbidden(
            f"{what} is not allowed for this tenant",
            fix="An owner allows it: `workflow-scheduler tenant set --allow-code`, where the installation allows code.",
        )
