"""What becomes of the processes of jobs when the service is killed: none may outlive it and meet its next attempt.

A guardian process, started with the first job that has a process, ends the groups that are under way the moment the
service is gone. What slips through (a process that was being started just then, one that left its group) is found at
the next start by the mark in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Final

MARK: Final = "WFS_SERVICE"
_GUARDIAN = str(Path(__file__).with_name("guardian.py"))
_PROC = Path("/proc")


class Guard:
    """The service's end of its guardian."""

    def __init__(self) -> None:
        """Begin without a guardian; the first group starts one."""
        self._groups: dict[int, None] = {}
        self._pipe = -1
        self._process = 0

    def watch(self, group: int) -> None:
        """Let the group end with the service."""
        self._groups[group] = None
        self._tell(b"+%d\n" % group)

    def release(self, group: int) -> None:
        """Say that the group has ended."""
        if self._groups.pop(group, 0) is None:
            self._tell(b"-%d\n" % group)

    def _tell(self, line: bytes) -> None:
        if self._pipe >= 0:
            try:
                os.write(self._pipe, line)
            except OSError:
                self._forget()
            else:
                return
        self._start()

    def _start(self) -> None:
        """Start a guardian that knows every group under way."""
        read_end, self._pipe = os.pipe()
        self._process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", _GUARDIAN],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, read_end, 0)],
            setpgroup=0,
        )
        os.close(read_end)
        for group in self._groups:
            os.write(self._pipe, b"+%d\n" % group)

    def _forget(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, os.WNOHANG)


guard: Final = Guard()


@cache
def service_mark() -> str:
    """Return what names this process on this machine, also after its number is used again: its id and its start."""
    return f"{os.getpid()}:{_started(os.getpid())}"


def end_leftovers() -> int:
    """Kill the processes of jobs whose service is gone, and return how many there were."""
    count = 0
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit():
            continue
        owner = _owner(entry)
        if owner is None or _is_alive(owner):
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(entry.name), signal.SIGKILL)
            count += 1
    return count


def _owner(process: Path) -> str | None:
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    prefix = MARK.encode() + b"="
    return next((one[len(prefix) :].decode("ascii", "replace") for one in variables if one.startswith(prefix)), None)


def _is_alive(owner: str) -> bool:
    number, _, started = owner.partition(":")
    return number.isdigit() and _started(int(number)) == started


def _started(process: int) -> str | None:
    """Return when a process was started, in ticks since the machine was; None when there is no such process."""
    try:
        return (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
