"""Errors as RFC 9457 problem documents: the one place where an exception becomes an HTTP answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from workflow_scheduler.api.methods import allowed
from workflow_scheduler.core.definition.problems import sentence
from workflow_scheduler.core.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    SchedulerError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    ValidationFailed,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
_MEDIA = MEDIA_TYPE.encode()
_LOCATIONS = frozenset({"body", "query", "path", "header", "cookie"})
_BY_STATUS: dict[int, type[SchedulerError]] = {
    kind.status: kind
    for kind in (BadRequest, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, UnsupportedMedia, Unavailable)
}
_log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One field of the request that breaks a rule."""

    model_config = ConfigDict(extra="allow")

    field: str = Field(description="Path of the field, for example `triggers.nightly.cron`.")
    message: str


class Problem(BaseModel):
    """An RFC 9457 problem document. `code` is stable; programs should look at nothing else."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "/problems/not_found",
                "title": "There is no such thing.",
                "status": 404,
                "detail": "there is no workflow `nightly`",
                "code": "not_found",
                "fix": "list the workflows: GET /api/v1/workflows",
                "errors": [],
            }
        }
    )

    type: str = Field(description="Address of the page that explains this kind of problem.")
    title: str
    status: int
    detail: str
    code: str
    fix: str | None = Field(default=None, description="What to do about it.")
    errors: list[FieldProblem] = []


def document(error: SchedulerError) -> dict[str, Any]:
    """Return the problem document of `error` as plain values."""
    title = (type(error).__doc__ or "").strip().split("\n")[0]
    return {
        "type": f"/problems/{error.code}",
        "title": title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "fix": error.fix,
        "errors": list(error.errors),
    }


def headers(error: SchedulerError) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers: media type, and `Allow`, `Retry-After`, `WWW-Authenticate` where they belong."""
    result = [(b"content-type", _MEDIA), (b"cache-control", b"no-store")]
    if isinstance(error, MethodNotAllowed):
        result.append((b"allow", ", ".join(error.allow).encode("latin-1", "replace")))
    if isinstance(error, Unauthenticated):
        result.append((b"www-authenticate", b'Bearer realm="workflow_scheduler"'))
    if error.retryable or error.retry_after_seconds is not None:
        seconds = RETRY_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
        result.append((b"retry-after", str(max(1, math.ceil(seconds))).encode()))
    return result


def render(error: SchedulerError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of the answer to `error`, ready for ASGI."""
    return error.status, headers(error), msgspec.json.encode(document(error))


def unexpected(error: Exception) -> SchedulerError:
    """Log an error that nobody foresaw, and return one that says nothing about the inside."""
    _log.error("unexpected error", exc_info=error)
    return _fault()


def _fault() -> SchedulerError:
    return SchedulerError("the service met an error of its own; its log has the details", fix="report it, or try again")


def response(error: SchedulerError) -> Response:
    """Return the answer to `error` as a Starlette response."""
    status, pairs, body = render(error)
    answer = Response(body, status_code=status)
    answer.raw_headers = [*pairs, (b"content-length", str(len(body)).encode())]
    return answer


def field_errors(found: Iterable[Any]) -> list[FieldError]:
    """Turn pydantic's error list into ours: dotted paths without the part of the request, plain messages."""
    result = []
    for line in found:
        where = [str(part) for part in line["loc"]]
        if where and where[0] in _LOCATIONS:
            where = where[1:]
        result.append(FieldError(".".join(where), _message(line, where[-1] if where else "")))
    return result


def _message(line: Any, name: str) -> str:
    if line["type"] == "extra_forbidden":
        return f"unknown field `{name}`"
    if line["type"] == "missing":
        return "is required"
    if line["type"] in {"literal_error", "enum"}:
        return "must be one of " + str(line["ctx"]["expected"]).replace("'", "`").replace(" or ", ", ")
    hidden = isinstance(line.get("input"), str | bytes)  # what was sent may be a secret in the wrong place
    shown: Any = {**line, "input": ""} if hidden else line
    message = sentence(shown).partition(", not ``")[0] if hidden else sentence(shown)
    return message[:1].lower() + message[1:]


def from_validation(error: RequestValidationError | ValidationError) -> SchedulerError:
    """Return the error for input that pydantic or FastAPI refused."""
    lines = error.errors()
    if any(line["type"] == "json_invalid" for line in lines):
        return BadRequest("the body is not JSON")
    fields = field_errors(lines)
    detail = "; ".join(f"{line.field}: {line.message}" if line.field else line.message for line in fields[:3])
    return ValidationFailed(detail or None, errors=fields)


def from_http(error: HTTPException, request: Request) -> SchedulerError:
    """Return our error for one that Starlette raised by itself."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed(f"{request.method} is not allowed here", allow=allowed(request))
    kind = _BY_STATUS.get(error.status_code, BadRequest)
    return NotFound("there is no such path") if kind is NotFound else kind(str(error.detail))


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""

    async def expected(_request: Request, error: Exception) -> Response:
        return response(error if isinstance(error, SchedulerError) else _fault())  # the front logs what goes through it

    async def invalid(_request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError | ValidationError):
            return response(from_validation(error))
        return response(_fault())

    async def http(request: Request, error: Exception) -> Response:
        return response(from_http(error, request) if isinstance(error, HTTPException) else _fault())

    app.add_exception_handler(SchedulerError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, expected)


def kinds() -> dict[str, type[SchedulerError]]:
    """Return every kind of error by its code, for the pages at `/problems/{code}`."""
    found: dict[str, type[SchedulerError]] = {}
    waiting: list[type[SchedulerError]] = [SchedulerError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return dict(sorted(found.items()))
