"""Names of the files in a document, by which their ids are made."""

from __future__ import annotations


class Names:
    """Names that are there once each: ``a.pdf``, and ``a.pdf (2)`` … for others that are called so."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        #: The last number that was tried for a name, so that many of one name take no time.
        self._last: dict[str, int] = {}

    def add(self, name: str) -> str:
        """The name, or the next one like it, if it is taken; it is taken from then on."""
        found = name
        while found in self._taken:
            number = self._last[name] = self._last.get(name, 1) + 1
            found = f"{name} ({number})"
        self._taken.add(found)
        return found
