"""The frozen model of a graph: what it is made of. It executes nothing and checks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.core.pools import Pool


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One configured component: a *filter*, as the REST interface calls it.

    ``timeout_s`` bounds its work on one packet (or batch), ``max_attempts`` how often one that raises ``Retry`` is tried,
    and ``batch_size``, ``batch_bytes`` and ``batch_s`` what one call of ``process_batch`` gets (:mod:`pypes.component.batching`);
    ``None``: as the node's limits and the component have it. ``pool`` says in which threads or processes it runs, or names a pool
    of the graph or of the node; ``None``: in the instance.
    """

    name: str
    component: str
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    max_attempts: int | None = None
    batch_size: int | None = None
    batch_bytes: int | None = None
    batch_s: float | None = None
    pool: Pool | str | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection from an output port to an input port."""

    source: str
    output: str
    target: str
    input: str

    def __str__(self) -> str:
        return f"{self.source}.{self.output} -> {self.target}.{self.input}"


@dataclass(frozen=True, slots=True)
class Comment:
    """A note on the canvas of an editor: its text, the place of its upper left corner, and its width and height if it has any."""

    text: str
    at: tuple[float, float]
    size: tuple[float, float] | None = None

    def to_obj(self) -> dict[str, Any]:
        """As plain JSON values."""
        size = {} if self.size is None else {"size": list(self.size)}
        return {"text": self.text, "at": list(self.at), **size}


@dataclass(frozen=True, slots=True)
class Graph:
    """A named DAG of filters and wires; ``nodes`` by name in the order in which they were written.

    ``order_by`` is ``"id"`` where documents of the same id must be processed in the order of their acknowledgement, else empty.
    ``weight`` is its share of the time where several graphs have something to do, ``max_instances`` how many instances run it
    at most (``None``: all). ``inherit`` names the metadata of a document that reach every packet made of it.
    ``schedule`` says in the form of cron when its sources run by themselves, ``missed`` what becomes of a time at which no server
    was there: ``"once"`` (they run when one is) or ``"skip"``, ``firing`` where they run each time: on every ``"node"``, or on
    one of the ``"fleet"``. ``limits`` bounds what it may take of the node, and changes nothing that runs.
    ``pools`` are those that several filters may share, by name. ``trace`` is the share of its deliveries that are traced, 0 to 1;
    with ``provenance``, the metadata of fields say which filter set them. ``layout`` says where an editor draws filters, and
    ``comments`` are its notes beside them, by any name: nothing that runs.
    """

    name: str
    nodes: Mapping[str, GraphNode]
    wires: tuple[Wire, ...] = ()
    description: str = ""
    routes: tuple[str, ...] = ()
    order_by: str = ""
    schedule: str = ""
    missed: str = "once"
    firing: str = "node"
    layout: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    comments: Mapping[str, Comment] = field(default_factory=dict)
    tests: tuple[Mapping[str, Any], ...] = ()
    weight: int = 1
    max_instances: int | None = None
    inherit: tuple[str, ...] = ()
    limits: GraphLimits = NO_LIMITS
    pools: Mapping[str, Pool] = field(default_factory=dict)
    trace: float = 0.0
    provenance: bool = False
