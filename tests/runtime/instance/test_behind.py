"""Components that are told of concluded documents know what lies behind them, and when that has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pypes.component import Component, Filter
from pypes.core.identity import Completed
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.spec import ComponentSpec
from pypes.runtime.instance.behind import Behind


class Remembers(Filter):
    def conclude(self, documents: list[Completed]) -> None: ...


def digests(file: Path, *changes: dict[str, Any]) -> list[str]:
    """The digest of a filter with another one behind it, whose code is in a file; and that after each change of parameters."""
    nodes = {name: GraphNode(name, name.title()) for name in ("first", "second")}
    graph = Graph("g", nodes, (Wire("first", "out", "second", "in"),))
    specs = {name: ComponentSpec(name=name, module=str(file), attr=name).to_obj() for name in ("First", "Second")}
    components: dict[str, Component] = {"first": Remembers(), "second": Filter()}
    behind = Behind(graph, specs, components)
    found = [components["first"].behind]
    for change in changes:
        behind.change(change)
        found.append(components["first"].behind)
    assert components["second"].behind == ""
    return found


def test_it_changes_with_parameters_and_back(tmp_path: Path) -> None:
    file = tmp_path / "components.py"
    file.write_text("# 1")
    before, changed, back = digests(file, {"second": {"n": 1}}, {"second": {}})
    assert before == back
    assert before != changed


def test_it_changes_with_the_code(tmp_path: Path) -> None:
    file = tmp_path / "components.py"
    file.write_text("# 1")
    before = digests(file)
    assert digests(file) == before
    file.write_text("# 2")
    assert digests(file) != before
