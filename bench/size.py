"""Size: how fast the service starts over a million triggers and schedules, and what it costs while nothing is due."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import seed
from bench.service import Service


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mb(pid: int) -> float:
    """Return what a process has in memory, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def stored(pushes: int, schedules: int, idle_seconds: float = 20, settle_seconds: float = 10) -> dict[str, Any]:
    """Return seconds until ready, and CPU share and memory while idle, with so much stored and nothing due.

    Idle begins `settle_seconds` after the start, which is followed by a look at the first rows of each table.
    """
    folder = Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
    try:
        connection = seed.open_database(folder)
        with connection:
            seed.workflows(connection, 1000)
            if pushes:
                seed.pushes(connection, pushes, pushes // 100, 1000)
            seed.schedules(connection, schedules, int(time.time() + 86_000) * 1_000_000, 1000)
        connection.close()
        service = Service(folder=folder).start()
        assert service.process is not None
        pid = service.process.pid
        time.sleep(settle_seconds)
        before = cpu_seconds(pid)
        time.sleep(idle_seconds)
        share = (cpu_seconds(pid) - before) / idle_seconds * 100
        figures = {"ready_seconds": service.ready_seconds, "idle_cpu_percent": share, "memory_mb": memory_mb(pid)}
        service.stop()
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print("1,000,000 triggers and schedules:", stored(500_000, 500_000, 5))
    print("100,000 schedules:", stored(0, 100_000))
