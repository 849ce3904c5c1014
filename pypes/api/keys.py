"""Keys of what is sent: one that there is not is refused, since what it was meant to say would be left out in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pypes.errors import BadRequest


def check_keys(given: Iterable[str], known: Collection[str], what: str = "key") -> None:
    """Raise :class:`BadRequest` with the first of ``given`` that is not ``known``."""
    if unknown := sorted(set(given) - set(known)):
        raise BadRequest(f"unknown {what}; there are {', '.join(sorted(known))}", code="request.invalid", where=unknown[0])
