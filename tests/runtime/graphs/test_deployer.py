"""Deploying on a live node: what goes live, what does not, and what is told about it."""

import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pypes.errors import ComponentError, InvalidGraph, NotFound

Start = Callable[..., Any]
Until = Callable[..., Any]


@pytest.fixture
def node(empty_node: Any) -> Any:
    """One for all of these tests, each of which has a graph of a name of its own."""
    return empty_node


def test_put_get_list_delete(node: Any, a_graph: Any, wait_until: Until) -> None:
    assert node.listed("graphs") == []
    created = node.call("graphs.put", name="listed", obj=a_graph("listed"))
    assert (created["name"], created["version"], created["state"], created["created"]) == ("listed", 1, "live", True)
    again = node.call("graphs.put", name="listed", obj=a_graph("listed"))
    assert (again["version"], again["created"]) == (1, False)
    old = node.instances()
    changed = node.call("graphs.put", name="listed", obj={**a_graph("listed", file="x"), "routes": ["news"]})
    assert (changed["version"], changed["created"]) == (2, False)
    assert changed["graph"]["nodes"]["odd"]["params"] == {"file": "x"}
    assert not set(node.instances()) & set(old)
    wait_until(lambda: len(node.call("status")["instances"]) == 1, "end of the old generation")
    assert node.listed("graphs") == [
        {"name": "listed", "version": 2, "state": "live", "description": "", "filters": ["in", "odd", "out"], "routes": ["news"]}
    ]
    node.call("graphs.delete", name="listed")
    wait_until(lambda: node.call("status")["instances"] == [], "end of the instances")
    for method in ("graphs.get", "graphs.delete"):
        with pytest.raises(NotFound):
            node.call(method, name="listed")
    assert node.call("graphs.put", name="listed", obj=a_graph("listed"))["version"] == 3


def test_what_is_wrong_with_a_graph_is_told_at_once(node: Any, a_graph: Any) -> None:
    bad = a_graph("wrong", colour="red")
    bad["nodes"]["out"]["component"] = "Outt"
    with pytest.raises(InvalidGraph) as caught:
        node.call("graphs.put", name="wrong", obj=bad)
    assert {p.path for p in caught.value.problems} == {"nodes.odd.params.colour", "nodes.out.component"}
    with pytest.raises(InvalidGraph, match="make them the same"):
        node.call("graphs.put", name="h", obj=a_graph("wrong"))
    with pytest.raises(InvalidGraph):
        node.call("graphs.put", name="h", obj=[])
    node.call("graphs.put", name="wrong", obj={**a_graph("wrong"), "routes": ["news"]})
    with pytest.raises(InvalidGraph, match="belongs to graph 'wrong'"):
        node.call("graphs.put", name="h", obj={**a_graph("h"), "routes": ["news"]})


def test_a_graph_is_of_a_size_that_can_be_checked(node: Any, a_graph: Any) -> None:
    unknown = {f"n{number}": {"component": "Outt"} for number in range(2000)}
    found = node.call("trials.validate", name="sized", obj={**a_graph("sized"), "nodes": unknown, "wires": []})
    assert (found["valid"], len(found["errors"])) == (False, 201)
    assert found["errors"][-1]["code"] == "graph.more_problems"
    with pytest.raises(InvalidGraph) as caught:
        node.call("graphs.put", name="sized", obj={**a_graph("sized"), "nodes": {**unknown, "more": {"component": "Out"}}})
    assert [(p.path, p.code) for p in caught.value.problems] == [("nodes", "graph.too_large")]


@pytest.mark.parametrize(
    ("do", "reason"), [("raise", "no such thing"), ("hang", "not done after 3 s"), ("die", "killed by SIGKILL")]
)
def test_a_graph_that_cannot_be_set_up_never_goes_live(
    request: pytest.FixtureRequest, start_node: Start, a_graph: Any, do: str, reason: str
) -> None:
    is_short = do == "hang"
    node = start_node("--instances", "1", PYPES_SERVER_SETUP_S="3") if is_short else request.getfixturevalue("node")
    node.ready()
    node.call("graphs.put", name=do, obj=a_graph(do))
    instances = node.instances()
    with pytest.raises(ComponentError, match=reason) as caught:
        node.call("graphs.put", name=do, obj=a_graph(do, do=do))
    assert caught.value.code == "graph.setup_failed"
    assert caught.value.where == f"{do}.odd"
    assert node.call("graphs.get", name=do)["version"] == 1
    assert node.instances() == instances
    assert len(node.call("status")["instances"]) == 1
    # the number of the version that failed is not used again
    assert node.call("graphs.put", name=do, obj=a_graph(do, file="fine"))["version"] == 3
    versions = node.listed("versions", name=do)
    assert [(v["version"], v["state"]) for v in versions] == [(3, "live"), (2, "failed"), (1, "retired")]
    assert reason in versions[1]["error"]


def test_secrets_are_neither_shown_nor_told(node: Any, a_graph: Any) -> None:
    secret = "hunter2-hunter2"
    shown = node.call("graphs.put", name="secret", obj=a_graph("secret", file="${SECRET}"))
    assert shown["graph"]["nodes"]["odd"]["params"] == {"file": "${SECRET}"}
    assert node.call("filters.get", id="secret.odd")["params"] == {"file": "${SECRET}"}
    with pytest.raises(ComponentError) as failed:
        node.call("graphs.put", name="secret", obj=a_graph("secret", do="raise", file="${SECRET}"))
    assert "no such thing as ${SECRET}" in str(failed.value)
    with pytest.raises(InvalidGraph) as invalid:
        node.call("graphs.put", name="secret", obj=a_graph("secret", file=["${SECRET}"]))
    assert secret not in str(invalid.value)
    with pytest.raises(InvalidGraph, match="NO_SUCH_VARIABLE"):
        node.call("graphs.put", name="secret", obj=a_graph("secret", file="${NO_SUCH_VARIABLE}"))
    assert secret not in str(node.events)


def test_a_broken_load_file_harms_nothing(start_node: Start, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import os\nos.abort()\n")
    node = start_node("--load", "broken.py")
    node.ready()
    assert "broken.py" in str(node.event("components cannot be used"))
    assert "In" in node.call("components.kinds", node="Adapters")


def tuned(name: str, mark: str, folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": name,
        "nodes": {
            "in": {"component": "In"},
            "tuned": {"component": "Tuned", "params": {"file": str(folder / f"{name}.setups"), "mark": mark}},
            "out": {"component": "Out", "params": {"file": str(folder / "out")}},
        },
        "wires": [["in.out", "tuned.in"], ["tuned.out", "out.in"]],
        **more,
    }


def marks(node: Any, url: str) -> set[str]:
    """Post some documents; returns what they were marked with."""
    (node.folder / "out").unlink(missing_ok=True)
    for n in range(8):
        request = urllib.request.Request(f"{url}/docs", b'{"n": %d}' % n, {"Content-Type": "application/json"})
        receipt = json.load(urllib.request.urlopen(request))["receipt"]
        with urllib.request.urlopen(f"{url}/receipts/{receipt}?wait=10") as answer:
            assert json.load(answer)["state"] == "done"
    return {line.partition("-")[2] for line in (node.folder / "out").read_text().split()}


def test_parameters_change_in_place_where_the_component_takes_them(node: Any) -> None:
    url = node.ready()
    node.call("graphs.put", name="tuned", obj=tuned("tuned", "a", node.folder))
    instances = node.instances()
    assert marks(node, url) == {"a"}
    assert node.call("graphs.put", name="tuned", obj=tuned("tuned", "b", node.folder))["version"] == 2
    assert marks(node, url) == {"b"}
    assert (
        node.call("graphs.put", name="tuned", obj=tuned("tuned", "b", node.folder, limits={"disk_bytes": "1MiB"}))["version"] == 3
    )
    assert node.instances() == instances
    assert (node.folder / "tuned.setups").read_text().count("set up") == len(instances)
    assert [v["state"] for v in node.listed("versions", name="tuned")] == ["live", "retired", "retired"]


def test_an_instance_started_later_has_the_changed_parameters(node: Any, wait_until: Until) -> None:
    url = node.ready()
    node.call("graphs.put", name="later", obj=tuned("later", "a", node.folder))
    node.call("graphs.put", name="later", obj=tuned("later", "b", node.folder))
    before = node.instances()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(found := node.instances()) == len(before) and not found.keys() & before.keys(), "replacements")
    assert marks(node, url) == {"b"}


def test_what_cannot_change_in_place_is_set_up_anew_or_not_at_all(node: Any) -> None:
    url = node.ready()
    node.call("graphs.put", name="anew", obj=tuned("anew", "a", node.folder))
    instances = node.instances()
    assert node.call("graphs.put", name="anew", obj=tuned("anew", "bad", node.folder))["version"] == 2
    assert not node.instances().keys() & instances.keys()
    assert marks(node, url) == {"bad"}
    with pytest.raises(ComponentError, match="cannot be marked like this"):
        node.call("graphs.put", name="anew", obj=tuned("anew", "worse", node.folder))
    assert marks(node, url) == {"bad"}
    assert node.call("graphs.get", name="anew")["version"] == 2
