"""Every error the program raises on purpose, in one tree.

::

    SchedulerError                code, HTTP status, retryable, fix, field errors
    ├── ValidationFailed          422 invalid            the input breaks a rule; errors name the fields
    │   └── DefinitionInvalid     422 definition_invalid the definition file breaks a rule; issues carry line and column
    ├── BadRequest                400 bad_request        the request cannot be read at all
    │   └── RequestTimeout        408 request_timeout    the body did not arrive in time
    ├── Unauthenticated           401 unauthenticated    no or unknown credentials
    │   └── SignatureInvalid      401 signature_invalid  the signature does not fit the bytes
    ├── Forbidden                 403 forbidden          known caller, not allowed
    │   └── EgressRefused         403 egress_refused     an outbound address is not allowed
    ├── NotFound                  404 not_found          no such thing in this tenant
    ├── MethodNotAllowed          405 method_not_allowed
    ├── Conflict                  409 conflict           the state does not allow it
    │   ├── LateResponse          409 late_response      the answer came after its wait was closed
    │   └── PreconditionFailed    412 precondition_failed the If-Match version is not the current one
    ├── TooLarge                  413 too_large
    ├── UnsupportedMedia          415 unsupported_media_type
    ├── Unavailable               503 unavailable        try again later (retry_after)
    │   ├── EngineUnavailable     503 engine_unavailable the engine did not answer
    │   └── StoreUnavailable      503 store_unavailable  the database did not answer or the disk is full
    ├── LeaseLost                 409 lease_lost         another instance owns the row now
    ├── OutcomeUnknown            503 outcome_unknown    a call may or may not have been carried out: look it up
    ├── NotConnected              503 not_connected      a source or connection is down
    ├── RetryAfter                503 retry_after        the peer asks to wait
    ├── EndOfSource               -   end_of_source      nothing more will ever come
    ├── JobFailed                 -   job_failed         the job's own work failed; another attempt may help
    └── Rejected                  422 rejected           the peer or the job refuses this for good
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar, Self

import msgspec


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One broken field. `line` and `column` count from 1 and are there for files only."""

    field: str
    message: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None


class SchedulerError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str | None = None,
        *,
        fix: str | None = None,
        errors: Iterable[FieldError] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        """Keep what happened (`detail`), the remedy (`fix`) and the fields concerned."""
        self.detail = detail or (type(self).__doc__ or "").strip().split("\n")[0]
        self.fix = fix
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)


class ValidationFailed(SchedulerError):
    """The input breaks a rule."""

    code = "invalid"
    status = 422

    @classmethod
    def at(cls, field: str, message: str, fix: str | None = None) -> Self:
        """Return the refusal of one field."""
        return cls(f"{field}: {message}", errors=[FieldError(field, message)], fix=fix)


class DefinitionInvalid(ValidationFailed):
    """The definition breaks a rule."""

    code = "definition_invalid"


class BadRequest(SchedulerError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400


class RequestTimeout(BadRequest):
    """The body did not arrive in time."""

    code = "request_timeout"
    status = 408


class Unauthenticated(SchedulerError):
    """No credentials, or unknown ones."""

    code = "unauthenticated"
    status = 401


class SignatureInvalid(Unauthenticated):
    """The signature does not fit the bytes that were received."""

    code = "signature_invalid"


class Forbidden(SchedulerError):
    """The caller is known but may not do this."""

    code = "forbidden"
    status = 403


class EgressRefused(Forbidden):
    """This outbound address is not allowed."""

    code = "egress_refused"


class NotFound(SchedulerError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class MethodNotAllowed(SchedulerError):
    """This method is not allowed here."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, detail: str | None = None, *, allow: Iterable[str] = (), fix: str | None = None) -> None:
        """Keep the methods that are allowed, for the `Allow` header."""
        super().__init__(detail, fix=fix)
        self.allow = tuple(allow)


class Conflict(SchedulerError):
    """The present state does not allow this."""

    code = "conflict"
    status = 409


class LateResponse(Conflict):
    """The answer came after its wait was closed."""

    code = "late_response"


class PreconditionFailed(Conflict):
    """Somebody changed it in the meantime."""

    code = "precondition_failed"
    status = 412


class TooLarge(SchedulerError):
    """The body is larger than allowed."""

    code = "too_large"
    status = 413


class UnsupportedMedia(SchedulerError):
    """The content type or encoding is not supported."""

    code = "unsupported_media_type"
    status = 415


class Unavailable(SchedulerError):
    """Not available now; try again later."""

    code = "unavailable"
    status = 503
    retryable = True


class EngineUnavailable(Unavailable):
    """The engine did not answer."""

    code = "engine_unavailable"


class StoreUnavailable(Unavailable):
    """The database did not answer, or the disk is full."""

    code = "store_unavailable"


class LeaseLost(SchedulerError):
    """Another instance owns this now."""

    code = "lease_lost"
    status = 409


class OutcomeUnknown(SchedulerError):
    """The call may or may not have been carried out; look it up before trying again."""

    code = "outcome_unknown"
    status = 503
    retryable = True


class NotConnected(SchedulerError):
    """The source is not connected."""

    code = "not_connected"
    status = 503
    retryable = True


class RetryAfter(SchedulerError):
    """The peer asks to wait before the next call."""

    code = "retry_after"
    status = 503
    retryable = True


class EndOfSource(SchedulerError):
    """Nothing more will come from this source."""

    code = "end_of_source"


class JobFailed(SchedulerError):
    """The job's own work failed."""

    code = "job_failed"
    retryable = True


class ChildFailed(SchedulerError):
    """A run that a job started and waited for did not succeed."""

    code = "child_failed"


class Rejected(SchedulerError):
    """Refused for good; trying again will not help."""

    code = "rejected"
    status = 422


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, or None when nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def unknown_field(word: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown key, with a suggestion where one is near."""
    near = did_you_mean(word, known)
    return f"unknown field `{word}`" + (f", did you mean `{near}`?" if near else "")
