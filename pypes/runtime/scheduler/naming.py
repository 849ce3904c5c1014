"""Naming: names what a filter makes of documents without saying so, where somebody asks for names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any

from pypes.core.naming import can_name, depth_of, goes_on, is_at_place, is_named, name_after, rename_after
from pypes.packet import Packet
from pypes.runtime.scheduler.inheriting import Inheriting
from pypes.runtime.scheduler.lineage import Lineage


class _Made:
    """The packets that were made of one packet in hand."""

    __slots__ = ("count", "depth", "first", "is_taken", "parent", "passed")

    def __init__(self, parent: Packet) -> None:
        self.parent = parent
        self.depth = depth_of(parent)
        #: The number of the last one.
        self.count = 0
        #: The first one, which has the place of the packet in hand, as long as its name can still be changed.
        self.first: Packet | None = None
        #: True while it has that place.
        self.is_taken = False
        #: The packet in hand and its clones, as far as they go on themselves.
        self.passed: list[Packet] = []


class Naming:
    """Numbers the packets that one filter makes of each packet of its turn, and names them; see :func:`name_after`.

    The first has the place of the packet it was made of, unless that one, or a clone of it, goes on as well. Where more is sent
    between the two than a wire holds, the one that comes later is counted.
    A packet that is made of several documents gets no name: nobody could say which of them it belongs to.
    """

    __slots__ = ("_inheriting", "_made")

    def __init__(self, inheriting: Inheriting | None = None) -> None:
        self._inheriting = inheriting
        #: By the identity of a packet in hand, what was made of it so far.
        self._made: dict[int, _Made] = {}

    def sent(self, value: Any, parent: Any, lineage: Lineage) -> None:
        """Name a packet that was sent, or returned, over ``parent``, unless it is that packet or bears a name."""
        if not isinstance(value, Packet) or not isinstance(parent, Packet):
            return
        if value is parent:
            self._pass(value, parent)
            return
        if self._inheriting is not None:
            self._inheriting.give((value,), (parent,))
        if is_at_place(value, self._of(parent).parent):
            self._pass(value, parent)
        if is_named(value) or (type(lineage) is tuple and len(lineage) != 1) or not can_name(parent):
            return
        made = self._of(parent)
        made.count += 1
        if made.passed and made.count == 1:
            made.count = 2
            self._tell_passed(made)
        is_first = made.count == 1 and not value.has_meta("id")
        name_after(value, made.parent, made.count, made.depth)
        if is_first:
            made.first, made.is_taken = value, True

    def _pass(self, value: Packet, parent: Packet) -> None:
        """Note that the packet in hand, or a clone of it, goes on: it has to be told from the first that was made of it."""
        made = self._of(parent)
        if made.is_taken and made.first is None:
            # the first has gone on under this place, so here the packet itself is the one that is counted
            made.count += 1
            if value is parent:
                made.parent = parent.clone()
            rename_after(value, made.parent, made.count, made.depth)
            return
        made.passed.append(value)
        if made.first is not None:
            made.count += 1
            rename_after(made.first, made.parent, made.count, made.depth)
            made.first, made.is_taken = None, False
        if made.count:
            self._tell_passed(made)

    def _tell_passed(self, made: _Made) -> None:
        for each in made.passed:
            goes_on(each, made.depth)

    def _of(self, parent: Packet) -> _Made:
        made = self._made.get(id(parent))
        if made is None:
            made = self._made[id(parent)] = _Made(parent)
        return made

    def made_of(self, value: Any, parents: Iterable[Any]) -> None:
        """Let a packet inherit that was made of one of ``parents``, or of all; nobody can say, so it gets no name."""
        if self._inheriting is not None:
            self._inheriting.give((value,), parents)

    def returned(self, results: Sequence[Any], parents: Sequence[Any], lineages: Sequence[Lineage]) -> None:
        """Name the packets that were returned, one for each of ``parents``."""
        if not self._made and all(map(is_, results, parents)):  # PERF: the usual chunk
            return
        for value, parent, lineage in zip(results, parents, lineages, strict=False):
            self.sent(value, parent, lineage)

    def let_go(self) -> None:
        """Leave the names of what was made so far, since some of it has gone on."""
        for made in self._made.values():
            made.first = None

    def forget(self, parent: Any = None) -> None:
        """The turn is over, or the work on one packet: what is made of it now is made again."""
        if parent is None:
            self._made.clear()
        else:
            self._made.pop(id(parent), None)
