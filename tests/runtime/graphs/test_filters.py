"""Filters: drafts, and the nodes of deployed graphs."""

from typing import Any

import pytest

from pypes.errors import ComponentError, Conflict, InvalidGraph, InvalidInput, NotFound


@pytest.fixture
def node(empty_node: Any) -> Any:
    """One for all of these tests, which leave no drafts."""
    return empty_node


def test_drafts(node: Any) -> None:
    created = node.call("filters.create", component="Odd", params={"do": "x"})
    assert {**created, "schema": None} == {
        "id": created["id"],
        "graph": None,
        "component": "Odd",
        "kind": "TRANSFORMER",
        "inputs": ["in"],
        "outputs": ["out", "error"],
        "params": {"do": "x"},
        "schema": None,
    }
    assert set(created["schema"]["properties"]) == {"do", "file"}
    id = created["id"]
    assert node.call("filters.update", id=id, params={"file": "f"})["params"] == {"file": "f"}
    assert node.call("filters.get", id=id)["params"] == {"file": "f"}
    with pytest.raises(InvalidInput) as invalid:
        node.call("filters.update", id=id, params={"file": 1, "colour": "red"})
    assert {p.path for p in invalid.value.problems} == {"params.file", "params.colour"}
    assert [f["id"] for f in node.listed("filters")] == [id]
    assert node.call("filters.delete", id=id) is None
    calls: list[tuple[str, dict[str, Any]]] = [("filters.get", {}), ("filters.delete", {}), ("filters.update", {"params": {}})]
    for method, more in calls:
        with pytest.raises(NotFound):
            node.call(method, id=id, **more)
    with pytest.raises(InvalidInput, match="Odder") as unknown:
        node.call("filters.create", component="Odder")
    assert [(p.path, p.code) for p in unknown.value.problems] == [("component", "component.unknown")]


def test_a_filter_of_a_deployed_graph_is_changed_there(node: Any, a_graph: Any) -> None:
    node.call("graphs.put", name="g", obj=a_graph())
    assert {f["id"] for f in node.listed("filters")} == {"g.in", "g.odd", "g.out"}
    assert node.call("filters.update", id="g.odd", params={"file": "f"})["params"] == {"file": "f"}
    assert node.call("graphs.get", name="g")["version"] == 2
    with pytest.raises(ComponentError):
        node.call("filters.update", id="g.odd", params={"do": "raise"})
    assert node.call("filters.get", id="g.odd")["params"] == {"file": "f"}
    with pytest.raises(InvalidGraph):
        node.call("filters.delete", id="g.out")
    rewired = node.call("graphs.get", name="g")["graph"]
    rewired["wires"].append(["in.out", "out.in"])
    node.call("graphs.put", name="g", obj=rewired)
    node.call("filters.delete", id="g.odd")
    assert set(node.call("graphs.get", name="g")["graph"]["nodes"]) == {"in", "out"}
    with pytest.raises(NotFound):
        node.call("filters.get", id="g.odd")


def test_drafts_are_bounded(start_node: Any, a_graph: Any) -> None:
    node = start_node(PYPES_LIMITS_DRAFTS_KEPT="2", PYPES_LIMITS_DRAFTS_BYTES="600")
    node.ready()
    first, second = (node.call("filters.create", component="Odd", params={"do": "x"})["id"] for _ in range(2))
    with pytest.raises(Conflict, match="drafts_kept") as full:
        node.call("filters.create", component="Odd")
    assert full.value.code == "drafts.full"
    with pytest.raises(Conflict, match="drafts_bytes"):
        node.call("filters.update", id=first, params={"file": "x" * 600})
    assert node.call("filters.update", id=first, params={"file": "x" * 50})["params"] == {"file": "x" * 50}
    for _ in range(2):  # the same wire twice is one
        draft = node.call("drafts.wire", name="g", source=f"{first}.out", target=f"{second}.in")
        assert draft["graph"]["wires"] == [["odd.out", "odd-2.in"]]
    # two filters that are in one draft are one draft
    node.call("filters.create", component="Odd")
    saving: dict[str, Any] = {"name": "g", "base": 0, "seen": [draft["counter"]]}
    with pytest.raises(Conflict, match="drafts_kept"):
        node.call("drafts.save", **{**saving, "name": "h", "seen": [0]}, graph={})
    with pytest.raises(Conflict, match="drafts_bytes"):
        node.call("drafts.save", **saving, graph={**draft["graph"], "description": "x" * 600})
    assert node.call("drafts.get", name="g")["counter"] == draft["counter"]
    assert node.call("drafts.save", **saving, graph=draft["graph"])["counter"] == draft["counter"]
