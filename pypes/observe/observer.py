"""Observer: the hooks, each of which does nothing until a subclass says what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class WireName(NamedTuple):
    """The ends of a wire. ``source`` and ``output`` are empty for the wire on which documents enter the graph."""

    source: str
    output: str
    target: str
    input: str

    def __str__(self) -> str:
        return f"{f'{self.source}.{self.output}' if self.source else '(entry)'} -> {self.target}.{self.input}"


class Observer:
    """Base of whatever wants to know how work goes on. Override the hooks of interest.

    Hooks are called in the thread and process that does the work, once for a chunk of packets and never for each packet. They
    must be quick, must not block and must not change what they are shown. One that raises switches its observer off, and the log
    says so; the work goes on. A graph without an observer does without the calls, and one with an observer takes no short cuts:
    every packet goes over its wire.
    """

    # -- a running graph ----------------------------------------------------------------------------------

    def epoch_began(self, graph: str, documents: int) -> None:
        """Documents that are worked on together enter a graph; 0 when its sources are triggered."""

    def epoch_ended(self, graph: str, documents: int) -> None:
        """All that was made of an epoch is published, dropped or failed."""

    def packets_sent(self, graph: str, wire: WireName, packets: Sequence[Any]) -> None:
        """Packets are put on a wire. They are still the sender's: as they are now, the next filter gets them."""

    def packets_taken(self, graph: str, filter: str, packets: Sequence[Any]) -> None:
        """A filter is given packets to work on; those that it puts back are given to it again."""

    def filter_ran(self, graph: str, filter: str, seconds: float) -> None:
        """A filter had its turn, or a part of one that it goes on with later. ``seconds`` leave out waiting and the hooks."""

    def packets_committed(self, graph: str, publisher: str, packets: int) -> None:
        """A publisher has committed packets."""

    def packets_failed(self, graph: str, filter: str, code: str, packets: int) -> None:
        """Packets of an epoch that ends go to the dead letters, all for errors of one ``code``.

        ``filter`` is empty if they could not even be read.
        """
