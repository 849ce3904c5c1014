"""The node as an ingest worker knows it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

from pypes.core.graph_limits import NO_LIMITS, GraphLimits
from pypes.errors import NotDeployed, NotFound

#: Routes that an error names.
SHOWN_ROUTES = 10


@dataclass(frozen=True, slots=True)
class Topology:
    """Instances and their graphs, as the supervisor announces them: ``instances`` is id → socket path, ``graphs`` name → version.

    ``failed`` is name → reason: graphs that could not be set up, whose deliveries wait. ``stalled`` is the same for graphs that
    run, and of which a pool has lost all processes: their deliveries wait in instances. ``ordered``: graphs with ``order_by``.
    ``paused``: graphs whose deliveries stay in the queues. ``closing``: those that take no more and finish what they have.
    ``shadows``: graph → socket that copies of its deliveries go to. ``runs``: instances that run only these graphs; ``weights``:
    the share of a graph, 1 unless given. ``limits``: those of graphs that have some of their own, for the whole node.
    ``retiring`` is as ``instances``: former generations that finish what they have. ``sources``: graph → its filters that fetch,
    or an empty name if it has only such as the original had. ``fleet``: graphs whose sources one of its nodes runs each time.
    ``is_complete``: a graph that is not named is not deployed, not just not yet.
    ``strict_routes``: what has a route that no graph names is refused; otherwise the default graph takes it.
    ``variables``: names of variables whose values are secrets of graphs (``${NAME}``).
    """

    generation: int = 0
    instances: Mapping[int, str] = field(default_factory=dict)
    graphs: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    ordered: frozenset[str] = frozenset()
    retiring: Mapping[int, str] = field(default_factory=dict)
    paused: frozenset[str] = frozenset()
    closing: frozenset[str] = frozenset()
    runs: Mapping[int, frozenset[str]] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, GraphLimits] = field(default_factory=dict)
    shadows: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fleet: frozenset[str] = frozenset()
    is_complete: bool = True
    strict_routes: bool = False
    stalled: Mapping[str, str] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The graphs that are deployed, able to run or not."""
        return frozenset((*self.graphs, *self.failed))

    def limits_in_shard(self, shards: int) -> dict[str, GraphLimits]:
        """All graphs with what one of ``shards`` shards enforces of their limits. A graph with order lies in one, its owner."""
        return {
            name: self.limits.get(name, NO_LIMITS).in_shard(1 if name in self.ordered else shards) for name in sorted(self.names)
        }

    def resolve(self, route: str | None) -> str:
        """Name of the graph that takes documents of a route; raises :class:`NotDeployed`, or :class:`NotFound` if strict."""
        graph = self.default if route is None else self.routes.get(route)
        if graph is None and route is not None:
            if self.strict_routes and self.is_complete:
                raise self._no_route(route)
            graph = self.default
        if graph is None:
            if self.graphs or self.failed:
                raise NotDeployed(
                    "no graph has this route and no graph is the default; set `default`, or post to a route of a graph"
                )
            raise NotDeployed("no graph is deployed; PUT a graph to /graphs/{name}, then post again")
        return graph

    def _no_route(self, route: str) -> NotFound:
        near = difflib.get_close_matches(route, self.routes, 1)
        shown = ", ".join(sorted(self.routes)[:SHOWN_ROUTES])
        others = f" and {len(self.routes) - SHOWN_ROUTES} more" if len(self.routes) > SHOWN_ROUTES else ""
        known = f"there are {shown}{others}." if shown else "no graph has any."
        hint = f"did you mean {near[0]!r}?" if near else known
        elsewhere = "" if self.default is None else "; without a route, /docs goes to the default graph"
        message = f"no graph has the route {route!r}; {hint} GET /graphs lists all routes{elsewhere}"
        return NotFound(message, code="route.unknown", where=route)

    def has(self, graph: str) -> bool:
        """True if a graph is deployed, able to run or not."""
        return graph in self.graphs or graph in self.failed or graph in self.closing

    @property
    def waiting(self) -> frozenset[str]:
        """Graphs whose deliveries stay in the queues."""
        return self.paused | self.failed.keys() if self.failed else self.paused

    def degraded(self) -> dict[str, str]:
        """The graphs whose documents are accepted and wait because nothing runs them, and why."""
        found = {**self.stalled, **self.failed}
        if not self.instances or not self.runs.keys() >= self.instances.keys():
            return found  # an instance that is not listed runs all of them; without any, nothing runs, and the node is not ready
        running = frozenset().union(*self.runs.values())
        return found | {name: "no instance that runs the graph is ready" for name in self.graphs if name not in running}


def cannot_serve(graphs: Collection[str], degraded: Container[str], default: str | None) -> bool:
    """True if a node with these graphs should be sent no documents: none of them runs, or the default one does not."""
    return default in degraded or (bool(graphs) and all(name in degraded for name in graphs))
