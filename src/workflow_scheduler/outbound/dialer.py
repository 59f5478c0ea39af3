"""TCP connections through the egress guard, for protocols that bring a client of their own (SMTP, databases)."""

from __future__ import annotations

import socket
from typing import Any

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.outbound.guard import EgressGuard, refused


class GuardedDialer:
    """Implements core.ports.resources.Dialer: a name is resolved once, and only an allowed address is connected to."""

    def __init__(self, guard: EgressGuard) -> None:
        """Ask `guard` about every address."""
        self._guard = guard

    def dial(self, host: str, port: int, timeout_seconds: float) -> socket.socket:
        """Return a connected socket; errors as in core.ports.resources.Dialer."""
        found = _resolved(host, port)
        listed = self._guard.allows_host(host)
        allowed = [one for one in found if listed or self._guard.allows(str(one[4][0]))]
        if not allowed:
            raise refused(host)
        failure: OSError | None = None
        for family, kind, protocol, _, address in allowed:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(timeout_seconds)
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise NotConnected(f"cannot connect to {host}:{port}: {failure}") from failure

    def check(self, host: str, port: int) -> None:
        """Look whether every address of a host may be connected to; errors as in core.ports.resources.Dialer."""
        found = _resolved(host, port)
        if not self._guard.allows_host(host) and not all(self._guard.allows(str(one[4][0])) for one in found):
            raise refused(host)


def _resolved(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotConnected(f"cannot resolve {host}: {error}") from error
