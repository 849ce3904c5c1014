"""Depths: the lengths of the positions of values along a graph, which are known before it runs.

A function that makes several results of a value appends the number of each to the position of that value. So the values that
meet in a join belong together as far as the positions go that the last filter before both ways gave them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import TopologicalSorter


class Depths:
    """Lengths of positions in a graph without cycles."""

    def __init__(
        self, sources: Mapping[str, Mapping[str, Sequence[str]]], spreading: Collection[str], gathering: Collection[str] = ()
    ) -> None:
        """``sources`` are the filters whose values a filter gets, by filter and port. ``spreading`` are the filters that make
        several results of a value, ``gathering`` those that make one of several.
        """
        self._sources = {name: {each for found in ways.values() for each in found} for name, ways in sources.items()}
        self._ways = sources
        self._gathering = gathering
        #: The length of the positions of what a filter makes.
        self._made: dict[str, int] = {}
        # in order, since a long chain must not exhaust the stack of Python
        for name in TopologicalSorter(self._sources).static_order():
            self._made[name] = self.of_input(name) + (name in spreading)

    def of_input(self, name: str) -> int:
        """The length of the positions of what a filter gets."""
        return max((self._made[each] for each in self._sources.get(name, ())), default=1)

    def of_meeting(self, name: str) -> int:
        """The length to which positions on all ways into a filter are those of the same value."""
        ways = [self._up_to(found) for found in self._ways.get(name, {}).values()]
        common = set[str].intersection(*ways) if ways else set[str]()
        # the number of a group is not that of a value
        bounds = [self.of_input(each) - 1 for each in set[str]().union(*ways) - common if each in self._gathering]
        return max(1, min([max((self._made[each] for each in common), default=1), self.of_input(name), *bounds]))

    def _up_to(self, names: Sequence[str]) -> set[str]:
        """Filters, and all before them."""
        found, left = {*names}, [*names]
        while left:
            new = self._sources.get(left.pop(), set[str]()) - found
            found |= new
            left += new
        return found
