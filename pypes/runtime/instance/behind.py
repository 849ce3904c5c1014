"""Behind: tells the components of a graph that remember documents what lies behind them, now and after a change of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pypes.component import Component
from pypes.graph.behind import digest_behind
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.registry import codes_of, digest_of


class Behind:
    """The digests of what lies behind the filters of one running graph, for those that are told of concluded documents.

    The code is that of the moment at which the components were imported.
    """

    def __init__(self, graph: Graph, specs: Mapping[str, Mapping[str, Any]], components: Mapping[str, Component]) -> None:
        self._graph = graph
        #: ``ComponentSpec.to_obj()`` by the name of the component.
        self._specs = specs
        self._told = {name: each for name, each in components.items() if each.conclude is not None}
        self._codes: dict[tuple[str, ...], str] = {}
        self._tell()

    def change(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        """Filters have new parameters (by name, as they are written in the graph)."""
        nodes = dict(self._graph.nodes)
        for name, given in params.items():
            nodes[name] = replace(nodes[name], params=given)
        self._graph = replace(self._graph, nodes=nodes)
        self._tell()

    def _tell(self) -> None:
        for name, component in self._told.items():
            component.behind = digest_behind(self._graph, name, self._code_of)

    def _code_of(self, components: Iterable[str]) -> str:
        names = tuple(components)
        if names not in self._codes:
            self._codes[names] = digest_of(codes_of([ComponentSpec.from_obj(self._specs[name]) for name in names]))
        return self._codes[names]
