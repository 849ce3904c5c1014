"""Portion: the chunk that a loop takes with ``receive_all``, and how far it has come in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any

from pypes.runtime.scheduler.lineage import Lineage, flatten


class Portion:
    """Packets of one epoch that a component takes with a plain list iterator: what that has left tells where the component is.

    Where a loop sends on just what it took, the portion itself goes on to the following loop.
    """

    __slots__ = ("_by_identity", "each", "lineages", "port", "values")

    def __init__(self, port: str, values: list[Any], lineages: Sequence[Lineage]) -> None:
        self.port = port
        self.values = values
        self.lineages = lineages
        #: The iterator that the component has got, once it has asked for packets.
        self.each: Iterator[Any] = iter(())
        self._by_identity: dict[int, Lineage] | None = None

    @property
    def done(self) -> int:
        """Packets that the component has taken, that under the cursor included."""
        return len(self.values) - length_hint(self.each)

    @property
    def current(self) -> Any:
        """The packet under the cursor, the last one past the end; ``None`` before the first."""
        done = self.done
        return self.values[done - 1] if done else None

    @property
    def is_exhausted(self) -> bool:
        """True if the component has gone past the end, and works on none of the packets in particular any more."""
        return is_exhausted(self.each)

    @property
    def by_identity(self) -> dict[int, Lineage]:
        """The lineages of the packets; they are looked for only where something else is sent than what was taken."""
        if self._by_identity is None:
            self._by_identity = {id(value): lineage for value, lineage in zip(self.values, self.lineages, strict=True)}
        return self._by_identity

    def lineage_of(self, data: Any) -> Lineage:
        """The lineage of what is sent now: its own if it was taken, else that of the packet under the cursor, or of all."""
        own = self.by_identity.get(id(data))
        if own is not None:
            return own
        return flatten(self.lineages) if self.is_exhausted else self.lineages[self.done - 1]

    def parent_of(self, data: Any) -> Any:
        """The packet that is sent on, or that it is made of; ``None`` past the end, where nobody can say."""
        if id(data) in self.by_identity:
            return data
        return None if self.is_exhausted else self.current


def is_exhausted(each: Iterator[Any]) -> bool:
    """True if an iterator over a list has raised ``StopIteration``.

    It no longer refers to its list then: its reduced form has no index.
    """
    return len(each.__reduce__()) == 2
