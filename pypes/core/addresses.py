"""Addresses at which a node listens."""

from __future__ import annotations

import ipaddress


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
