"""Ports for servers that a test starts, stops and starts again."""

from __future__ import annotations

import secrets
import socket
from typing import Final

_LOWEST: Final = 10_240
_EPHEMERAL: Final = 32_768  # where Linux begins to take the ports of connections from; other systems begin higher
_TRIES: Final = 100


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses, outside the range from which connections are given theirs.

    A client that asks again and again for a server that is down could otherwise be given the server's port for its
    own end, and be connected to itself (simultaneous open, RFC 9293 section 3.5): the server could not come back.

    Raises:
        OSError: none of a hundred ports is free.

    """
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_EPHEMERAL - _LOWEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port between {_LOWEST} and {_EPHEMERAL}")
