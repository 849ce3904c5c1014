"""Nodes: what a user puts into a pipeline, and how it is to be run there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pypes.core.pools import MOST_STRIDE, MOST_THREADS
from pypes.errors import InvalidGraph
from pypes.graph.model import Graph, GraphNode
from pypes.pipeline.options import check_count, check_flag, wrong
from pypes.pipeline.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A filter as the user gives it: ``target`` (a function, a component class or object), and where and how it runs.

    Made by :func:`node` and by ``Component.on``.
    """

    target: Any
    params: Mapping[str, Any] = field(default_factory=dict)
    pool: Pool | None = None
    #: Values that go to a pool worker together at most.
    stride: int = 1
    #: The results of one item that a call gives, and takes; 0: one, by itself.
    produces: int = 0
    consumes: int = 0
    repeat: bool = False
    #: The graph that it was read from, and the filter there.
    origin: tuple[Graph, GraphNode] | None = None


def node(
    target: Any,
    /,
    *,
    threads: int | None = None,
    processes: int | None = None,
    pool: Pool | None = None,
    stride: int | None = None,
    timeout_s: float | None = None,
    memory: int | str | None = None,
    produces: int | None = None,
    consumes: int | None = None,
    spawn: int | None = None,
    repeat: bool = False,
    **params: Any,
) -> Node:
    """A function or component with the way in which it runs: ``node(fetch, threads=8)``, ``node(parse, processes=4, stride=16)``.

    threads, processes: it has so many of its own, which work on different items at once. ``pool``: it shares the workers of a
        :class:`Pool` with others.
    stride: items that go to a worker together at most, which costs less for each; their results come back together.
    timeout_s: seconds for one item; then it has failed with ``TimeoutError``. A process is ended and replaced. A thread cannot be
        ended: it is given up, and another one takes its place.
    memory: bytes of address space of a process, as ``"2 GiB"``.
    produces: the function returns so many results of an item (a sequence); with ``repeat``, its one result counts so many times.
    consumes: the function is called with a list of so many results that were made of one item.
    spawn: so many threads for what was made of one item, where nothing else is said about where it runs.

    Other keywords are parameters of the component. Raises :class:`InvalidGraph`.
    """
    if isinstance(target, Node):
        raise InvalidGraph("a node is made of a function or a component, not of another node", code="pipeline.node")
    chosen = [name for name, value in (("threads", threads), ("processes", processes), ("pool", pool)) if value is not None]
    if len(chosen) > 1:
        raise InvalidGraph(f"give one of {' and '.join(chosen)}: a filter runs in one place", code="pipeline.node")
    for name, count, most in (
        ("produces", produces, None),
        ("consumes", consumes, None),
        ("spawn", spawn, MOST_THREADS),
        ("stride", stride, MOST_STRIDE),
    ):
        if count is not None:
            check_count(name, count, "pipeline.node", most=most)
    check_flag("repeat", repeat, "pipeline.node")
    if pool is not None and not isinstance(pool, Pool):
        raise wrong("pool", "a Pool, as Pool(processes=4) makes one", pool, "pipeline.node")
    if stride is not None and not chosen:
        raise InvalidGraph(f"stride={stride}: it is for threads, processes or a pool only", code="pipeline.node")
    if repeat and not produces:
        raise InvalidGraph("repeat needs produces=, the number of times that the result counts", code="pipeline.node")
    if pool is None and (chosen or spawn is not None):
        pool = Pool(threads=spawn if not chosen else threads, processes=processes, timeout_s=timeout_s, memory=memory)
    elif timeout_s is not None or memory is not None:
        where = "the Pool itself" if pool is not None else "threads or processes"
        raise InvalidGraph(f"timeout_s and memory belong to {where}", code="pipeline.node")
    return Node(
        target=target,
        params=params,
        pool=pool,
        stride=stride or 1,
        produces=produces or 0,
        consumes=consumes or 0,
        repeat=repeat,
    )


def as_node(given: Any) -> Node:
    """The node of a filter that a user gives."""
    return given if isinstance(given, Node) else Node(target=given)
