"""Observer: the hooks, each of which does nothing until a subclass says what."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple


class WireName(NamedTuple):
    """The ends of a wire. ``source`` and ``output`` are empty for the wire on which documents enter the graph."""

    source: str
    output: str
    target: str
    input: str

    def __str__(self) -> str:
        return f"{f'{self.source}.{self.output}' if self.source else '(entry)'} -> {self.target}.{self.input}"


class Settlement(NamedTuple):
    """Deliveries of a graph that were done together, and how many of their documents fared how.

    ``dead_letters`` are those that they left: one may be of several documents, and a document may have several.
    """

    deliveries: int
    published: int
    dropped: int
    failed: int
    dead_letters: int


class Observer:
    """Base of whatever wants to know how work goes on. Override the hooks of interest.

    Hooks are called in the thread and process that does the work, once for a chunk of packets or a batch of deliveries and never
    for each. They must be quick, must not block and must not change what they are shown. One that raises switches its observer
    off, and the log says so; the work goes on. A graph without an observer does without the calls, and one with an observer takes
    no short cuts: every packet goes over its wire.
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

    def filter_waited(self, graph: str, filter: str, seconds: float) -> None:
        """A call of a filter that ran beside the graph has ended, so long after it was asked for; several may overlap."""

    def pool_worked(self, graph: str, filter: str, seconds: float) -> None:
        """A pool worker has worked on a packet of a filter, or on a batch, for so long; packets that fail there are not told."""

    def packets_dropped(self, graph: str, filter: str, packets: int) -> None:
        """Nothing of these packets goes on from a filter; documents, where it was not told of which packet its results are."""

    def packets_committed(self, graph: str, publisher: str, packets: int) -> None:
        """A publisher has committed packets."""

    def packets_failed(self, graph: str, filter: str, code: str, packets: int) -> None:
        """Packets of an epoch that ends go to the dead letters, all for errors of one ``code``.

        ``filter`` is empty if they could not even be read.
        """

    # -- the queues of an ingest worker, in its event loop -------------------------------------------------

    def deliveries_accepted(self, graph: str, deliveries: int, documents: int, size: int) -> None:
        """Deliveries of a graph, replays and fetched ones included, became durable in one write batch.

        ``size`` is that of their bodies, in bytes.
        """

    def deliveries_leased(self, graph: str, deliveries: int) -> None:
        """Deliveries leave the queue to be handed to instances. One that is given back to the queue is leased again."""

    def deliveries_settled(self, graph: str, settlement: Settlement) -> None:
        """Deliveries are done, all that were acknowledged in one iteration of the event loop.

        That is durable with the next write batch: a crash before it means that they run, and are settled, again.
        """

    # -- deployments and instances, in the event loop of the supervisor ------------------------------------

    def deployment_began(self, graphs: Mapping[str, int]) -> None:
        """Versions of graphs, by name, are about to be set up, or given new parameters while they run.

        Mostly it is the one graph that was deployed; at the start of a node, and when processes are consolidated, all of them.
        What began is switched or failed, unless the node stops before.
        """

    def deployment_switched(self, graphs: Mapping[str, int], seconds: float) -> None:
        """These versions have taken over, so long after their deployment began."""

    def deployment_failed(self, graphs: Mapping[str, int], reason: str) -> None:
        """These versions do not take over; what ran before still runs. ``reason`` holds no secrets."""

    def graph_undeployed(self, graph: str) -> None:
        """A graph was taken down."""

    def instance_started(self, instance: int, graphs: Collection[str], seconds: float) -> None:
        """An instance has set up its graphs, so long after its process was started, and takes deliveries."""

    def instance_ended(self, instance: int, reason: str, filter: str) -> None:
        """An instance was reaped, whether it had been ready or not.

        ``reason`` is a phrase such as ``stopped`` or ``killed by SIGSEGV``. ``filter`` is the one that ended it, empty if that is
        not known.
        """

    def filter_rested(self, graph: str, filter: str, reason: str) -> None:
        """A filter rests in an instance, the first to do so, because a service or a destination cannot be reached."""

    def filter_went_on(self, graph: str, filter: str) -> None:
        """A filter that had rested does so in no instance any more."""
