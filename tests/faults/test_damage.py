"""A store that went bad while nobody looked: what is lost is named, what is intact is served."""

from __future__ import annotations

from pathlib import Path

from pypes.testing.node import Node, running, until
from tests.faults.publications import publications
from tests.faults.test_restart import SLOW, slow_graph

DOCUMENTS = 60


def body(n: int) -> bytes:
    return b'{"id": "d-%d", "title": "%s"}' % (n, b"marked-%04d " % n * 300)


def flip(file: Path, marker: bytes) -> int:
    """Change a byte in the middle of what is marked, wherever it stands in the file; returns how often it stood there."""
    data = bytearray(file.read_bytes())
    found, at = 0, data.find(marker)
    while at >= 0:
        data[at + len(marker) // 2] ^= 0xFF
        found, at = found + 1, data.find(marker, at + 1)
    file.write_bytes(data)
    return found


def fill(node: Node) -> list[str]:
    """Post more than is run soon; returns the receipts."""
    receipts = []
    for n in range(DOCUMENTS):
        answer = node.post(body(n))
        assert answer.status == 202
        receipts.append(answer.json()["receipt"])
    return receipts


def test_a_damaged_row_costs_its_delivery_and_is_named(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    (tmp_path / "slow.py").write_text(SLOW)
    flags = ("--load", str(tmp_path / "slow.py"), "--grace", "0.5")
    with running(tmp_path, slow_graph(target), *flags, workers=1, instances=1) as node:
        receipts = fill(node)
        assert node.stop() == 0
        victim = DOCUMENTS - 2
        assert f"d-{victim}" not in publications(target)
        (store,) = node.base.glob("data/shards/000/queue.db")
        assert flip(store, b"marked-%04d" % victim) > 0
        node.start()
        node.wait_ready()
        others = {f"d-{n}" for n in range(DOCUMENTS) if n != victim}
        until(lambda: others <= publications(target).keys(), 30, "all that is intact is published")
        until(lambda: node.get(f"/receipts/{receipts[victim]}").json()["state"] == "failed", 10, "failed")
        assert receipts[victim] in node.log_path.read_text(), "named in the log"
        (letter,) = node.get("/deadletters").json()["deadletters"]
        assert (letter["receipt"], letter["code"]) == (receipts[victim], "store.damaged")
        assert f"d-{victim}" not in publications(target)
        assert node.post(body(1000)).status == 202
        assert node.stop() == 0


def test_a_damaged_tail_of_the_log_is_told(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    (tmp_path / "slow.py").write_text(SLOW)
    with running(tmp_path, slow_graph(target), "--load", str(tmp_path / "slow.py"), workers=1, instances=1) as node:
        receipts = fill(node)
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
        victim = DOCUMENTS - 1
        (log,) = node.base.glob("data/shards/000/queue.db-wal")
        assert flip(log, b"marked-%04d" % victim) > 0
        node.start()
        node.wait_ready()
        assert "ends in frames that cannot be read" in node.log_path.read_text()
        intact = {f"d-{n}" for n in range(DOCUMENTS) if node.get(f"/receipts/{receipts[n]}").status == 200}
        assert len(intact) > DOCUMENTS // 2
        until(lambda: intact <= publications(target).keys(), 30, "all that is intact is published")
        assert node.post(body(1000)).status == 202
        assert node.stop() == 0
