from pypes.graph.model import Graph, GraphNode
from pypes.graph.spec import ComponentSpec
from pypes.runtime.graphs.check import check, scrub


def test_messages_name_the_variable_instead_of_its_value() -> None:
    environ = {"PASSWORD": "pass", "URL": "http://u:pass@h", "EMPTY": ""}
    values = [{"a": ["x ${URL}", {"b": "${PASSWORD}${EMPTY}"}], "n": 1}]
    assert scrub("no http://u:pass@h, pass", values, environ) == "no ${URL}, ${PASSWORD}"
    assert scrub("pass", [{"a": "nothing"}], environ) == "pass"


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
