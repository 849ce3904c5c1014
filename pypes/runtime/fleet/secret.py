"""The secret of a fleet: both ends of a link prove that they know it, and neither sends it.

Each end gives a number that it has just drawn, and proves itself with an HMAC of both: what somebody has listened to is of no use
another time. Two secrets may hold at once, so that one is replaced without a pause: the ends take the first that both know.
Without TLS whoever can change what goes over the wire can take over a link; a fleet that spans networks speaks TLS.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

import msgspec

#: The ends of a link, in what they prove.
CALLER, ANSWERER = b"caller", b"answerer"


class FleetAccess(msgspec.Struct, frozen=True):
    """The way in to the nodes of a fleet: the secrets that hold, the one in use first, and a file with issuers, or empty.

    ``server_name``: the name in all certificates, where nodes are found by one name; empty: that in the URL of each.
    """

    secrets: tuple[str, ...]
    ca_file: str = ""
    server_name: str = ""


class Secrets:
    """The secrets that hold in a node, the one in use first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._by_name = {_digest(secret.encode(), b"name")[:16]: secret.encode() for secret in secrets}

    @property
    def names(self) -> list[str]:
        """Names under which the other end finds what it knows as well; they tell nothing of the secrets."""
        return list(self._by_name)

    def find(self, names: Iterable[str]) -> str | None:
        """The first of these names that is known here."""
        return next((name for name in names if name in self._by_name), None)

    def proof(self, name: str, end: bytes, nonces: tuple[str, str]) -> str:
        """The proof that an end of a link knows a secret; ``nonces`` are those of caller and answerer."""
        return _digest(self._by_name[name], b"\0".join((end, *(nonce.encode() for nonce in nonces))))

    def is_proven(self, proof: str, name: str, end: bytes, nonces: tuple[str, str]) -> bool:
        """True if a proof is right; in constant time."""
        return name in self._by_name and hmac.compare_digest(proof.encode(), self.proof(name, end, nonces).encode())


def _digest(secret: bytes, message: bytes) -> str:
    return hmac.new(secret, b"pypes fleet\0" + message, hashlib.sha256).hexdigest()
