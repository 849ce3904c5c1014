"""Owners in a fleet: the node that a text belongs to, the same for everybody who knows the same members.

Rendezvous hashing: each member has a rank for each text. When one joins, only what it is first for moves, and each of these texts
belonged to the next in its ranks before.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def ranked(text: str, names: Iterable[str]) -> list[str]:
    """The names of members, the owner of a text first."""
    return sorted(names, key=lambda name: _rank(text, name), reverse=True)


def owner(text: str, names: Iterable[str]) -> str:
    """The name of the member that a text belongs to; ``names`` are not empty."""
    return max(names, key=lambda name: _rank(text, name))


def _rank(text: str, name: str) -> tuple[bytes, str]:
    return blake2b(text.encode(), key=blake2b(name.encode(), digest_size=32).digest(), digest_size=8).digest(), name
