"""The guard inside aiohttp: names are resolved once, and only allowed addresses get a socket."""

from __future__ import annotations

import errno
import socket
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from workflow_scheduler.outbound.guard import EgressGuard

_VOUCHED_MAX = 10_000


class AddressRefusedError(OSError):
    """The guard refused the address; an OSError, so that aiohttp reports it as a failed connection."""

    def __init__(self) -> None:
        """One message for all addresses, so that several refusals stay one error."""
        super().__init__(errno.EACCES, "refused by the egress guard")


class Vouched:
    """The latest addresses that an allowed host name resolved to."""

    def __init__(self) -> None:
        """Vouch for nothing."""
        self._addresses: OrderedDict[tuple[str, int], None] = OrderedDict()

    def add(self, address: str, port: int) -> None:
        """Vouch for one address and port."""
        self._addresses[address, port] = None
        self._addresses.move_to_end((address, port))
        if len(self._addresses) > _VOUCHED_MAX:
            self._addresses.popitem(last=False)

    def has(self, address: str, port: int) -> bool:
        """Return whether it was vouched for."""
        return (address, port) in self._addresses


class GuardedResolver(AbstractResolver):
    """Resolves a name and hands on only the addresses that the guard allows."""

    def __init__(self, guard: EgressGuard, vouched: Vouched, inner: AbstractResolver | None = None) -> None:
        """Resolve through `inner`, by default the system's resolver in a thread."""
        self._guard = guard
        self._vouched = vouched
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the allowed addresses.

        Raises:
            AddressRefusedError: the name has addresses, but none is allowed.
            OSError: the name cannot be resolved.

        """
        found = await self._inner.resolve(host, port, family)
        if self._guard.allows_host(host):
            for result in found:
                self._vouched.add(result["host"], result["port"])
            return found
        allowed = [result for result in found if self._guard.allows(result["host"])]
        if found and not allowed:
            raise AddressRefusedError
        return allowed

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


def guarded_connector(guard: EgressGuard, inner: AbstractResolver | None, connections_max: int) -> TCPConnector:
    """Return a connector whose every socket passes the guard: names, literals, and whatever else reaches it."""
    vouched = Vouched()

    def open_socket(address_info: Sequence[Any]) -> socket.socket:
        family, kind, protocol, _, target = address_info
        if not (guard.allows(target[0]) or vouched.has(target[0], target[1])):
            raise AddressRefusedError
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=GuardedResolver(guard, vouched, inner),
        socket_factory=open_socket,
        limit=connections_max,
        ttl_dns_cache=30,
        happy_eyeballs_delay=None,
    )
