"""Bytes that a process prints, cut into lines of bounded length as they come."""

from __future__ import annotations

from collections.abc import Callable

LINE_BYTES_MAX = 16_384


class LineSplitter:
    """Hands each complete line to `emit` as text; a line longer than LINE_BYTES_MAX comes in several pieces."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        """Start with no bytes."""
        self._emit = emit
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; incomplete UTF-8 is replaced, never an error."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            self._send(line)
        while len(rest) > LINE_BYTES_MAX:
            self._send(rest[:LINE_BYTES_MAX])
            rest = rest[LINE_BYTES_MAX:]
        self._rest = rest

    def close(self) -> None:
        """Hand over what is left without a line end."""
        if self._rest:
            self._send(self._rest)
            self._rest = b""

    def _send(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        for start in range(0, max(len(line), 1), LINE_BYTES_MAX):
            self._emit(line[start : start + LINE_BYTES_MAX].decode("utf-8", "replace"))


class Tail:
    """The last `bytes_max` bytes of a stream, and how many there were in all."""

    def __init__(self, bytes_max: int) -> None:
        """Start empty."""
        self._max = bytes_max
        self._kept = bytearray()
        self.total = 0

    def feed(self, chunk: bytes) -> None:
        """Append, and forget what is too old."""
        self.total += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * self._max:
            del self._kept[: -self._max]

    @property
    def truncated(self) -> bool:
        """Whether bytes were forgotten."""
        return self.total > self._max

    def bytes(self) -> bytes:
        """Return the last bytes."""
        return bytes(self._kept[-self._max :]) if self._max else b""

    def text(self) -> str:
        """Return the last bytes as text; a character cut in two is replaced."""
        return self.bytes().decode("utf-8", "replace")
