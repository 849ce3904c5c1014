"""A token: a secret with a name, which says what its holder may do. The node keeps no secret, only its digest."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import msgspec

from pypes.access.budget import Budget

#: Tokens are known by it when one turns up where it should not be.
PREFIX: Final = "pypes_"

#: Tokens that a node keeps, those that were revoked or have expired included; these are forgotten to make room.
MAX_TOKENS: Final = 100_000

#: Random bytes of a secret.
SECRET_BYTES: Final = 32


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as the node keeps it; times are those of the wall clock, in seconds since the epoch.

    ``graphs`` are names and patterns, none: all. ``author`` made it. It allows nothing from ``expires`` on, and from the moment
    when it was ``revoked``. ``place`` is where the numbers of its budget are, which the store gives it.
    """

    name: str
    digest: bytes
    scopes: tuple[str, ...]
    graphs: tuple[str, ...] = ()
    created: float = 0.0
    author: str = ""
    expires: float | None = None
    revoked: float | None = None
    budget: Budget = Budget()
    place: int = 0

    def state(self, now: float) -> str:
        """``live``, ``revoked`` or ``expired``."""
        if self.revoked is not None:
            return "revoked"
        return "live" if self.expires is None or now < self.expires else "expired"


def new_secret() -> str:
    """A secret that nobody has had."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: bytes) -> bytes:
    """The form in which a secret is kept and found. A slow hash protects what people think up; this is 256 random bits."""
    return hashlib.sha256(secret).digest()
