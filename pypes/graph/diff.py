"""The difference of two versions of a graph, in terms of filters, wires and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pypes.core.graph_limits import GraphLimits
from pypes.core.pools import Pool
from pypes.graph.codec import FILTER_OPTIONS
from pypes.graph.model import Comment, Graph, GraphNode

#: Fields that are compared as a whole, apart from filters and wires. Where filters are drawn changes nothing that runs.
_GRAPH_FIELDS = (
    "description",
    "routes",
    "order_by",
    "inherit",
    "weight",
    "max_instances",
    "limits",
    "trace",
    "provenance",
    "schedule",
    "missed",
    "firing",
    "pools",
    "comments",
    "tests",
)

#: Those of them that instances know of.
_OF_INSTANCES = {"wires", "order_by", "inherit", "weight", "max_instances", "trace", "provenance", "pools"}


def diff(old: Graph, new: Graph) -> dict[str, Any]:
    """The way from ``old`` to ``new`` as plain JSON values; empty if they run alike and are described alike.

    ``filters`` has ``added`` and ``removed`` (names) and ``changed``: name → what changed of it (``component``, and the options
    such as ``timeout_s``: ``[old, new]``; ``params``: parameter → ``[old, new]``, a parameter that is not given being ``null``).
    ``wires`` has ``added`` and ``removed``. Every other key that differs has ``[old, new]``. A renamed filter is one removed
    and one added.
    """
    found: dict[str, Any] = {}
    filters = _filters(old.nodes, new.nodes)
    if filters:
        found["filters"] = filters
    before, after = _ends(old), _ends(new)
    wires = {"added": [list(e) for e in sorted(after - before)], "removed": [list(e) for e in sorted(before - after)]}
    if any(wires.values()):
        found["wires"] = {key: ends for key, ends in wires.items() if ends}
    for name in _GRAPH_FIELDS:
        one, other = getattr(old, name), getattr(new, name)
        if name in ("routes", "inherit"):
            one, other = sorted(one), sorted(other)
        if one != other:
            found[name] = [_plain(one), _plain(other)]
    return found


def only_parameters(old: Graph, new: Graph) -> set[str] | None:
    """The filters whose parameters are all that differs in what runs; ``None`` if anything else does.

    Description, routes, limits, schedule, firing, comments and tests do not count: no instance knows of them.
    """
    found = diff(old, new)
    filters = found.pop("filters", {})
    if found.keys() & _OF_INSTANCES or filters.keys() - {"changed"}:
        return None
    changed: dict[str, dict[str, Any]] = filters.get("changed", {})
    return set(changed) if all(set(what) == {"params"} for what in changed.values()) else None


def _filters(old: Mapping[str, GraphNode], new: Mapping[str, GraphNode]) -> dict[str, Any]:
    changed = {name: what for name in sorted(old.keys() & new.keys()) if (what := _changes(old[name], new[name]))}
    parts = {"added": sorted(new.keys() - old.keys()), "removed": sorted(old.keys() - new.keys()), "changed": changed}
    return {key: part for key, part in parts.items() if part}


def _changes(old: GraphNode, new: GraphNode) -> dict[str, Any]:
    changes: dict[str, Any] = {
        name: [_option(getattr(old, name)), _option(getattr(new, name))]
        for name in ("component", *FILTER_OPTIONS)
        if getattr(old, name) != getattr(new, name)
    }
    params = {
        name: [old.params.get(name), new.params.get(name)]
        for name in sorted(old.params.keys() | new.params.keys())
        if (name in old.params) != (name in new.params) or old.params.get(name) != new.params.get(name)
    }
    if params:
        changes["params"] = params
    return changes


def _ends(graph: Graph) -> set[tuple[str, str]]:
    return {(f"{w.source}.{w.output}", f"{w.target}.{w.input}") for w in graph.wires}


def _option(value: Any) -> Any:
    return value.to_obj() if isinstance(value, (Pool, Comment)) else value


def _plain(value: Any) -> Any:
    if isinstance(value, GraphLimits):
        return value.to_obj()
    if isinstance(value, Mapping):
        return {name: _option(each) for name, each in value.items()}
    return [dict(item) if isinstance(item, Mapping) else item for item in value] if isinstance(value, (tuple, list)) else value
