"""The end of a run: a table of its filters, and the same as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running.graphs import run, write

DATA = b"".join(b'{"n": %d}\n' % n for n in range(10))


@pytest.mark.parametrize("instances", ["1", "2"])
def test_a_table_tells_what_each_filter_did(tmp_path: Path, instances: str) -> None:
    graph = write(tmp_path, "Odd")
    out, said = run(tmp_path, "--load", "components.py", "--instances", instances, graph, data=DATA, expect=1)
    assert [line["n"] for line in out] == [1, 3, 5, 9]
    first, head, *rows, failed = said.splitlines()
    assert first.endswith(": 4 published, 5 dropped, 1 failed")
    assert head.split() == ["filter", "in", "out", "dropped", "failed", "seconds", "waiting"]
    assert [row.split()[:5] for row in rows] == [
        ["json", "10", "10", "0", "0"],
        ["tried", "10", "4", "5", "1"],
        ["lines", "4", "4", "0", "0"],
    ]
    assert failed == "failed: -: tried: ValueError: seven [component.raised]"


@pytest.mark.parametrize("instances", ["1", "2"])
def test_the_summary_as_json_is_the_last_line_of_standard_output(tmp_path: Path, instances: str) -> None:
    graph = write(tmp_path, "Odd")
    (tmp_path / "in.ndjson").write_bytes(DATA)
    arguments = ("--load", "components.py", "--instances", instances, "--json", graph, "in.ndjson")
    (*_, found), said = run(tmp_path, *arguments, expect=1)
    assert said == ""
    filters = found.pop("filters")
    assert found.pop("seconds") > 0
    assert found == {
        "graph": "tried",
        "interrupted": False,
        "documents": 10,
        "published": 4,
        "dropped": 5,
        "failed": 1,
        "failures": [{"place": "in.ndjson", "filter": "tried", "code": "component.raised", "error": "ValueError: seven"}],
    }
    assert list(filters) == ["json", "tried", "lines"]
    assert {**filters["tried"], "seconds": 0} == {
        **{"in": 10, "out": 4, "dropped": 5, "failed": 1, "seconds": 0, "waiting_s": 0.0, "counts": {}}
    }


def test_calls_beside_the_graph_are_waiting_time(tmp_path: Path) -> None:
    graph = write(tmp_path, "Calls")
    (*_, found), _ = run(tmp_path, "--load", "components.py", "--json", graph, data=b'{"n": 1}\n' * 3)
    assert found["filters"]["tried"]["waiting_s"] >= 0.03
    assert found["filters"]["json"]["waiting_s"] == 0


@pytest.mark.parametrize("pool", ["processes:2", "threads:2"])
def test_time_in_pool_workers_counts(tmp_path: Path, pool: str) -> None:
    graph = write(tmp_path, "Throttled")
    (tmp_path / "components.py").write_text(
        "import time\nfrom pypes import Transformer\n\n\nclass Throttled(Transformer):\n    def process(self, packet):\n"
        "        time.sleep(0.05)\n        return packet\n"
    )
    arguments = ("--load", "components.py", "--pool", f"tried={pool}", "--json", graph)
    (*_, found), _ = run(tmp_path, *arguments, data=b'{"n": 1}\n' * 4)
    assert found["filters"]["tried"]["seconds"] >= 0.2
