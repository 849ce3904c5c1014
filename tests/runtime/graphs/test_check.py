from pathlib import Path

from pypes.core.paths import Paths
from pypes.graph.model import Graph, GraphNode
from pypes.graph.spec import ComponentSpec
from pypes.runtime.graphs.check import check, scrub


def test_messages_name_the_variable_instead_of_its_value() -> None:
    environ = {"PASSWORD": "pass", "URL": "http://u:pass@h", "EMPTY": ""}
    values = [{"a": ["x ${URL}", {"b": "${PASSWORD}${EMPTY}"}], "n": 1}]
    assert scrub("no http://u:pass@h, pass", values, environ) == "no ${URL}, ${PASSWORD}"
    assert scrub("pass", [{"a": "nothing"}], environ) == "pass"


def test_a_value_that_is_a_part_of_another_one_has_its_own_name() -> None:
    for whole, part in (("A", "B"), ("B", "A")):
        values = [{"a": f"${{{whole}}}${{{part}}}"}]
        assert scrub("pass", values, {whole: "http://u:pass@h", part: "pass"}) == f"${{{part}}}"


def test_a_graph_is_checked_with_the_values_in_place() -> None:
    schema = {"type": "object", "properties": {"port": {"type": "string", "pattern": "^[0-9]+$"}}}
    catalogue = {"In": ComponentSpec("In", kind="ADAPTER", outputs={"out": ""}, schema=schema)}
    graph = Graph("g", {"in": GraphNode("in", "In", {"port": "${PORT}"})})
    messages = [p.message for p in check(graph, catalogue, {"PORT": "s3cret"}) if p.path == "nodes.in.params.port"]
    assert len(messages) == 1
    assert "s3cret" not in messages[0]
    assert not [p for p in check(graph, catalogue, {"PORT": "80"}) if p.path.startswith("nodes.in.params")]
    assert any("PORT" in p.message for p in check(graph, catalogue, {}))


def test_who_is_in_no_fleet_runs_no_graph_of_one() -> None:
    graph = Graph("g", {}, firing="fleet")
    (problem,) = [p for p in check(graph, {}, {}) if p.path == "firing"]
    assert problem.code == "graph.no_fleet"
    assert "--fleet" in problem.message
    assert not [p for p in check(graph, {}, {}, has_fleet=True) if p.path == "firing"]


def test_paths_are_checked_with_the_values_in_place(tmp_path: Path) -> None:
    schema = {"properties": {"path": {"type": "string", "format": "path"}, "text": {"type": "string"}}}
    catalogue = {"Out": ComponentSpec("Out", kind="PUBLISHER", inputs={"in": ""}, schema=schema)}
    paths = Paths(str(tmp_path), own=((str(tmp_path / "shards"), "the store"),))

    def wrong(path: str) -> list[str]:
        graph = Graph("g", {"out": GraphNode("out", "Out", {"path": path, "text": "shards/x"})})
        return [p.path for p in check(graph, catalogue, {"SECRET": "shards"}, paths=paths) if p.code == "param.path"]

    assert wrong("${SECRET}/queue.db") == wrong("x/../shards") == ["nodes.out.params.path"]
    assert wrong("out.jsonl") == []


def test_what_was_hidden_cannot_be_deployed() -> None:
    catalogue = {"In": ComponentSpec("In", kind="ADAPTER", outputs={"out": ""}, schema={})}
    graph = Graph("g", {"in": GraphNode("in", "In", {"deep": [{"url": "http://***@host/"}]})})
    assert [(p.path, p.code) for p in check(graph, catalogue, {}) if p.code == "param.hidden"] == [
        ("nodes.in.params.deep.0.url", "param.hidden")
    ]
