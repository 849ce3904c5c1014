"""pypes status, against a node that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from pypes.cli.commands import pypes
from tests.cli.looked_at import Looked, looked_at


@pytest.fixture
def node() -> Iterator[Looked]:
    with looked_at() as made:
        yield made


def test_a_node_is_shown_as_tables(node: Looked) -> None:
    node.status["graphs"].append({"name": "broken", "state": "failed"})
    node.status["concerns"] = [{"kind": "failed", "graph": "broken", "filter": "", "text": "Graph broken: no \x1b[31mmodel"}]
    result = CliRunner().invoke(pypes, ["status", "--url", node.url])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:3] == [
        "Pypes ready · node 7 · version 1.0 · up 1 h 1 min · 1 ingest worker · 1 instance",
        "6 deliveries wait (4.0 KiB), the oldest for 1 min 5 s · 2 dead letters",
        "! Graph broken: no  [31mmodel",
    ]
    [heading, shop, broken] = lines[lines.index("Graphs") + 1 :][:3]
    assert heading.split()[:3] == ["Graph", "State", "In/s"]
    assert shop.split()[:2] == ["shop", "live"]
    assert broken.split()[:2] == ["broken", "failed"]
    assert "shop   judge   rejected             7  2026-11-20 10:00:00 UTC" in lines
    assert lines[-1].split() == ["1", "ready", "2", "9", "5.0", "MiB", "-", "shop"]


def test_as_json_it_is_what_the_node_says(node: Looked) -> None:
    result = CliRunner().invoke(pypes, ["status", "--url", node.url, "--json"])
    assert json.loads(result.output) == node.status
