"""Counts: totals of one filter by name, for the people who run its graph."""

from __future__ import annotations

import re
import threading
from typing import Final

from pypes.errors import ComponentError

#: Names that one filter may count under: each may become a series of metrics.
MOST_NAMES: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")


class Change:
    """Set while any of several :class:`Counts` has a change that is not told yet."""

    __slots__ = ("is_set",)

    def __init__(self) -> None:
        self.is_set = False


class Counts:
    """The totals of one filter; any thread may add to them."""

    __slots__ = ("_has_changed", "_lock", "_totals", "change")

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._lock = threading.Lock()
        self._has_changed = False
        #: Set whenever something is added; several counts may have the same.
        self.change = Change()

    def add(self, name: str, n: int = 1) -> None:
        """Add to a total. Raises ``ComponentError`` (``component.count``) for what is no name or no number, or too many names."""
        if type(n) is not int or n < 0:
            raise ComponentError(f"count({name!r}, {n!r}): give a whole number from 0 on", code="component.count")
        with self._lock:
            # PERF: a name is checked when it is first used
            total = self._totals.get(name)
            self._totals[name] = n + (self._begun(name) if total is None else total)
            self._has_changed = self.change.is_set = True

    def _begun(self, name: str) -> int:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ComponentError(
                f"count({name!r}): a name begins with a letter from a to z and has these, digits and _, 100 characters at most",
                code="component.count",
            )
        if len(self._totals) >= MOST_NAMES:
            raise ComponentError(
                f"count({name!r}): the filter has {MOST_NAMES} names already, which is the most; count under fewer names, not "
                "under values of documents",
                code="component.count",
            )
        return 0

    @property
    def totals(self) -> dict[str, int]:
        """A copy of the totals."""
        with self._lock:
            return dict(self._totals)

    def changed(self) -> dict[str, int] | None:
        """The totals if anything was added since this was last asked, else ``None``."""
        with self._lock:
            has_changed, self._has_changed = self._has_changed, False
            return dict(self._totals) if has_changed else None

    def take(self) -> dict[str, int]:
        """The totals that are not 0, which are 0 from then on."""
        with self._lock:
            if not self._has_changed:
                return {}
            self._has_changed = False
            taken = {name: total for name, total in self._totals.items() if total}
            self._totals = dict.fromkeys(self._totals, 0)
            return taken
