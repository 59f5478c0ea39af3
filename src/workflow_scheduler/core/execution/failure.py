"""What goes wrong in a job, as the planner and the store see it."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.dag.actions import Result
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.run import JobStatus, Wake

MESSAGE_CHARS_MAX = 4000
_encode = msgspec.json.encode
_NO_REASON = _encode(
    {"code": "failed", "message": "what the job waited for failed; no reason is recorded", "retryable": False}
)


class Failure(msgspec.Struct, frozen=True):
    """A failed attempt: `error` is the stored JSON, `result` what the planner is told."""

    error: bytes
    result: Result


def body(code: str, message: str, *, retryable: bool = False, **more: Any) -> bytes:
    """Return the JSON of an error; the message is cut where it is long."""
    if len(message) > MESSAGE_CHARS_MAX:
        message = message[:MESSAGE_CHARS_MAX] + "…"
    message = message.encode("utf-8", "replace").decode()
    return _encode({"code": code, "message": message, "retryable": retryable, **more})


def failure(
    code: str, message: str, *, retryable: bool = False, retry_after_us: int = 0, fix: str | None = None
) -> Failure:
    """Return a failure with this code; `fix` says what to do about it."""
    result = Result(JobStatus.FAILED, code=code, retryable=retryable, retry_after_us=retry_after_us)
    more = {} if fix is None else {"fix": fix}
    return Failure(body(code, message, retryable=retryable, **more), result)


def from_exception(error: BaseException, module: Any) -> Failure:
    """Return the failure of an attempt that raised; the job type says whether another attempt may help.

    The code of an error from outside our own tree is the name of its class, so that `retry.on` can name it.
    """
    if isinstance(error, SchedulerError):
        pause = int((error.retry_after_seconds or 0.0) * 1e6)
        retryable = _retryable(error, module)
        return failure(error.code, error.detail, retryable=retryable, retry_after_us=pause, fix=error.fix)
    text = str(error)
    name = type(error).__name__
    return failure(name, f"{name}: {text}" if text else name, retryable=_retryable(error, module))


def from_config(error: ValidationError) -> Failure:
    """Return the failure of a job whose filled-in configuration does not fit its type."""
    problems = "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'with'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors()[:5]
    )
    return failure("config_invalid", f"the job's configuration is not valid: {problems}")


def from_wake(wake: Wake) -> Failure:
    """Return the failure of a job that waited for something which did not succeed."""
    error = wake.error or _NO_REASON
    known: Any = msgspec.json.decode(error)
    code = known.get("code") if isinstance(known, dict) else None
    return Failure(error, Result(JobStatus.FAILED, code=str(code or "failed")))


def encode_output(output: Any, bytes_max: int) -> bytes | Failure:
    """Return the JSON of a job's output, or why it cannot be stored."""
    if output is None:
        return b"null"
    try:
        encoded = _encode(output)
    except Exception as error:  # noqa: BLE001 - a value can refuse to be encoded in any way
        return failure("output_invalid", f"the output is not JSON: {error}")
    if len(encoded) > bytes_max:
        return failure("output_too_large", f"the output has {len(encoded)} bytes; the limit is {bytes_max}")
    return encoded


def _retryable(error: BaseException, module: Any) -> bool:
    if not isinstance(error, Exception):
        return False
    try:
        return bool(module.retryable(error))
    except Exception:  # noqa: BLE001 - a plug-in that fails here must not take the run with it
        return False
