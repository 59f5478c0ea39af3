"""The sender's own record of what was acknowledged: one JSON line each, on disk before the next delivery."""

import json
import os
import threading


class Ledger:
    """Appends lines and syncs them; threads share one, and lines that wait together share a sync."""

    def __init__(self, path):
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def write(self, **entry):
        line = json.dumps(entry).encode() + b"\n"
        with self._lock:
            os.write(self._handle, line)
            os.fdatasync(self._handle)


def read(path):
    """Return the entries; a last line that was cut off is no entry."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]
