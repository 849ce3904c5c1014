"""kill -9 of what others hang on: nothing is left behind, and all of it is replaced. (``chaos`` kills at random, under load.)"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from pypes.testing.node import running, until


def graph(path: Path) -> dict[str, Any]:
    return {
        "pypes": 1,
        "name": "crash",
        "nodes": {
            "json": {"component": "JSON", "params": {}},
            "set": {"component": "SetField", "params": {"field": "seen", "value": "yes"}},
            "out": {"component": "JSONLines", "params": {"path": str(path)}},
        },
        "wires": [["json.out", "set.in"], ["set.out", "out.in"]],
    }


def published(path: Path) -> set[str]:
    """Ids of what was published; the last line may still be on its way."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return {json.loads(line)["id"] for line in lines if line.endswith(b"\n")}


def is_free(port: int) -> bool:
    """True if a server can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_a_killed_supervisor_leaves_no_orphan_and_the_port_free(tmp_path: Path) -> None:
    with running(tmp_path, graph(tmp_path / "out.jsonl")) as node:
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
        # what another test connects to may have the number meanwhile, but not for long; an orphan would keep it
        until(lambda: is_free(node.port), 60, "the port free")
        node.start()
        node.wait_ready()
        assert node.log_path.read_text().count("the node was killed, or its machine") == 1
        assert node.stop() == 0
        node.start()
        node.wait_ready()
        assert node.log_path.read_text().count("the node was killed, or its machine") == 1, "after an orderly end nothing is said"


def test_a_stopped_worker_keeps_nobody_from_looking_at_the_node(tmp_path: Path) -> None:
    with running(tmp_path, graph(tmp_path / "out.jsonl"), workers=2, instances=1) as node:
        stopped = node.roles()["worker"][0]
        stopped.suspend()
        node.http.clear()  # connections that the stopped one has taken
        shown = node.get("/metrics").data.decode()
        assert 'pypes_shards{state="missing"} 1' in shown
        assert "pypes_queue_documents" not in shown
        (without,) = [shard for shard in node.get("/status").json()["shards"] if shard["queue"] is None]
        assert "does not answer" in without["reason"]
        stopped.resume()
        until(lambda: 'pypes_shards{state="ready"} 2' in node.get("/metrics").data.decode(), 20, "both shown again")


def test_a_killed_arbiter_is_replaced_and_its_workers_with_it(tmp_path: Path) -> None:
    with running(tmp_path, graph(tmp_path / "out.jsonl")) as node:
        before = node.roles()
        before["arbiter"][0].kill()
        until(lambda: not any(w.is_running() for w in before["worker"]), 10, "orphaned workers gone")
        until(lambda: node.roles()["arbiter"] and node.is_ready(), 15, "a new arbiter")
        assert node.post(b'{"id": "after"}').status == 202
        until(lambda: "after" in published(tmp_path / "out.jsonl"), 10, "published")
