"""Pools in graph files: read with all that is wrong with them, and checked against the components and the node."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pypes.component import Adapter, Component, Operator, Publisher, Source, Transformer
from pypes.core.paths import Paths
from pypes.core.pools import Pool, PoolRules
from pypes.errors import InvalidGraph
from pypes.graph.codec import from_obj, to_obj
from pypes.graph.model import Graph
from pypes.graph.pools import graph_of, name_of, pool_of
from pypes.graph.spec import ComponentSpec, describe
from pypes.graph.validation import validate


class Read(Adapter):
    """Reads."""


class Change(Transformer):
    """Changes."""


class Batches(Transformer):
    """Takes batches."""

    def process_batch(self, packets: list[Any]) -> list[Any]:
        return packets


class Keep(Publisher):
    """Keeps."""


class Fetch(Source):
    """Fetches."""

    def fetch(self, cursor: Any) -> Any:
        yield [], None


class Window(Operator):
    """Holds."""

    holds = True


class Told(Transformer):
    """Is told."""

    def conclude(self, documents: Any) -> None: ...


class Loop(Transformer):
    """In the original style."""

    def run(self) -> None: ...


class Hostile(Transformer):
    """Isolated."""

    isolated = True


class Overlapping(Transformer):
    """Works on several."""

    concurrency = 4


class Pair(Operator):
    """Joins."""

    inputs = {"in": "", "in2": ""}


CLASSES: list[type[Component]] = [
    Read, Change, Batches, Keep, Fetch, Window, Told, Loop, Hostile, Overlapping, Pair,
]  # fmt: skip
CATALOGUE: dict[str, ComponentSpec] = {cls.__name__: describe(cls) for cls in CLASSES}
#: What a node knows that has one pool of its own and no interpreters.
NODE = PoolRules({"models": Pool(processes=1)}, ())


def graph(middle: str = "Change", pool: Any = None, **more: Any) -> Graph:
    nodes: dict[str, Any] = {
        "read": {"component": "Read"},
        "change": {"component": middle, **({} if pool is None else {"pool": pool})},
        "keep": {"component": "Keep"},
    }
    wires = [["read.out", "change.in"], ["change.out", "keep.in"]]
    return from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": wires, **more})


def faults(**given: Any) -> dict[str, str]:
    with pytest.raises(InvalidGraph) as caught:
        graph(**given)
    return {problem.path: problem.message for problem in caught.value.problems}


def found(rules: PoolRules = NODE, **given: Any) -> dict[str, str]:
    return {p.path: f"{p.message} [{p.code}]" for p in validate(graph(**given), CATALOGUE, pools=rules)}


def test_a_pool_of_one_filter_and_a_named_one() -> None:
    own = graph(pool={"processes": 2, "stride": 8, "timeout_s": 30, "memory": "2GiB", "python": "/opt/bin/python"})
    assert own.nodes["change"].pool == Pool(2, 0, 8, 30, 2 << 30, "/opt/bin/python")
    shared = graph(pool="io", pools={"io": {"threads": 64}})
    assert to_obj(shared)["pools"] == {"io": {"threads": 64}}
    assert to_obj(shared)["nodes"]["change"]["pool"] == "io"
    assert pool_of(shared, shared.nodes["change"], {"io": Pool(processes=1)}) == Pool(threads=64)
    assert pool_of(shared, shared.nodes["keep"], {}) is None
    named = graph(pool="models")
    assert pool_of(named, named.nodes["change"], {"models": Pool(processes=1)}) == Pool(processes=1)
    names = [name_of(each, "change") for each in (own, shared, named)]
    assert names == [f"{own.name}.change", f"{own.name}:io", "models"]
    assert [graph_of(name) for name in (*names, *(f"pool-{name}-0" for name in names))] == [own.name, own.name, ""] * 2


def test_every_fault_in_the_form_is_told_at_once() -> None:
    assert faults(
        pool={"processes": 0, "stride": "many", "timeout_s": -1, "memory": "big", "python": "python", "workers": 3}
    ) == {
        "nodes.change.pool.processes": "must be a whole number from 1 to 64",
        "nodes.change.pool.stride": "must be a whole number from 1 to 1024",
        "nodes.change.pool.timeout_s": "must be a number of seconds greater than zero",
        "nodes.change.pool.memory": 'must be a size in bytes, such as 2147483648 or "2GiB"',
        "nodes.change.pool.python": 'must be the whole path of an interpreter, such as "/opt/models/bin/python"',
        "nodes.change.pool.workers": "unknown key; a pool has processes, threads, stride, timeout_s, memory, python",
    }
    assert "not both" in faults(pool={"processes": 1, "threads": 1})["nodes.change.pool.threads"]
    assert "how many" in faults(pool={"stride": 4})["nodes.change.pool"]
    threads = {"threads": 4, "timeout_s": 1, "stride": 8, "memory": "2GiB", "python": "/opt/bin/python"}
    assert faults(pool=threads) == {
        "nodes.change.pool.timeout_s": "a thread cannot be ended; give the filter its timeout_s, or use processes",
        "nodes.change.pool.stride": "nothing travels to threads; leave it out (batch_size of the component bounds its batches)",
        "nodes.change.pool.memory": "a thread has the memory of its instance; leave it out, or use processes",
        "nodes.change.pool.python": "a thread is run by the interpreter of its instance; leave it out, or use processes",
    }
    small = faults(pool={"processes": 1, "memory": "1KiB"})["nodes.change.pool.memory"]
    assert small == "must be 128 MiB or more: no process can be set up with less"
    assert graph(pool={"processes": 1, "memory": "128MiB"}).nodes["change"].pool == Pool(processes=1, memory=128 << 20)
    assert "must be the name of a pool" in faults(pool=3)["nodes.change.pool"]
    assert faults(pools={"": {"threads": 1}, "a": 3}) == {
        "pools.": "needs a name, by which filters name the pool",
        "pools.a": 'must be an object such as {"processes": 2}',
    }


def test_names_of_pools() -> None:
    assert found(pool="models") == {}
    assert found(pool="modles")["nodes.change.pool"] == ("there is no pool 'modles'; did you mean 'models'? [graph.unknown_pool]")
    assert "[pool:other] to pypes.ini" in found(pool="other")["nodes.change.pool"]
    assert found(PoolRules(), pool="other") == {}, "where the node is not known, its pools are not either"
    assert "[graph.unused_pool]" in found(pools={"io": {"threads": 1}})["pools.io"]


@pytest.mark.parametrize(
    ("component", "what"),
    [
        ("Fetch", "behind it"), ("Window", "operator"), ("Told", "behind it"), ("Loop", "with process"),
        ("Hostile", "isolated = True"), ("Overlapping", "concurrency"),
    ],
)  # fmt: skip
def test_components_that_cannot_run_in_a_pool(component: str, what: str) -> None:
    message = found(middle=component, pool={"processes": 1})["nodes.change.pool"]
    assert f"filter 'change' ({component}) cannot run in a pool" in message
    assert what in message
    assert "[graph.no_pool]" in message


def test_publishers_joins_and_gathering_filters_cannot_either() -> None:
    base = to_obj(graph())
    base["nodes"]["keep"]["pool"] = {"threads": 1}
    base["nodes"]["pair"] = {"component": "Pair", "pool": {"threads": 1}}
    base["nodes"]["change"] = {"component": "Batches", "pool": {"threads": 1}, "batch_size": 3}
    base["wires"] += [["read.out", "pair.in"], ["change.out", "pair.in2"], ["pair.out", "keep.in"]]
    problems = {p.path: p.message for p in validate(from_obj(base), CATALOGUE, pools=NODE) if p.code == "graph.no_pool"}
    assert set(problems) == {"nodes.keep.pool", "nodes.pair.pool", "nodes.change.pool"}
    assert "commit" in problems["nodes.keep.pool"]
    assert "several inputs" in problems["nodes.pair.pool"]
    assert "leave out batch_size" in problems["nodes.change.pool"]


def test_interpreters_are_those_that_the_node_allows_and_are_there() -> None:
    pool = {"processes": 1, "python": "/no/such/python"}
    assert "pythons in [components]" in found(pool=pool)["nodes.change.pool.python"]
    allowed = PoolRules({}, ("/no/such/python", sys.executable))
    assert found(allowed, pool=pool) == {}
    here = validate(graph(pool=pool), CATALOGUE, paths=Paths(), pools=allowed)
    assert [(p.path, p.code) for p in here] == [("nodes.change.pool.python", "graph.python")]
    pool = {"processes": 1, "python": sys.executable}
    assert validate(graph(pool=pool), CATALOGUE, paths=Paths(), pools=allowed) == []
