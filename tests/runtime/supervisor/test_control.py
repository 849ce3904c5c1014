from typing import Any

import pytest

from pypes.errors import BadRequest, InvalidInput, NotFound, PypesError


@pytest.fixture
def node(empty_node: Any) -> Any:
    """One for all of these tests."""
    return empty_node


def test_the_catalogue(node: Any) -> None:
    assert "Out" in node.call("components.kinds", node="Publishers")
    assert "Odd" in node.call("components.kinds", node="Transformers")
    assert node.call("components.get", name="In")["kind"] == "ADAPTER"
    assert {"In", "Odd", "Out"} <= {c["name"] for c in node.listed("components")}
    with pytest.raises(InvalidInput, match="Publishers"):
        node.call("components.kinds", node="Printers")
    with pytest.raises(NotFound):
        node.call("components.get", name="Inn")


def test_what_is_not_known_is_told(node: Any) -> None:
    with pytest.raises(PypesError, match="GraphCalls has no method 'paint'"):
        node.call("graphs.paint")
    with pytest.raises(BadRequest, match="hello"):
        node.call("ready")


def test_the_answer_to_hello_is_the_topology(node: Any, a_graph: Any) -> None:
    node.call("graphs.put", name="g", obj={**a_graph(), "routes": ["news"]})
    topology = node.call("hello", pid=1, slot=9)
    assert [int(id) for id in topology["instances"]] == list(node.instances())
    assert topology["graphs"] == {"g": 1}
    assert topology["routes"] == {"news": "g"}
    assert (topology["default"], topology["is_complete"], topology["failed"]) == ("g", True, {})
