"""Graphs and orders over the components of ``parts``."""

from __future__ import annotations

from typing import Any

from pypes.core.paths import Paths
from pypes.core.pools import Pool
from pypes.graph.codec import from_obj
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec, describe
from pypes.runtime.pools.order import PoolOrder, filter_of
from tests.runtime.pools import parts

SPECS: dict[str, ComponentSpec] = {
    cls.__name__: describe(cls, module=parts.__file__)
    for cls in (parts.In, parts.Keep, parts.Work, parts.Batches, parts.SpeaksBadly)
}


def graph(pool: Any = None, component: str = "Work", name: str = "g", **params: Any) -> Graph:
    work = {"component": component, "params": params, **({} if pool is None else {"pool": pool})}
    return from_obj(
        {
            "pypes": 1,
            "name": name,
            "nodes": {"in": {"component": "In"}, "work": work, "keep": {"component": "Keep"}},
            "wires": [
                ["in.out", "work.in"],
                ["work.out", "keep.in"],
                *([["work.more", "keep.in"]] if component in ("Work", "Batches") else []),
            ],
        }
    )


def order(pool: Pool | None = None, name: str = "g.work", timeout_s: float = 60.0, **params: Any) -> PoolOrder:
    pool = pool or Pool(processes=1)
    return PoolOrder(name, pool, (filter_of(graph(**params), "work", SPECS["Work"]),), timeout_s, Paths())
