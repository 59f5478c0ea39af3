"""The log lines of one run: numbered, bounded per job, kept until the next commit takes them."""

from __future__ import annotations

from workflow_scheduler.core.model.run import LogLine, Run

LINE_CHARS_MAX = 16_384
LANES = 256


class Journal:
    """Collects lines. `seq` follows the clock in microseconds, so that it also grows across a restart.

    Where several processes write lines of one run at once, each takes a `lane` of LANES, so that no two lines get the
    same number.
    """

    __slots__ = ("_bytes_max", "_lane", "_run", "_seq", "_sizes", "lines")

    def __init__(self, run: Run, bytes_max: int, lane: int | None = None) -> None:
        """Keep at most `bytes_max` bytes per job."""
        self._lane = lane
        self._run = run
        self._bytes_max = bytes_max
        self._seq = 0
        self._sizes: dict[str, int] = {}
        self.lines: list[LogLine] = []

    def add(self, job_id: str, attempt: int, line: str, stream: str, now: int) -> bool:
        """Keep a line and return whether it was kept; NUL and lone surrogates become the replacement character."""
        size = self._sizes.get(job_id, 0)
        if size > self._bytes_max:
            return False
        if len(line) > LINE_CHARS_MAX:
            line = line[:LINE_CHARS_MAX] + "…"
        if not line.isascii():
            line = line.encode("utf-8", "replace").decode()
        line = line.replace("\0", "\ufffd")
        size += len(line) + 1
        self._sizes[job_id] = size
        if size > self._bytes_max:
            stream, line = "system", f"truncated: the job printed more than {self._bytes_max} bytes"
        if self._lane is None:
            self._seq = max(self._seq + 1, now)
        else:
            self._seq = max(self._seq + LANES, now - now % LANES + self._lane)
        run = self._run
        self.lines.append(
            LogLine(
                tenant_id=run.tenant_id,
                run_id=run.id,
                job_id=job_id,
                attempt=attempt,
                seq=self._seq,
                at=now,
                stream=stream,
                line=line,
            )
        )
        return True

    def take(self) -> list[LogLine]:
        """Return the lines that have come since the last call."""
        lines, self.lines = self.lines, []
        return lines
