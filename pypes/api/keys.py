"""Check of the keys in a request: an unknown key is refused, since ignoring it would hide a mistake."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pypes.errors import BadRequest


def check_keys(given: Iterable[str], known: Collection[str], what: str = "key") -> None:
    """Raise :class:`BadRequest` with the first of ``given`` that is not ``known``."""
    if unknown := sorted(set(given) - set(known)):
        raise BadRequest(f"unknown {what}; there are {', '.join(sorted(known))}", code="request.invalid", where=unknown[0])
