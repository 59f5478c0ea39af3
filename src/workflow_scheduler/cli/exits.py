"""The exit codes of the command line; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum

from workflow_scheduler.core.errors import DefinitionInvalid, JobFailed, SchedulerError


class Exit(IntEnum):
    """How a command ended."""

    OK = 0  # done
    FAILED = 1  # a run or a check failed
    USAGE = 2  # the command line, or what it asks for, is wrong
    NOT_FOUND = 3  # there is no such thing
    AUTH = 4  # no, unknown or insufficient credentials
    CONFLICT = 5  # the present state does not allow it
    UNREACHABLE = 6  # the service did not answer, or cannot serve now
    TIMED_OUT = 7  # what was waited for did not happen in time


_BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.AUTH,
    403: Exit.AUTH,
    404: Exit.NOT_FOUND,
    405: Exit.USAGE,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    413: Exit.USAGE,
    415: Exit.USAGE,
    422: Exit.USAGE,
    503: Exit.UNREACHABLE,
}


def exit_of(error: SchedulerError) -> Exit:
    """Return the exit code for an error; a definition with mistakes is a failed check, not wrong usage."""
    if isinstance(error, (DefinitionInvalid, JobFailed)):
        return Exit.FAILED
    return _BY_STATUS.get(error.status, Exit.FAILED)
