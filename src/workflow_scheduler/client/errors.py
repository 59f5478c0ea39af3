"""What calls of the service raise: the class follows from the `code` of the problem document."""

from __future__ import annotations

from workflow_scheduler.core.errors import (
    BadRequest,
    Conflict,
    DefinitionInvalid,
    FieldError,
    Forbidden,
    NotConnected,
    NotFound,
    PreconditionFailed,
    SchedulerError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)

__all__ = (
    "BadRequest",
    "Conflict",
    "DefinitionInvalid",
    "FieldError",
    "Forbidden",
    "NotConnected",
    "NotFound",
    "PreconditionFailed",
    "SchedulerError",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "ValidationFailed",
)
