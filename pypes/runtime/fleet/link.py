"""Links between nodes: one connection for all calls of a process to a node, at the address where that serves HTTP.

A link begins as a request to upgrade (RFC 9110, 7.8)::

    GET /fleet HTTP/1.1                       HTTP/1.1 101 Switching Protocols
    Connection: Upgrade                       Connection: Upgrade
    Upgrade: pypes-fleet/1                    Upgrade: pypes-fleet/1
    Pypes-Nonce: 5f0c…                        Pypes-Nonce: 9a11…
    Pypes-Secrets: 77ab…, 03de…               Pypes-Secret: 77ab…
                                              Pypes-Proof: c3d2…

Then the caller proves that it knows the secret, too, in one line, and the other end says ``welcome``. What follows are calls
(:mod:`pypes.runtime.rpc`).
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from pypes.errors import Unavailable
from pypes.runtime.contracts.fleet import Member
from pypes.runtime.fleet.secret import ANSWERER, CALLER, FleetAccess, Secrets
from pypes.runtime.rpc import MAX_LINE_BYTES, RpcClient

#: The address, and the protocol that is spoken after the upgrade.
LINK_PATH = "/fleet"
LINK_PROTOCOL = "pypes-fleet/1"

#: The answer to the caller's proof.
WELCOME = b"welcome\n"

#: Code of a member that has to be asked and does not answer.
AWAY_CODE = "fleet.member_away"

#: Longest time for a link to be made, in seconds.
CONNECT_S = 3.0
MAX_HEAD_BYTES = 16 << 10


def nonce() -> str:
    """A number that was never used before."""
    return secrets.token_hex(16)


async def connect(url: str, access: FleetAccess) -> RpcClient:
    """Make a link to the node at ``url``. Raises :class:`Unavailable` (``fleet.unreachable``), with the reason.

    The node has proven that it knows the secret when this returns, and so has the caller.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            return await _connect(url, access)
    except TimeoutError:
        raise unreachable(url, f"no answer within {CONNECT_S:g} s") from None
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise unreachable(url, str(error) or type(error).__name__) from error


async def _connect(url: str, access: FleetAccess) -> RpcClient:
    parts, known, own = urlsplit(url), Secrets(access.secrets), nonce()
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    tls = _context(access.ca_file) if is_tls else None
    server_name = (access.server_name or parts.hostname) if is_tls else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, port, limit=MAX_LINE_BYTES, ssl=tls, server_hostname=server_name
    )
    try:
        writer.write(_request(parts.netloc, own, known.names))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, fields = _read(head)
        if status != 101:
            reason = "it knows none of the secrets of this node" if status == 403 else f"it answers {status}: is it in a fleet?"
            raise unreachable(url, reason)
        name, nonces = fields.get("pypes-secret", ""), (own, fields.get("pypes-nonce", ""))
        if not known.is_proven(fields.get("pypes-proof", ""), name, ANSWERER, nonces):
            raise unreachable(url, "who answers does not know the secret of the fleet")
        writer.write(known.proof(name, CALLER, nonces).encode() + b"\n")
        if await reader.readline() != WELCOME:
            raise unreachable(url, "it has hung up")
    except BaseException:
        writer.close()
        raise
    return RpcClient(reader, writer, None, None, called=f"the node at {url}")


def _request(host: str, own: str, names: list[str]) -> bytes:
    fields = {
        "Host": host,
        "Connection": "Upgrade",
        "Upgrade": LINK_PROTOCOL,
        "Pypes-Nonce": own,
        "Pypes-Secrets": ", ".join(names),
    }
    return f"GET {LINK_PATH} HTTP/1.1\r\n{_lines(fields)}\r\n".encode("latin-1")


def switching(fields: Mapping[str, str]) -> bytes:
    """The answer that makes a connection a link."""
    switched = {"Connection": "Upgrade", "Upgrade": LINK_PROTOCOL, **fields}
    return f"HTTP/1.1 101 Switching Protocols\r\n{_lines(switched)}\r\n".encode("latin-1")


def _lines(fields: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items())


def _read(head: str) -> tuple[int, dict[str, str]]:
    first, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


def _context(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


def unreachable(url: str, reason: str) -> Unavailable:
    """The error of a node that cannot be reached."""
    return Unavailable(f"the node at {url} cannot be reached: {reason}", code="fleet.unreachable", where=url)


def away(member: Member) -> Unavailable:
    """The error of a member that has to be asked and does not answer."""
    reason = f": {member.reason}" if member.reason else ""
    return Unavailable(
        f"the node {member.name} does not answer{reason}; ask again when it is back",
        retry_after_s=1.0,
        code=AWAY_CODE,
        where=member.name,
    )


class Answerer:
    """The end of a link that was called: what it has said, and whether the caller has proven to know the secret."""

    def __init__(self, access: FleetAccess, fields: Mapping[str, str]) -> None:
        self._secrets = Secrets(access.secrets)
        offered = [name.strip() for name in fields.get("pypes-secrets", "").split(",")]
        self._name = self._secrets.find(offered)
        self._nonces = (fields.get("pypes-nonce", ""), nonce())

    @property
    def answer(self) -> bytes | None:
        """The answer to the offer, ``None`` if the caller knows none of the secrets."""
        if self._name is None or not self._nonces[0]:
            return None
        proof = self._secrets.proof(self._name, ANSWERER, self._nonces)
        return switching({"Pypes-Nonce": self._nonces[1], "Pypes-Secret": self._name, "Pypes-Proof": proof})

    def is_proven(self, proof: str) -> bool:
        """True for the proof of somebody who knows the secret."""
        return self._name is not None and self._secrets.is_proven(proof, self._name, CALLER, self._nonces)
