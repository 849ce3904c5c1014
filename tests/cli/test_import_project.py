"""``pypes import-project``: from the original's file to a graph that can be linted."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.graph.codec import loads

PROJECT = {
    "containers": [
        {"filterName": "JSON", "type": "Adapters", "cid": "1", "params": {}, "name": "JSON", "config": {"position": [1, 2]}},
        {"filterName": "Solr", "type": "Publishers", "cid": "2", "params": {}, "name": "Solr"},
    ],
    "wires": [{"src": {"moduleId": 0, "termid": "out"}, "tgt": {"moduleId": 1, "termid": "in"}}],
}


def test_a_graph_is_written_and_what_is_missing_reported(tmp_path: Path) -> None:
    source = tmp_path / "old project.txt"
    source.write_text(json.dumps(PROJECT))
    done = CliRunner().invoke(pypes, ["import-project", str(source)])
    assert done.exit_code == 0
    graph = loads(done.stdout)
    assert (graph.name, list(graph.nodes)) == ("old-project", ["json", "solr"])
    assert "'Solr' is not installed here" in done.stderr
    target = tmp_path / "new.json"
    done = CliRunner().invoke(pypes, ["import-project", str(source), "--name", "news", "--output", str(target)])
    assert "2 filters, 1 wire" in done.stderr
    assert loads(target.read_bytes()).name == "news"
