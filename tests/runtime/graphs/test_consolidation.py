"""Consolidation: when generations become one again, and when they stay as they are."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypes.runtime.graphs.consolidation import OTHER_CODE, State

DUE = State(processes=5, instances=2, quiet_s=60, changed_at=100, tried_at=None, is_rolling=False)


@pytest.mark.parametrize(
    ("changes", "is_due"),
    [
        ({}, True),
        ({"processes": 4}, False),  # twice as many as there should be is not too many
        ({"quiet_s": 0}, False),  # never
        ({"changed_at": 101}, False),
        ({"is_rolling": True}, False),  # nothing is started beside what runs
        ({"tried_at": -440}, True),
        ({"tried_at": -439}, False),  # at most every ten times the quiet time
    ],
)
def test_it_is_due_when_too_many_processes_serve_and_nothing_was_deployed(changes: dict[str, Any], is_due: bool) -> None:
    assert replace(DUE, **changes).is_due(now=160) is is_due


WRITES = '''
import os
import time
from pathlib import Path
from typing import Annotated

from pypes import Help, Parameters, Publisher


class Writes(Publisher):
    """Writes the number of every document; while files with the name of its graph are there, its set-up fails, or waits."""

    class Params(Parameters):
        folder: Annotated[str, Help("Where to write.")]

    def setup(self):
        if Path(self.params.folder, self.graph_name + ".away").exists():
            raise ConnectionError("the index is away")
        if (wait := Path(self.params.folder, self.graph_name + ".wait")).exists():
            wait.with_suffix(".waits").touch()
            while wait.exists():
                time.sleep(0.01)

    def process(self, packet):
        with open(Path(self.params.folder, self.graph_name + ".out"), "a") as file:
            file.write(f"{packet.get('n')}\\n")
'''


def test_generations_become_one_when_nothing_is_deployed(
    start_node: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    (tmp_path / "writes.py").write_text(WRITES)
    nodes = {"in": {"component": "JSON"}, "out": {"component": "Writes", "params": {"folder": str(tmp_path)}}}
    node = start_node("--instances", "1", "--load", "writes.py", "--grace", "1", PYPES_SERVER_CONSOLIDATE_S="0.1")
    url = node.ready()

    def hosts() -> list[list[str]]:
        return sorted(instance["graphs"] for instance in node.call("status")["instances"] if instance["state"] == "ready")

    def posted(n: int) -> None:
        for name in "abc":
            body, head = json.dumps({"n": n}).encode(), {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{url}/docs/{name}", body, head), timeout=20).close()

    for name in "abc":
        obj = {"pypes": 1, "name": name, "routes": [name], "nodes": nodes, "wires": [["in.out", "out.in"]]}
        node.call("graphs.put", name=name, obj=obj)
        (tmp_path / "a.away").touch()
    posted(0)
    # a set-up that fails leaves everything as it was
    assert node.event("instances not consolidated")["reason"] == "set-up failed: ConnectionError: the index is away"
    assert hosts() == [["a"], ["b"], ["c"]]
    posted(1)
    # so does one during which the code of a component changes: it may have taken up either
    (tmp_path / "a.wait").touch()
    (tmp_path / "a.away").unlink()
    wait_until((tmp_path / "a.waits").exists, "the next set-up")
    (tmp_path / "writes.py").write_text(WRITES + "# changed\n")
    (tmp_path / "a.wait").unlink()
    node.event("instances not consolidated", reason=OTHER_CODE)
    # the instances that were set up in vain are ended after that was logged, and each try makes new ones
    wait_until(lambda: hosts() == [["a"], ["b"], ["c"]], "those that served before, alone")
    (tmp_path / "writes.py").write_text(WRITES)
    assert node.event("instances consolidated")["now"] == 1
    posted(2)
    wait_until(lambda: hosts() == [["a", "b", "c"]], "one instance with all graphs")
    posted(3)
    for name in "abc":
        out = tmp_path / f"{name}.out"
        wait_until(lambda out=out: out.exists() and len(out.read_text().split()) == 4, f"all documents of {name}")
        assert Counter(out.read_text().split()) == Counter(map(str, range(4)))
