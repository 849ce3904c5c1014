"""Naming: names what a filter makes of documents without saying so, where somebody asks for names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any

from pypes.core.naming import can_name, is_named, name_after
from pypes.packet import Packet
from pypes.runtime.scheduler.inheriting import Inheriting
from pypes.runtime.scheduler.lineage import Lineage


class Naming:
    """Numbers the packets that one filter makes of each packet of its turn, and names them; see :func:`name_after`.

    A packet that is made of several documents gets no name: nobody could say which of them it belongs to.
    """

    __slots__ = ("_inheriting", "_made")

    def __init__(self, inheriting: Inheriting | None = None) -> None:
        self._inheriting = inheriting
        #: By the identity of a packet in hand, how many were made of it so far.
        self._made: dict[int, int] = {}

    def sent(self, value: Any, parent: Any, lineage: Lineage) -> None:
        """Name a packet that was sent, or returned, over ``parent``, unless it is that packet or bears a name."""
        if value is parent or not isinstance(value, Packet) or not isinstance(parent, Packet):
            return
        if self._inheriting is not None:
            self._inheriting.give((value,), (parent,))
        if is_named(value) or (type(lineage) is tuple and len(lineage) != 1) or not can_name(parent):
            return
        number = self._made[id(parent)] = self._made.get(id(parent), 0) + 1
        name_after(value, parent, number)

    def made_of(self, value: Any, parents: Iterable[Any]) -> None:
        """Let a packet inherit that was made of one of ``parents``, or of all; nobody can say, so it gets no name."""
        if self._inheriting is not None:
            self._inheriting.give((value,), parents)

    def returned(self, results: Sequence[Any], parents: Sequence[Any], lineages: Sequence[Lineage]) -> None:
        """Name the packets that were returned, one for each of ``parents``."""
        if all(map(is_, results, parents)):  # PERF: the usual chunk
            return
        for value, parent, lineage in zip(results, parents, lineages, strict=False):
            self.sent(value, parent, lineage)

    def forget(self, parent: Any = None) -> None:
        """The turn is over, or the work on one packet: what is made of it now is made again."""
        if parent is None:
            self._made.clear()
        else:
            self._made.pop(id(parent), None)
