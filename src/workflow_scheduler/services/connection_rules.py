"""What may be said about a connection, and how a change of one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workflow_scheduler.core.errors import (
    FieldError,
    NotFound,
    PreconditionFailed,
    ValidationFailed,
    did_you_mean,
    unknown_field,
)
from workflow_scheduler.core.model.connection import CONSENTED, KINDS, secret_names
from workflow_scheduler.core.model.connection_fields import Fields

NAME_CHARACTERS_MAX = 128
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_SAME_PLACE = frozenset({"username", "sender", "header", "auth", "region", "access_key_id", "client_id"})
"""What may change without the secrets being given again; every other field may say where they go, or how safely."""


def missing(name: str) -> NotFound:
    """Return the error for a name that the tenant has not given."""
    return NotFound(f"there is no connection `{name}`", fix="list the connections: GET /api/v1/connections")


def changed(name: str) -> PreconditionFailed:
    """Return the error for a change that came too late."""
    return PreconditionFailed(f"the connection `{name}` was changed meanwhile", fix="read it again and repeat")


def check_name(name: str) -> None:
    """Refuse what cannot be a name.

    Raises:
        ValidationFailed: it cannot.

    """
    if not 0 < len(name) <= NAME_CHARACTERS_MAX or not _NAME_CHARACTERS.issuperset(name):
        message = f"must be 1 to {NAME_CHARACTERS_MAX} letters, digits, underscores, dots or dashes"
        raise ValidationFailed(f"name {message}", errors=[FieldError("name", message)])


def check_expiry(expires_at: int | None, now: int) -> None:
    """Refuse an end that has passed.

    Raises:
        ValidationFailed: it has.

    """
    if expires_at is not None and expires_at <= now:
        message = "must be in the future"
        raise ValidationFailed(f"expires_at {message}", errors=[FieldError("expires_at", message)])


def check_destination(kept: Mapping[str, Any], was: Mapping[str, Any], fields: Fields) -> None:
    """Refuse to lead a stored secret to another place: who cannot read it could have it sent to themselves.

    Raises:
        ValidationFailed: it would go to another place; the secrets to give again are named.

    """
    kind = type(fields)
    open_fields = [key for key in kind.model_fields if key not in _SAME_PLACE and key not in secret_names(kind)]
    moved = [key for key in open_fields if getattr(fields, key) != was.get(key, kind.model_fields[key].default)]
    if kept and moved:
        errors = [FieldError(f"fields.{key}", f"give it again, because `{moved[0]}` changes") for key in kept]
        raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)


def checked(kind: str, given: Mapping[str, Any], place: str = "fields", *, consented: bool = False) -> Fields:
    """Return the fields of a connection, `consented` those of one that lives on a person's consent.

    What was sent is never quoted, since it may be a secret in a wrong place.

    Raises:
        ValidationFailed: there is no such kind, or a field cannot be used.

    """
    model = (CONSENTED if consented else KINDS).get(kind) or KINDS.get(kind)
    if model is None:
        near = did_you_mean(kind, KINDS)
        message = f"must be one of {', '.join(KINDS)}"
        raise ValidationFailed(f"kind {message}", errors=[FieldError("kind", message, suggestion=near)])
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    errors = []
    for one in found:
        field = ".".join([place, *map(str, one["loc"])])
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = unknown_field(str(one["loc"][-1]), model.model_fields)
        elif one["type"] == "missing":
            message = f"`{one['loc'][-1]}` is required"
        errors.append(FieldError(field, message))
    raise ValidationFailed("; ".join(f"{one.field}: {one.message}" for one in errors), errors=errors)
