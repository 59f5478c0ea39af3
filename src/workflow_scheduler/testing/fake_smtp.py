"""A mail server without a network, for tests: it takes every message and keeps it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import BinaryIO, cast


class FakeMailDialer:
    """A Dialer whose every connection leads to a mail server in a thread; `messages` are the raw messages it took."""

    def __init__(self) -> None:
        """Start with an empty mailbox."""
        self.messages: list[bytes] = []

    def dial(self, _host: str, _port: int, timeout_seconds: float) -> socket.socket:
        """Return a socket with the server behind it."""
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_seconds)
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:  # the client may just go
            lines = cast("BinaryIO", stream)
            _say(lines, b"220 fake")
            for line in lines:
                word = line.strip().upper()
                if word.startswith(b"EHLO"):
                    _say(lines, b"250-fake\r\n250 8BITMIME")
                elif word == b"DATA":
                    _say(lines, b"354 go on")
                    self.messages.append(b"".join(iter(lines.readline, b".\r\n")))
                    _say(lines, b"250 taken")
                elif word == b"QUIT":
                    _say(lines, b"221 bye")
                    return
                else:
                    _say(lines, b"250 ok")


def _say(lines: BinaryIO, answer: bytes) -> None:
    lines.write(answer + b"\r\n")
    lines.flush()
