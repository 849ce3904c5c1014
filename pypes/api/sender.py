"""Senders: the address of who asks, whether all was encrypted on the way, and the host that was asked for, also behind proxies.

``X-Forwarded-For``, ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` count if the connection comes from one of the proxies that the
node was told. From everybody else they are as if they were not there: anybody can write them. ``Forwarded`` (RFC 7239) is not
read. A field that counts and cannot be read is refused: to go on with a guess would show a wrong address to whoever looks for who
it was, or call a connection encrypted that is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from pypes.core.addresses import address_of, network_of
from pypes.errors import BadRequest

FOR: Final = b"x-forwarded-for"
PROTO: Final = b"x-forwarded-proto"
HOST: Final = b"x-forwarded-host"
#: Fields that count from proxies, by their lower-case names.
FORWARDED: Final = frozenset({FOR, PROTO, HOST})

#: The key of the ASGI scope under which the guard leaves the sender.
SENDER: Final = "pypes.sender"

#: Proxies in a row, at most.
MAX_HOPS: Final = 32

#: An address: in brackets, of IPv4, or of IPv6; before a port, if it is not bare. What follows % is any text, not an address.
_HOP: Final = re.compile(
    r"\[(?P<bracketed>[0-9A-Fa-f:.]+)\](?::\d{1,5})?|(?P<v4>[0-9.]+)(?::\d{1,5})?|(?P<bare>[0-9A-Fa-f:.]+)", re.ASCII
)

#: Addresses of connections that are remembered as a proxy's or not.
_REMEMBERED: Final = 4096

Fields = Iterable[tuple[bytes, bytes]]


class Sender(NamedTuple):
    """The sender of a request. ``host`` is what ``Host`` said to it, or to the proxy; ``None`` without one."""

    #: Empty if it is not known.
    address: str
    #: True if the request came to the node, or to the proxy before it, over TLS.
    is_secure: bool
    host: bytes | None


#: The sender of a request that nobody has looked at.
UNKNOWN: Final = Sender("", False, None)


class Proxies:
    """The proxies before a node, given as networks."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [network_of(each) for each in networks]
        # PERF: behind a proxy, all connections come from few addresses
        self.has = lru_cache(_REMEMBERED)(self._has)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def sender(self, peer: tuple[str, int] | None, is_secure: bool, host: bytes | None, fields: Fields) -> Sender:
        """The sender of a request with these ``fields`` and this ``Host``.

        ``peer`` is the other end of its connection, which ``is_secure`` itself. Raises :class:`BadRequest` for what a proxy said
        and cannot be read.
        """
        address = "" if peer is None else peer[0]
        if not self._networks or not self.has(address):
            return Sender(address, is_secure, host)
        told: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            if name in FORWARDED:
                told.setdefault(name, []).append(value.strip())
        if FOR in told:
            address = self._before(b",".join(told[FOR]))
        if PROTO in told:
            proto = _one(PROTO, told[PROTO]).lower()
            if proto not in (b"http", b"https"):
                raise _unreadable(PROTO, "it is neither http nor https")
            is_secure = proto == b"https"
        if HOST in told:
            host = _one(HOST, told[HOST])
        return Sender(address, is_secure, host)

    def _before(self, chain: bytes) -> str:
        """The last address in ``X-Forwarded-For`` that is no proxy's: each proxy adds the one that it was asked from."""
        hops = chain.decode("latin-1").rsplit(",", MAX_HOPS)
        for hop in reversed(hops[-MAX_HOPS:]):
            address = _address(hop.strip())
            if not self.has(address):
                return address
        if len(hops) > MAX_HOPS:
            raise _unreadable(FOR, f"it names more than {MAX_HOPS} proxies in a row")
        return address

    def _has(self, address: str) -> bool:
        """True for the address of a proxy."""
        try:
            found = address_of(address)
        except ValueError:
            return False
        return any(found.version == network.version and found in network for network in self._networks)


def _one(name: bytes, values: list[bytes]) -> bytes:
    """The value of a field that names one thing. A list of several would leave open which proxy said which."""
    if len(values) > 1 or not values[0] or b"," in values[0]:
        raise _unreadable(name, "it has not one value")
    return values[0]


def _address(hop: str) -> str:
    """An address in ``X-Forwarded-For``, which some proxies write with a port."""
    found = _HOP.fullmatch(hop)
    try:
        return str(address_of("" if found is None else found["bracketed"] or found["v4"] or found["bare"]))
    except ValueError:
        raise _unreadable(FOR, "it has something else than addresses") from None


def _unreadable(name: bytes, why: str) -> BadRequest:
    field = name.decode().title()
    return BadRequest(
        f"{field} of the proxy cannot be read: {why}; have the proxy set the field itself, or leave it out",
        code="proxy.malformed",
        where=field,
    )
