"""Addresses at which a node listens, and of those who speak to it."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def split_bind(bind: str) -> tuple[str, int]:
    """Take ``host:port`` (or ``[v6]:port``) apart; raises ``ValueError`` with a sentence."""
    host, colon, port = bind.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be an address and a port, such as 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """True if only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def network_of(text: str) -> Network:
    """The network that a text names, such as ``10.0.0.0/8``, or an address alone; raises ``ValueError`` with a sentence."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network without host bits, such as ::1 or 10.0.0.0/8") from None


def address_of(text: str) -> Address:
    """The address that a text is, one of IPv4 that was mapped to IPv6 as itself; raises ``ValueError``."""
    address = ipaddress.ip_address(text)
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
