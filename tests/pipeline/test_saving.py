"""Pipelines as graph files: saved, loaded, taken into others, and deployed to a node."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pypes import Graph, InvalidGraph, Packet, Pipeline, Pool, Publisher, Transformer, node
from pypes.errors import InvalidInput, Unavailable
from pypes.graph.codec import loads
from pypes.graph.model import GraphNode
from pypes.pipeline.pool import Pool as Workers
from pypes.testing.node import Node, free_port, running
from pypes_basic.json_adapter import JSON
from pypes_basic.json_lines import JSONLines
from pypes_basic.set_field import SetField
from tests.pipeline import of_graphs
from tests.pipeline.of_graphs import Shout, both, greet, length, two, upper
from tests.pipeline.samples import add, double, pair, same

DIAMOND = [("split.out", "a.in"), ("split.out", "b.in"), ("a.out", "join.left"), ("b.out", "join.right")]


def scatter(value: int) -> list[int]:
    return [value, value + 1]


def scaled(value: int, by: int = 2) -> int:
    return value * by


def data(*titles: str) -> list[Packet]:
    return [Packet({"data": json.dumps({"title": title}).encode()}, {"mimetype": "application/json"}) for title in titles]


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: Pipeline(add, node(scaled, by=5), str, str.lower), ["5", "10", "15"]),
        (lambda: Pipeline(nodes={"split": same, "a": add, "b": double, "join": pair}, wires=DIAMOND), [(1, 0), (2, 2), (3, 4)]),
        (lambda: Pipeline(node(scatter, produces=2), double, node(sum, consumes=2)), [2, 6, 10]),
        (lambda: Pipeline(node(add, produces=2, repeat=True)), [1, 1, 2, 2, 3, 3]),
        (lambda: Pipeline(node(add, threads=2), node(double, processes=1, stride=4, timeout_s=30)), [2, 4, 6]),
    ],
    ids=["options", "join", "scatter", "repeat", "pools"],
)
def test_functions_come_back_from_a_file(make: Callable[[], Pipeline], found: list[Any], tmp_path: Path) -> None:
    if found == ["5", "10", "15"]:  # classes are no functions
        make = lambda: Pipeline(add, node(scaled, by=5), repr, str.lower)  # noqa: E731
    path = tmp_path / "g.json"
    with make() as pipeline:
        pipeline.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["g.json"]
    with Pipeline.load(path, errors="raise") as loaded:
        assert [*loaded.run(range(3))] == found
        loaded.save(tmp_path / "again.json", name="g")
    assert (tmp_path / "again.json").read_text() == path.read_text()


def test_pools_come_back_as_they_were(tmp_path: Path) -> None:
    with Pool(threads=2) as pool, Pipeline(node(add, pool=pool), node(double, pool=pool), node(same, threads=3)) as pipeline:
        pipeline.save(tmp_path / "g.json")
    graph = loads((tmp_path / "g.json").read_bytes())
    assert {name: each.to_obj() for name, each in graph.pools.items()} == {"pool1": {"threads": 2}}
    with Pipeline.load(tmp_path / "g.json") as loaded:
        pools: list[Workers | None] = [each.pool for each in loaded.given.nodes.values()]
        assert pools[0] is pools[1] is not pools[2]
        assert [each.threads for each in pools if each] == [2, 2, 3]


def test_components_and_functions_of_packets_come_back(tmp_path: Path) -> None:
    parts = [JSON, node(greet, word="dear"), node(SetField(field="kind", value="card"), threads=2)]
    with Pipeline(*parts) as pipeline:
        pipeline.save(tmp_path / "cards.json")
        before = [packet.get("title") for packet in pipeline.run(data("ada", "grace"))]
    graph = loads((tmp_path / "cards.json").read_bytes())
    assert graph.name == "cards"
    assert [(each.component, dict(each.params)) for each in graph.nodes.values()] == [
        ("Call", {"function": "tests.pipeline.of_graphs:greet", "options": {"word": "dear"}}),
        ("JSON", {}),
        ("SetField", {"field": "kind", "value": "card"}),
    ]
    with Pipeline.load(tmp_path / "cards.json") as loaded:
        found = [*loaded.run(data("ada", "grace"))]
    assert [packet.get("title") for packet in found] == before == ["dear ada", "dear grace"]
    assert {packet.get("kind") for packet in found} == {"card"}


def test_a_component_of_a_file_is_found_where_load_says(tmp_path: Path) -> None:
    with Pipeline(JSON, Shout.on(processes=1, marks=2)) as pipeline:
        pipeline.save(tmp_path / "g.json")
    with pytest.raises(InvalidGraph) as raised:
        Pipeline.load(tmp_path / "g.json")
    assert "'Shout'" in str(raised.value)
    assert "load=['FILE.py']" in str(raised.value)
    with Pipeline.load(tmp_path / "g.json", load=[of_graphs.__file__]) as loaded:
        assert [packet.get("title") for packet in loaded.run(data("ada"))] == ["ADA!!"]
        loaded.save(tmp_path / "again.json", name="g")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "g.json").read_text()


def kept(packet: Packet) -> Packet:
    return packet


class Holder:
    def method(self, packet: Packet) -> Packet:
        return packet


class Made(Transformer):
    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self.words = words


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (lambda value: value, "a lambda has no name"),
        (Holder().method, "is not what|cannot be found again"),
        (str, "'str' is a class"),
        (node(add, threads=2, timeout_s=1), "pools of threads have none in graphs"),
        (node(scaled, by={1}), "is no JSON value"),
        (Made(["a"]), "made with arguments that are no parameters"),
        (type("Set", (SetField,), {}), "define it at the top level of a module"),
    ],
    ids=["lambda", "method", "class", "timeout", "option", "arguments", "inner class"],
)
def test_what_has_no_name_is_refused(part: Any, said: str, tmp_path: Path) -> None:
    with Pipeline(add, part) as pipeline, pytest.raises(InvalidGraph, match=said):
        pipeline.save(tmp_path / "g.json")
    assert not [*tmp_path.iterdir()]


GRAPH: dict[str, Any] = {
    "pypes": 1,
    "name": "news",
    "routes": ["news"],
    "inherit": ["acl"],
    "pools": {"two": {"processes": 2, "stride": 3}},
    "nodes": {
        "json": {"component": "JSON"},
        "set": {
            "component": "SetField",
            "params": {"field": "k", "value": "${PIPELINE_KEY}"},
            "pool": "two",
            "max_attempts": 3,
        },
        "lines": {"component": "JSONLines", "params": {"path": "out.jsonl"}},
    },
    "wires": [["json.out", "set.in"], ["set.out", "lines.in"]],
}


def test_a_graph_file_runs_with_its_paths_secrets_and_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_KEY", "a secret key")
    Path("news.json").write_text(json.dumps(GRAPH))
    with Pipeline("news.json", errors="raise") as pipeline:
        assert [*pipeline.run(data("ada", "grace"))] == []
        assert [fate.outcome for fate in pipeline.fates][-1] == "published"
        pipeline.save("again.json")
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert lines == [{"title": title, "k": "a secret key"} for title in ("ada", "grace")]
    assert loads(Path("again.json").read_bytes()) == loads(Path("news.json").read_bytes())
    monkeypatch.delenv("PIPELINE_KEY")
    with pytest.raises(InvalidInput, match="PIPELINE_KEY"):
        Pipeline.load("news.json")


def test_a_graph_stands_in_a_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_KEY", "k")
    obj = {**GRAPH, "nodes": {name: GRAPH["nodes"][name] for name in ("json", "set")}, "wires": GRAPH["wires"][:1]}
    (tmp_path / "a.json").write_text(json.dumps(obj))
    graph = Graph("b", {"b": GraphNode("b", "Call", {"function": "tests.pipeline.of_graphs:greet"})})
    with Pipeline.load(tmp_path / "a.json") as loaded:
        for given in (tmp_path / "a.json", str(tmp_path / "a.json"), loaded):
            with Pipeline(given, graph, node(two, produces=2), Shout, errors="raise") as pipeline:
                titles = [packet.get("title") for packet in pipeline.run(data("ada"))]
            assert titles == ["HELLO ADA 0!", "HELLO ADA 1!"]
    nodes = {"first": tmp_path / "a.json", "last": greet}
    with Pipeline(nodes=nodes, wires=[("first.out", "last.in")]) as pipeline:
        assert [packet.get("title") for packet in pipeline.run(data("ada"))] == ["hello ada"]
        pipeline.save(tmp_path / "both.json")
    saved = loads((tmp_path / "both.json").read_bytes())
    assert sorted(saved.nodes) == ["first-json", "first-set", "last"]
    assert saved.nodes["first-set"].params["value"] == "${PIPELINE_KEY}"
    assert {name: pool.processes for name, pool in saved.pools.items()} == {"two": 2}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({"a": {"component": "SetFeld"}}, "did you mean 'SetField'"),
        ({"a": {"component": "Call", "params": {"function": "tests.pipeline.of_graphs:gone"}}}, "there is no 'gone'"),
        ({"a": {"component": "Call", "params": {"function": "no_such_module:f"}}}, "No module named 'no_such_module'"),
        ({"a": {"component": "Call"}}, "must name a function"),
        ({"a": {"component": "SetField", "params": {"felt": 1}}}, "unknown parameter"),
        ({"a b": {"component": "SetField"}}, "is no name for a filter"),
    ],
)
def test_a_graph_that_cannot_be_loaded_says_why(nodes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Pipeline.load(loads(json.dumps({"pypes": 1, "name": "g", "nodes": nodes})))
    assert said in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidGraph, match=r"'.*none\.json' cannot be read: No such file"):
        Pipeline(tmp_path / "none.json")


# -- on a node --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "pypes.ini").write_text("[components]\nmodules = tests.pipeline.of_graphs\n")
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    graph: dict[str, Any] = {"pypes": 1, "name": "none", "nodes": {"json": {"component": "JSON"}, "null": {"component": "Null"}}}
    graph["wires"] = [["json.out", "null.in"]]
    flags = ("--config", str(folder / "pypes.ini"), "--load", of_graphs.__file__)
    with running(folder, graph, *flags, workers=1, instances=1, environ=environ) as node:
        yield node


def test_a_pipeline_is_deployed_and_takes_documents(server: Node) -> None:
    lines = JSONLines(path="deployed.jsonl")
    with Pipeline(JSON, node(greet, processes=1, word="dear"), node(two, produces=2), Shout(marks=2), lines) as pipeline:
        told = pipeline.deploy(server.url, name="letters")
    assert told["name"] == "letters"
    answer = server.http.request("POST", f"{server.url}/docs/letters", json={"title": "ada"}, headers={"Prefer": "wait=20"})
    assert answer.status in (200, 202), answer.data
    found = [json.loads(line) for line in (server.base / "data" / "deployed.jsonl").read_text().splitlines()]
    assert sorted(each["title"] for each in found) == ["DEAR ADA 0!!", "DEAR ADA 1!!"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((JSON, kept, JSONLines(path="x.jsonl")), "names a function of tests.pipeline.test_saving, which graphs may not call"),
        ((JSON, os.system, JSONLines(path="x.jsonl")), "names a function of posix, which graphs may not call"),
        ((greet, JSONLines(path="x.jsonl")), "the graph has no adapter"),
        ((JSON, greet, SetField), "the graph has no publisher"),
        ((add, double), "begin with an adapter, such as JSON"),
        ((JSON, lambda packet: packet), "a lambda has no name"),
    ],
    ids=["module", "os", "adapter", "publisher", "values", "lambda"],
)
def test_what_cannot_be_deployed_is_told(parts: Any, said: str, server: Node) -> None:
    with Pipeline(*parts) as pipeline, pytest.raises(InvalidGraph) as raised:
        pipeline.deploy(server.url, name="wrong")
    assert said in str(raised.value)


BRANCHES = [("json.out", "a.in"), ("json.out", "b.in"), ("a.out", "join.left"), ("b.out", "join.right"), ("join.out", "lines.in")]


def branching(path: str, **options: Any) -> dict[str, Any]:
    return {"json": JSON, "a": upper, "b": length, "join": node(both, word="&", **options), "lines": JSONLines(path=path)}


def test_a_function_of_several_parameters_is_deployed(server: Node) -> None:
    with Pipeline(nodes=branching("joined.jsonl"), wires=BRANCHES) as pipeline:
        pipeline.deploy(server.url, name="joined")
    body = [{"title": title} for title in ("ada", "grace", "alan")]
    answer = server.http.request("POST", f"{server.url}/docs/joined", json=body, headers={"Prefer": "wait=20"})
    assert answer.status in (200, 202), answer.data
    found = [json.loads(line) for line in (server.base / "data" / "joined.jsonl").read_text().splitlines()]
    assert [each["title"] for each in found] == ["ADA & 3", "ALAN & 4"]  # nothing is taken from another document


def test_it_comes_back_from_a_file_and_runs_without_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Pipeline(nodes=branching("out.jsonl"), wires=BRANCHES) as pipeline:
        pipeline.save("g.json")
    graph = loads(Path("g.json").read_bytes())
    assert graph.nodes["join"].component == "CallJoin"
    assert [str(wire) for wire in graph.wires if wire.target == "join"] == ["a.out -> join.in", "b.out -> join.in2"]
    with Pipeline.load("g.json", errors="raise") as pipeline:
        assert [*pipeline.run(data("ada", "grace", "alan"))] == []
        pipeline.save("again.json", name="g")
    assert Path("again.json").read_text() == Path("g.json").read_text()
    titles = [json.loads(line)["title"] for line in Path("out.jsonl").read_text().splitlines()]
    assert titles == ["ADA & 3", "ALAN & 4"]


def test_a_join_of_a_graph_keeps_the_order_of_its_parameters(tmp_path: Path) -> None:
    obj = {
        "pypes": 1,
        "name": "g",
        "nodes": {
            "a": {"component": "Call", "params": {"function": "tests.pipeline.samples:same"}},
            "b": {"component": "Call", "params": {"function": "tests.pipeline.samples:add"}},
            "join": {
                "component": "CallJoin",
                "params": {"function": "tests.pipeline.samples:pair", "parameters": ["right", "left"]},
            },
        },
        "wires": [["a.out", "join.in"], ["b.out", "join.in2"]],
    }
    with Pipeline.load(loads(json.dumps(obj))) as pipeline:
        assert [*pipeline.run([1])] == [(2, 1)]
        pipeline.save(tmp_path / "g.json")
    assert loads((tmp_path / "g.json").read_bytes()) == loads(json.dumps(obj))


def test_all_that_cannot_be_deployed_is_told_at_once() -> None:
    nodes = branching("x.jsonl", threads=2) | {"a": lambda packet: packet}
    with Pipeline(nodes=nodes, wires=BRANCHES) as pipeline, pytest.raises(InvalidGraph) as raised:
        pipeline.deploy("http://127.0.0.1:1", name="wrong")
    assert [(each.path, each.message.partition(":")[0]) for each in raised.value.problems] == [
        ("nodes.a", "a lambda has no name; define the function in a module"),
        ("nodes.join", "on a node, a function of several parameters has no pool"),
    ]
    assert str(raised.value).startswith("wrong: the pipeline cannot be deployed")


def test_groups_are_for_programs() -> None:
    with Pipeline(node(scatter, produces=2), node(sum, consumes=2)) as pipeline, pytest.raises(InvalidGraph) as raised:
        pipeline.deploy("http://127.0.0.1:1")
    assert "nodes.sum: consumes: a node groups nothing" in str(raised.value)


def test_more_parameters_than_a_graph_has_inputs_are_told(tmp_path: Path) -> None:
    wires = [("a.out", f"join.p{number}") for number in range(9)]
    with Pipeline(nodes={"a": same, "join": nine}, wires=wires) as pipeline, pytest.raises(InvalidGraph) as raised:
        pipeline.save(tmp_path / "g.json")
    assert "nodes.join: 9 of its parameters have wires; the graph of a node has 8 at most" in str(raised.value)


def nine(p0: Any, p1: Any, p2: Any, p3: Any, p4: Any, p5: Any, p6: Any, p7: Any, p8: Any) -> Any:
    return p0


def test_a_component_that_the_node_has_not_is_named(server: Node) -> None:
    with Pipeline(JSON, Unknown, JSONLines(path="x.jsonl")) as pipeline, pytest.raises(InvalidGraph) as raised:
        pipeline.deploy(server.url)
    assert "Unknown" in str(raised.value)


class Unknown(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


def test_a_node_that_is_not_there_is_told() -> None:
    with Pipeline(JSON, Nowhere) as pipeline:
        with pytest.raises(Unavailable, match="cannot be reached"):
            pipeline.deploy(f"http://127.0.0.1:{free_port()}")
        with pytest.raises(InvalidInput, match="is not the address of a node"):
            pipeline.deploy("the node")


class Nowhere(Publisher):
    def process(self, packet: Packet) -> None: ...
