"""The watched folder of graphs: what changes is deployed, what is wrong is reported, what REST deployed stays."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pypes.runtime.graphs.files import is_graph_file, stamps_of

Until = Callable[..., Any]


def write(node: Any, obj: Any) -> Path:
    path: Path = node.folder / "graphs" / f"{obj['name']}.json"
    path.write_text(json.dumps(obj))
    return path


def test_only_graphs_are_watched() -> None:
    assert is_graph_file(None, "graphs/search.json")
    assert not any(is_graph_file(None, f"graphs/{name}") for name in ("node.log", "search.json~", ".search.json.swp", "json"))


def test_files_are_deployed_as_they_change(node: Any, a_graph: Any, wait_until: Until) -> None:
    node.ready()
    (node.folder / "graphs" / "node.log").write_text("a line\n")
    path = write(node, a_graph("g", file="one"))
    wait_until(lambda: any(g["name"] == "g" for g in node.listed("graphs")), "the file is deployed")
    path.write_text(json.dumps(a_graph("g", file="two")))
    wait_until(lambda: node.call("graphs.get", name="g")["version"] == 2, "its change is deployed")
    assert node.call("graphs.get", name="g")["graph"]["nodes"]["odd"]["params"] == {"file": "two"}
    assert node.listed("versions", name="g")[0]["by"].endswith("g.json")
    assert not [event for event in node.events if "detected" in event["event"]]


def test_a_bad_file_changes_nothing_and_is_reported(node: Any, a_graph: Any, wait_until: Until) -> None:
    node.ready()
    write(node, a_graph("g"))
    wait_until(lambda: node.listed("graphs"), "the file is deployed")
    instances = node.instances()
    (node.folder / "graphs" / "g.json").write_text("{")
    assert "not JSON" in node.event("graph file not deployed")["reason"]
    write(node, a_graph("g", do="raise", file="x"))
    assert "no such thing as x" in node.event("graph file not deployed", 2)["reason"]
    assert node.call("graphs.get", name="g")["version"] == 1
    assert node.instances() == instances


def test_an_unchanged_file_does_not_undo_what_was_deployed_otherwise(node: Any, a_graph: Any, wait_until: Until) -> None:
    node.ready()
    write(node, a_graph("g", file="from the file"))
    wait_until(lambda: node.listed("graphs"), "the file is deployed")
    node.call("graphs.put", name="g", obj=a_graph("g", file="from elsewhere"))
    write(node, a_graph("h"))
    wait_until(lambda: len(node.listed("graphs")) == 2, "another file is deployed")
    assert node.call("graphs.get", name="g")["graph"]["nodes"]["odd"]["params"] == {"file": "from elsewhere"}


def test_components_installed_since_are_found(start_node: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("from pypes import Transformer\n")
    node = start_node("--instances", "1", "--load", "own.py")
    node.ready()
    assert node.call("components.rescan") == {"added": [], "removed": []}
    with path.open("a") as file:
        file.write('\n\nclass Later(Transformer):\n    """Came later."""\n')
    assert node.call("components.rescan") == {"added": ["Later"], "removed": []}
    assert node.call("components.get", name="Later")["doc"] == "Came later."


def test_what_has_changed_shows_in_the_stamps(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    assert stamps_of(folder) == {}
    folder.mkdir()
    (folder / "node.log").write_text("")
    assert stamps_of(folder) == {}
    (folder / "g.json").write_text("{}")
    before = stamps_of(folder)
    assert list(before) == ["g.json"]
    (folder / "g.json").write_text("{ }")
    assert stamps_of(folder) != before


def test_a_file_that_cannot_be_stored_changes_nothing_and_is_tried_again(node: Any, a_graph: Any, wait_until: Until) -> None:
    node.ready()
    write(node, a_graph("g"))
    wait_until(lambda: node.listed("graphs"), "the file is deployed")
    instances = node.instances()
    with closing(sqlite3.connect(node.folder / "data" / "control.db")) as db:
        db.execute("create trigger full before insert on files begin select raise(abort, 'no room'); end")
        write(node, a_graph("h"))
        assert "no room" in node.event("graph files cannot be deployed; trying again")["reason"]
        assert [graph["name"] for graph in node.listed("graphs")] == ["g"]
        assert (node.instances(), len(node.call("status")["instances"])) == (instances, 1)
        db.execute("drop trigger full")
        wait_until(lambda: len(node.listed("graphs")) == 2, "the file is deployed once there is room")
