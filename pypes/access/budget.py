"""Budgets: as much as a token may use in a second."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pypes.errors import InvalidInput

#: The budgets of a token, with what each counts.
KINDS: Final = {"requests_per_s": "requests", "bytes_per_s": "bytes of bodies", "documents_per_s": "documents"}

#: The least and the greatest number of one: one in a quarter of an hour is not the last word, but a unit in an age is.
LEAST: Final = 0.001
MOST: Final = 1e12


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Requests, bytes of bodies as sent, and documents in a second.

    ``None``: as the settings of the node have it for tokens without a number of their own; 0: no bound.
    """

    requests_per_s: float | None = None
    bytes_per_s: float | None = None
    documents_per_s: float | None = None

    def over(self, usual: Budget) -> Budget:
        """This budget, with the numbers of ``usual`` where it has none."""
        return msgspec.structs.replace(usual, **self.given())

    def given(self) -> dict[str, float]:
        """The numbers that it has, by their kind."""
        return {kind: number for kind in KINDS if (number := getattr(self, kind)) is not None}


def changed(before: Budget, wanted: Mapping[str, Any] | None) -> Budget:
    """A budget with other numbers, of which ``None`` takes one away; ``None`` in place of all takes all away.

    Raises :class:`InvalidInput`.
    """
    if wanted is None:
        return Budget()
    for kind, number in wanted.items():
        if kind not in KINDS or not (number is None or _is_valid(number)):
            raise InvalidInput(
                f"a budget has {', '.join(KINDS)}, each a number from {LEAST:g} to {MOST:g}, 0 for no bound, or null for none of "
                "its own",
                code="token.budget",
                where=f"budget.{kind}",
            )
    return msgspec.structs.replace(before, **wanted)


def _is_valid(number: Any) -> bool:
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    return is_number and math.isfinite(number) and (number == 0 or LEAST <= number <= MOST)
