"""The option ``--pool``: pools of filters for one run, given beside the graph."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from pypes.core.pools import POOL_OPTIONS, Pool, read_section
from pypes.errors import Problem
from pypes.graph.model import Graph

#: In place of a pool: the filter runs in the instance.
NONE: Final = "none"
FORM: Final = (
    "FILTER=processes:4, FILTER=threads:8, or FILTER=none; more keys of a pool follow after commas (stride:16,timeout_s:30)"
)


def with_pools(graph: Graph, options: Iterable[str]) -> tuple[Graph, list[Problem]]:
    """The graph with the pools that the options give its filters, and all that is wrong with the options themselves.

    Whether a filter can run in a pool is for the check of the graph to say.
    """
    problems: list[Problem] = []
    given: dict[str, Pool | str | None] = {}
    for option in options:
        add = partial(_add, problems, f"--pool {option}")
        filter, equals, text = option.rpartition("=")
        if not (equals and filter and text):
            add("", f"must be {FORM}")
        elif filter not in graph.nodes:
            near = difflib.get_close_matches(filter, graph.nodes, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(graph.nodes)}"
            add("", f"there is no filter {filter!r}; {hint}", "graph.unknown_node")
        elif filter in given:
            add("", f"filter {filter!r} is given a pool twice; leave one of them out")
        else:
            given[filter] = _pool(text, graph, add)
    nodes = {name: replace(node, pool=given[name]) if name in given else node for name, node in graph.nodes.items()}
    # a pool in which nothing runs any more is no mistake of the graph
    was_used = {node.pool for node in graph.nodes.values()}
    is_used = {node.pool for node in nodes.values()}
    pools = {name: pool for name, pool in graph.pools.items() if name in is_used or name not in was_used}
    return replace(graph, nodes=nodes, pools=pools), problems


def _pool(text: str, graph: Graph, add: partial[None]) -> Pool | str | None:
    if text == NONE:
        return None
    if text in graph.pools:
        return text
    if ":" not in text:
        pools = f", or the name of a pool of the graph ({', '.join(graph.pools)})" if graph.pools else ""
        add("", f"{text!r} is no pool; give {FORM}{pools}")
        return None
    found: dict[str, str] = {}
    for part in text.split(","):
        key, colon, value = part.partition(":")
        if not (colon and value):
            add("", f"{part!r} needs a value, as in processes:4; a pool has {', '.join(POOL_OPTIONS)}")
            return None
        found[key.strip()] = value
    return read_section(found, add)


def _add(problems: list[Problem], path: str, option: str, message: str, code: str = "graph.form") -> None:
    problems.append(Problem(path, f"{option}: {message}" if option else message, code))
