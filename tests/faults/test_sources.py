"""kill -9 while a source is fetched from: nothing is enqueued twice, nothing skipped, and it goes on by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes.runtime.graphs.store import ControlStore
from pypes.testing.node import Node, running, until
from tests.published import receipts

ALL = 120

COMPONENTS = f"""
import threading

from pypes import Packet, Source


class Numbers(Source):
    '''Fetches numbers, two at a time, not too fast.'''

    def fetch(self, cursor):
        for at in range(cursor or 0, {ALL}, 2):
            threading.Event().wait(0.02)
            yield [Packet({{"id": at}}), Packet({{"id": at + 1}})], at + 2
"""


def graph(path: Path) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "numbers",
        "nodes": {
            "source": {"component": "Numbers", "params": {}},
            "out": {"component": "JSONLines", "params": {"path": str(path), "form": "packet"}},
        },
        "wires": [["source.out", "out.in"]],
    }


def triggered(node: Node) -> bool:
    """Trigger the graph; False while it runs, or its worker is being started."""
    try:
        return node.http.request("POST", f"{node.url}/graphs/numbers/trigger").status == 202
    except urllib3.exceptions.HTTPError:
        return False


def kill(node: Node, victim: str) -> None:
    if victim == "supervisor":
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
        node.start()
        node.wait_ready()
    else:
        for process in node.roles()[victim]:
            process.kill()


@pytest.mark.parametrize("victim", ["worker", "instance", "supervisor"])
def test_a_run_goes_on_whoever_is_killed(tmp_path: Path, victim: str) -> None:
    out = tmp_path / "out.jsonl"
    (tmp_path / "counting.py").write_text(COMPONENTS)
    with running(tmp_path, graph(out), "--load", str(tmp_path / "counting.py")) as node:
        until(lambda: triggered(node), 30, "triggered")
        for progress in (10, 50):
            until(lambda least=progress: len(receipts("id", out)) >= least, 20, f"{progress} published")
            kill(node, victim)
        until(lambda: len(receipts("id", out)) >= ALL, 60, "all published")
        # the run is over when another may begin; that one finds nothing
        for _ in range(2):
            until(lambda: triggered(node), 20, "the run over")
        found = receipts("id", out)
        assert sorted(found) == list(range(ALL))
        assert not {number: under for number, under in found.items() if len(under) > 1}


def test_a_time_that_was_missed_is_made_up_for_once(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    (tmp_path / "counting.py").write_text(COMPONENTS.replace(str(ALL), "2"))
    yearly = {**graph(out), "schedule": "0 0 1 1 *"}
    with running(tmp_path, yearly, "--load", str(tmp_path / "counting.py"), workers=1, instances=1) as node:
        assert node.stop() == 0
        assert receipts("id", out) == {}
        store = ControlStore(tmp_path / "data" / "control.db")
        schedule, first = until(lambda: store.fired("numbers"), 1, "the schedule known")
        store.set_fired("numbers", schedule, first - 400 * 86400)
        store.close()
        for _ in range(2):
            node.start()
            node.wait_ready()
            until(lambda: sorted(receipts("id", out)) == [0, 1], 20, "published")
            assert node.stop() == 0
        assert node.log_path.read_text().count("sources triggered") == 1
