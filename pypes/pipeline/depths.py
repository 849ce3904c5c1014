"""Depths: the lengths of the positions of values along a graph, which are known before it runs.

A function that makes several results of a value appends the number of each to the position of that value. So the values that
meet in a join belong together as far as the positions go that the last filter before both ways gave them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


class Depths:
    """Lengths of positions: ``sources`` are the filters whose values a filter gets, by filter and port."""

    def __init__(
        self, sources: Mapping[str, Mapping[str, Sequence[str]]], spreading: Collection[str], gathering: Collection[str] = ()
    ) -> None:
        """``spreading`` are the filters that make several results of a value, ``gathering`` those that make one of several."""
        self._sources = sources
        self._spreading = spreading
        self._gathering = gathering
        self._before: dict[str, frozenset[str]] = {}
        self._out: dict[str, int] = {}

    def of_input(self, name: str) -> int:
        """The length of the positions of what a filter gets."""
        return max((self.of_output(each) for found in self._sources.get(name, {}).values() for each in found), default=1)

    def of_output(self, name: str) -> int:
        """The length of the positions of what a filter makes."""
        if name not in self._out:
            self._out[name] = 1  # in a cycle, which is found later
            self._out[name] = self.of_input(name) + (name in self._spreading)
        return self._out[name]

    def of_meeting(self, name: str) -> int:
        """The length to which positions on all ways into a filter are those of the same value."""
        ways = [frozenset[str]().union(*map(self._up_to, found)) for found in self._sources.get(name, {}).values()]
        common = frozenset.intersection(*ways) if ways else frozenset[str]()
        # the number of a group is not that of a value
        bounds = [self.of_input(each) - 1 for each in frozenset[str]().union(*ways) - common if each in self._gathering]
        return max(1, min([max(map(self.of_output, common), default=1), self.of_input(name), *bounds]))

    def _up_to(self, name: str) -> frozenset[str]:
        """A filter, and all before it."""
        if name not in self._before:
            self._before[name] = frozenset((name,))
            before = (each for found in self._sources.get(name, {}).values() for each in found)
            self._before[name] = frozenset((name,)).union(*map(self._up_to, before))
        return self._before[name]
