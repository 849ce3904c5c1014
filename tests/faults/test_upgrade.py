"""A node on a store of an earlier format: upgraded at its start, and the way back by a backup from before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pypes.testing.node import Node, running, until
from tests.faults.publications import publications
from tests.faults.test_backup import command, receipt, run, state
from tests.faults.test_crash import graph
from tests.ingest.store import format_2


def form(store: Path) -> int:
    with closing(sqlite3.connect(store)) as db:
        return int(db.execute("pragma user_version").fetchone()[0])


def drains(node: Node, waiting: str) -> None:
    """What waits in a paused graph is run when it is resumed."""
    assert state(node, waiting) == "queued"
    assert node.http.request("POST", f"{node.url}/graphs/crash/resume").status < 300
    until(lambda: state(node, waiting) == "done", 20, "run")


def test_a_store_is_upgraded_with_what_waits_and_the_backup_leads_back(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with running(tmp_path, graph(out), workers=1, instances=1) as node:
        done = receipt(node.post(b'{"id": "done"}'))
        until(lambda: state(node, done) == "done", 20, "published")
        assert node.http.request("POST", f"{node.url}/graphs/crash/pause").status < 300
        waiting = receipt(node.post(b'{"id": "waiting"}'))
        assert node.stop() == 0
        store = tmp_path / "data" / "shards" / "000" / "queue.db"
        present = form(store)
        format_2.turn_back(store)
        assert run(command("pypes backup data "), tmp_path).returncode == 0
        assert form(tmp_path / "backups" / "monday" / "data" / "shards" / "000" / "queue.db") == 2

        node.start()
        node.wait_ready()
        assert form(store) == present
        assert state(node, done) == "done"
        drains(node, waiting)
        assert node.stop() == 0

        # as an earlier release meets a later format
        with closing(sqlite3.connect(store)) as db:
            db.execute(f"pragma user_version = {present + 1}")
        node.start()
        until(lambda: "reads up to" in node.log(), 30, "refused")
        assert "ingest worker cannot start" in node.log()
        assert not node.is_ready()
        node.close()
        assert form(store) == present + 1

        assert run(command("pypes restore backups/monday data-restored"), tmp_path).returncode == 0
        node.command = [str(tmp_path / "data-restored") if part == str(tmp_path / "data") else part for part in node.command]
        node.start()
        node.wait_ready()
        assert state(node, done) == "done"
        drains(node, waiting)
        assert publications(out) == {"done": 1, "waiting": 2}
        assert node.stop() == 0
