"""Checks a graph as this node would run it: with the environment's values in place, none of which is shown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from pypes.core.paths import Paths
from pypes.core.pools import PoolRules
from pypes.core.secrets import Secrets
from pypes.errors import InvalidGraph, Problem
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import ANY_POOLS, validate
from pypes.registry import Code

#: The reason why a graph with ``firing: fleet`` cannot be deployed.
NO_FLEET = "this node is in no fleet; say with --fleet (fleet in [server]) which folder its nodes share, or remove firing"
#: Largest graph: beyond, to check it would keep the node from everything else for seconds.
MOST_FILTERS, MOST_WIRES = 2000, 10_000


def check_size(name: str, obj: Mapping[str, Any]) -> None:
    """Raise :class:`InvalidGraph` for a graph, valid or not, that is too large to be looked at."""
    for part, most in (("nodes", MOST_FILTERS), ("wires", MOST_WIRES)):
        if isinstance(found := obj.get(part), (list, dict)) and len(found) > most:
            message = f"has {len(found)} entries, at most {most} are possible; split the graph"
            raise InvalidGraph("the graph is too large", where=name, problems=[Problem(part, message, "graph.too_large")])


def check(
    graph: Graph,
    catalogue: Mapping[str, ComponentSpec],
    environ: Mapping[str, str],
    *,
    has_fleet: bool = False,
    paths: Paths | None = None,
    pools: PoolRules = ANY_POOLS,
) -> list[Problem]:
    """Everything that is wrong with ``graph`` here, missing variables included; messages show the names of secrets.

    ``has_fleet``: this node shares a folder with others, so a graph may have its sources run by one of them. ``paths`` says where
    parameters that are paths may lead, ``pools`` which there are.
    """
    problems = validate(graph, catalogue, environ, paths, pools)
    # learned once for all of them: there may be many, of a graph that is large
    secrets = Secrets.of([dict(node.params) for node in graph.nodes.values()], environ) if problems else Secrets()
    problems = [Problem(p.path, secrets.redact(p.message), p.code) for p in problems]
    if graph.firing == "fleet" and not has_fleet:
        problems.append(Problem("firing", NO_FLEET, "graph.no_fleet"))
    return problems


def scrub(text: str, values: Iterable[Any], environ: Mapping[str, str] | None = None) -> str:
    """Replace in ``text`` what the ``${ENV}`` references anywhere in ``values`` stand for by the references themselves."""
    return Secrets.of(values, os.environ if environ is None else environ).redact(text) if text else text


def gone(codes: Iterable[Code], catalogue: Mapping[str, ComponentSpec]) -> str:
    """The distributions with which a graph ran that are not there now, and the line that installs them again, for a message."""
    here = {spec.distribution for spec in catalogue.values()}
    lost = [code for code in codes if code.version and code.name not in here]
    told = f": it ran with {', '.join(map(str, lost))}; run pip install {' '.join(code.name for code in lost)}"
    return told if lost else ""
