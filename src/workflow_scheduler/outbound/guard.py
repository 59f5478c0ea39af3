"""The egress guard: which addresses the program may connect to on behalf of its users.

Only public unicast addresses are allowed. Private, loopback, link-local (cloud metadata), carrier-grade NAT,
multicast, reserved and unspecified ranges are refused, also where an IPv6 address wraps an IPv4 one (mapped,
compatible, 6to4, Teredo, NAT64). Settings may allow more: networks in CIDR form, single addresses, or host names. A
metadata address is allowed only when it is listed by itself, never through a larger network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from workflow_scheduler.core.errors import EgressRefused, ValidationFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
_NAT64 = tuple(ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_FIX = "If this target is meant to be reached, add its host name or network to WFS_EGRESS_ALLOW."


class EgressGuard:
    """Decides about hosts and addresses. Pure: it resolves and connects nothing."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """Allow, beside public addresses, the listed networks, addresses and host names.

        Raises:
            ValidationFailed: an entry is none of these.

        """
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for entry in allow:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        text = entry.removeprefix("[").removesuffix("]")
        try:
            self._networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            if not text or "/" in text or ":" in text or any(char.isspace() for char in text):
                raise ValidationFailed(
                    f"`{entry}` is not a network, an address or a host name",
                    fix="Write entries as 10.0.0.0/8, 192.168.1.7 or intranet.example.",
                ) from None
            self._hosts.add(_normal(text))

    def allows_host(self, host: str) -> bool:
        """Return whether the name is listed, so that whatever it resolves to is allowed."""
        return _normal(host) in self._hosts

    def allows(self, address: str) -> bool:
        """Return whether this address may be connected to; text that is not an address may not."""
        try:
            parsed = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return False
        return all(self._allows_one(inner) for inner in _layers(parsed))

    def check_host(self, host: str) -> None:
        """Refuse a host that is a literal of a forbidden address; names are checked when they are resolved.

        Raises:
            EgressRefused: the literal is not allowed.

        """
        literal = host.removeprefix("[").removesuffix("]").split("%", 1)[0]
        try:
            ipaddress.ip_address(literal)
        except ValueError:
            return
        if not self.allows(literal):
            raise refused(host)

    def _allows_one(self, address: Address) -> bool:
        listed = [network for network in self._networks if address.version == network.version and address in network]
        if address in METADATA:
            return any(network.num_addresses == 1 for network in listed)
        return bool(listed) or (address.is_global and not address.is_multicast and not address.is_reserved)


def refused(host: str) -> EgressRefused:
    """Return the error for a host that leads to a forbidden address; it does not tell which address that is."""
    return EgressRefused(f"outbound requests to {host} are not allowed: the address is not public", fix=_FIX)


def _normal(host: str) -> str:
    return host.rstrip(".").lower()


def _layers(address: Address) -> Iterator[Address]:
    """Yield the address itself, or the IPv4 addresses it stands for."""
    inner: list[Address] = [*_embedded(address)] if isinstance(address, ipaddress.IPv6Address) else []
    yield from inner or [address]


def _embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    in_nat64 = any(address in network for network in _NAT64)
    if in_nat64 or (address in _COMPATIBLE and int(address) > 1):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
