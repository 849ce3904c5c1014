"""pypes run: the real command in its own process, over real files."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pypes.cli.run import standard_input
from pypes.errors import InvalidInput
from tests.cli.running.graphs import GRAPH, run

ROOT = Path(__file__).parent.parent.parent
BREAKS = '''
from pypes import Reject, Transformer


class Breaks(Transformer):
    """Fails as its documents ask for."""

    def process(self, packet):
        match packet.get("break"):
            case "raise":
                raise ValueError("broken")
            case "stuck":  # as no component could, but a bug of the scheduler
                core = self._run_context.core
                core.ready.block(self._run_context)
                core.park(self._run_context)
            case "exit":
                import os
                os._exit(3)
        return packet
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "lines.json").write_text(json.dumps(GRAPH))
    return tmp_path


def test_standard_input(place: Path) -> None:
    out, said = run(place, "lines.json", data=b'{"a": 1}\n{"a": [1, 2]}\n{"drop": 1}')
    assert out == [{"a": 1}, {"a": [1, 2]}]
    assert "3 documents" in said
    assert "2 published, 1 dropped, 0 failed" in said
    out, _ = run(place, "--type", "text/csv", "lines.json", "-", data=b"a,b\n1,2\n")
    assert out == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("instances", ["1", "2"])
def test_it_ends_with_what_filters_have_counted(place: Path, instances: str) -> None:
    (place / "counts.py").write_text(
        "from pypes import Transformer\n\n\nclass Counts(Transformer):\n    def process(self, packet):\n"
        "        self.count('seen')\n        self.count('ten', 10)\n        return packet\n"
    )
    nodes = {**GRAPH["nodes"], "drop": {"component": "Counts"}}
    (place / "counts.json").write_text(json.dumps({**GRAPH, "nodes": nodes}))
    (place / "many.ndjson").write_bytes(b'{"a": 1}\n' * 1000)
    _, said = run(place, "--instances", instances, "--load", "counts.py", "counts.json", "many.ndjson")
    assert said.endswith("\ndrop: 1000 seen, 10000 ten\n")


def test_files_and_directories_of_every_kind(place: Path) -> None:
    docs = place / "docs"
    docs.mkdir()
    (docs / "a.json").write_text('[{"a": 1}, {"a": 2}]')
    (docs / "b.csv").write_text("a\n3\n4\n")
    (docs / "c.ndjson.gz").write_bytes(gzip.compress(b'{"a": 5}\n{"a": 6}\n'))
    (docs / "d.txt").write_text("seven")
    out, _ = run(place, "lines.json", "docs")
    assert sorted(str(document.get("a", document.get("text"))) for document in out) == ["1", "2", "3", "4", "5", "6", "seven"]


@pytest.mark.parametrize("instances", ["1", "2"])
def test_a_large_file_is_worked_on_by_all_instances(place: Path, instances: str) -> None:
    count = 60_000
    (place / "large.ndjson").write_bytes(b"".join(b'{"n": %d, "pad": "%s"}\n' % (n, b"x" * 40) for n in range(count)))
    (place / "large.csv").write_bytes(b"n,pad\n" + b"".join(b"%d,%s\n" % (n, b"x" * 40) for n in range(count)))
    out, _ = run(place, "--instances", instances, "lines.json", "large.ndjson", "large.csv")
    assert sorted(int(document["n"]) for document in out) == sorted([*range(count), *range(count)])


def test_what_fails_is_named_and_the_rest_is_published(place: Path) -> None:
    (place / "bad.json").write_text('{"a": ')
    (place / "good.json").write_text('{"a": 1}')
    (place / "blob.bin").write_bytes(b"\0\1")
    out, said = run(place, "lines.json", "bad.json", "good.json", "blob.bin", expect=1)
    assert out == [{"a": 1}]
    assert "2 failed" in said
    for expected in ("bad.json", "line 1", "blob.bin", "graph.no_adapter"):
        assert expected in said


def test_a_component_that_raises_fails_only_its_document(place: Path) -> None:
    graph = broken_graph(place)
    out, said = run(place, "--load", "breaks.py", graph, data=b'{"a": 1}\n{"break": "raise"}\n{"a": 2}\n', expect=1)
    assert out == [{"a": 1}, {"a": 2}]
    assert "breaks: ValueError: broken" in said


def test_what_stands_still_fails_and_the_command_ends(place: Path) -> None:
    graph = broken_graph(place)
    _, said = run(place, "--load", "breaks.py", graph, data=b'{"a": 1}\n{"break": "stuck"}\n', expect=1)
    assert "[internal]" in said
    assert "graph stands still" in said


@pytest.mark.parametrize("instances", ["1", "2"])
def test_what_an_isolated_component_does_to_its_process_fails_only_its_document(place: Path, instances: str) -> None:
    graph = broken_graph(place)
    (place / "breaks.py").write_text(BREAKS.replace("    def process", "    isolated = True\n\n    def process"))
    data = b'{"a": 1}\n{"break": "exit"}\n{"a": 2}\n'
    out, said = run(place, "--load", "breaks.py", "--instances", instances, graph, data=data, expect=1)
    assert out == [{"a": 1}, {"a": 2}]
    assert "breaks: exited with status 3 in filter breaks [isolated.killed]" in said


def test_an_instance_that_dies_is_told(place: Path) -> None:
    graph = broken_graph(place)
    _, said = run(place, "--load", "breaks.py", "--instances", "2", graph, data=b'{"break": "exit"}\n', expect=1)
    assert "exit code 3" in said
    assert "run.instance_died" in said


def test_a_set_up_that_fails_is_told_in_a_sentence_by_whichever_process(place: Path) -> None:
    graph = broken_graph(place)
    (place / "breaks.py").write_text(BREAKS + "\n    def setup(self):\n        raise ValueError('no model')\n")
    _, said = run(place, "--load", "breaks.py", "--instances", "2", graph, data=b'{"a": 1}\n', expect=1)
    assert said == "Error: breaks: set-up failed: ValueError: no model [graph.setup_failed]\n"


def test_a_reader_that_leaves_ends_the_command(place: Path) -> None:
    command = [sys.executable, "-P", "-m", "pypes", "run", "lines.json"]
    with subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(b'{"n": 1}\n', timeout=60)
    assert process.returncode == 1
    assert b"nobody reads standard output any more [lines.closed]" in said
    assert b"Traceback" not in said


def test_a_closed_input_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python finds it if descriptor 0 is closed
    with pytest.raises(InvalidInput, match="standard input is closed; give FILES"):
        standard_input()


def broken_graph(place: Path) -> str:
    graph = {
        "pypes": 1,
        "name": "broken",
        "nodes": {
            "json": {"component": "JSON"},
            "breaks": {"component": "Breaks"},
            "lines": {"component": "JSONLines", "params": {"path": "-"}},
        },
        "wires": [["json.out", "breaks.in"], ["breaks.out", "lines.in"]],
    }
    (place / "breaks.py").write_text(BREAKS)
    (place / "broken.json").write_text(json.dumps(graph))
    return "broken.json"


def test_a_graph_with_problems_is_not_run(place: Path) -> None:
    (place / "bad.json").write_text('{"pypes": 1, "name": "bad", "nodes": {"a": {"component": "Nope"}}, "wires": []}')
    _, said = run(place, "bad.json", expect=1)
    assert "nodes.a" in said


def test_a_second_run_replaces_the_first(place: Path) -> None:
    (place / "docs.ndjson").write_text('{"text": "needle"}\n{"text": "haystack"}\n')
    graph = str(ROOT / "graphs" / "search.json")
    for _ in range(2):
        run(place, graph, "docs.ndjson")
    found = subprocess.run(
        [sys.executable, "-m", "pypes_search.command", "search.db", "needle", "--json"],
        cwd=place,
        capture_output=True,
        check=True,
    )
    assert len(found.stdout.splitlines()) == 1
