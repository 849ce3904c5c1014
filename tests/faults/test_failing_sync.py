"""A disk whose syncs fail, under a real node: it stops acknowledging and says so, and takes up again by itself."""

from __future__ import annotations

from pathlib import Path

from pypes.testing.node import Node, running, until
from tests.faults.publications import publications
from tests.faults.test_crash import graph
from tests.tracing import traced


def status_of(node: Node, id: str) -> int:
    answer = node.post(b'{"id": "%s"}' % id.encode())
    if answer.status != 202:
        problem = answer.json()
        assert problem["code"].startswith("store."), problem
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
    return int(answer.status)


def fail(tmp_path: Path, inject: str, status: int) -> None:
    target = tmp_path / "out.jsonl"
    acknowledged: set[str] = set()
    posted: set[str] = set()

    def post(id: str) -> int:
        posted.add(id)
        found = status_of(node, id)
        if found == 202:
            acknowledged.add(id)
        return found

    with running(tmp_path, graph(target), workers=1, instances=1) as node:
        (worker,) = node.roles()["worker"]
        assert [post(f"before-{n}") for n in range(10)] == [202] * 10
        log = str(tmp_path / "trace")
        with traced(worker.pid, "-o", log, "-e", f"trace={inject.split(':')[0]}", "-e", f"inject={inject}"):
            assert {post(f"during-{n}") for n in range(10)} == {status}
            ready = node.get("/readyz")
            assert (ready.status, ready.json()["status"]) == (503, "failing")
            big = node.post(b"x" * (2 << 20), content_type="text/plain")
            assert big.status == status, big.data
            assert node.get("/healthz").status == 200
            assert "the store of the queue failed" in node.log()
        until(lambda: post(f"probe-{len(posted)}") == 202, 20, "acknowledged again")
        assert [post(f"after-{n}") for n in range(10)] == [202] * 10
        node.wait_ready()
        assert "store works again" in node.log()
        until(lambda: acknowledged <= publications(target).keys(), 20, "all that was acknowledged is published")
        assert publications(target).keys() <= posted
        assert node.stop() == 0


def test_while_syncs_fail_nothing_is_acknowledged(tmp_path: Path) -> None:
    fail(tmp_path, "fdatasync,fsync:error=EIO", 503)


def test_a_disk_that_turns_read_only_is_told_apart_from_a_full_one(tmp_path: Path) -> None:
    fail(tmp_path, "pwrite64:error=EROFS", 503)


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    fail(tmp_path, "pwrite64:error=ENOSPC", 507)
