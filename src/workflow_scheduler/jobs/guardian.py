"""The process that outlives the service by a moment, and ends the process groups that its jobs have left behind.

Started as a script, with nothing but the standard library. It reads lines `+GROUP` and `-GROUP` from standard input,
the service's end of which closes when the service ends, however it ends; then every group that is still listed gets
SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Keep the list until the service is gone."""
    groups: dict[int, None] = {}
    for line in sys.stdin.buffer:
        number = int(line[1:])
        if line[:1] == b"+":
            groups[number] = None
        else:
            groups.pop(number, None)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
