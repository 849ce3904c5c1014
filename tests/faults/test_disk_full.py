"""A data directory on a disk that is really full, or really read-only: a small file system in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypes.testing.node import Node, running, until
from tests.faults.publications import publications
from tests.faults.test_crash import graph
from tests.needed import missing

DISK_BYTES = 24 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, mounted where the node keeps its data."""
    path = tmp_path / "data"
    path.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        missing("mounting a small file system takes root and mount(8): run the tests as root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], capture_output=True, text=True
    )
    if done.returncode != 0:
        missing(f"this machine lets not even root mount a file system: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class Ballast:
    """A file that takes all the room there is."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "ballast"

    def fill(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def drop(self) -> None:
        self.path.unlink()


def body(id: str, size: int = 50_000) -> bytes:
    return b'{"id": "%s", "title": "%s"}' % (id.encode(), b"x" * size)


def test_a_full_disk_pushes_back_and_recovers_without_a_restart(tmp_path: Path, disk: Path) -> None:
    target = tmp_path / "out.jsonl"
    ballast = Ballast(disk)
    acknowledged: dict[str, str] = {}

    def post(id: str, size: int = 50_000) -> int:
        answer = node.post(body(id, size))
        if answer.status == 202:
            acknowledged[id] = answer.json()["receipt"]
        else:
            problem = answer.json()
            assert (answer.status, problem["code"]) == (507, "store.full"), problem
            assert int(answer.headers["Retry-After"]) > 0
        return int(answer.status)

    with running(tmp_path, graph(target), workers=1, instances=2) as node:
        assert post("first") == 202
        for round in range(3):
            ballast.fill()
            # what SQLite's log has room for without growing is still taken
            until(lambda n=round: post(f"fill-{n}-{len(acknowledged)}") == 507, 30, "refused")
            assert post(f"large-{round}", 3 << 20) == 507
            for receipt in acknowledged.values():
                assert node.get(f"/receipts/{receipt}").status == 200
            until(lambda: acknowledged.keys() <= publications(target).keys(), 20, "published while the disk is full")
            assert node.get("/healthz").status == 200
            ballast.drop()
            until(lambda n=round: post(f"again-{n}") == 202, 20, "taken again")
            assert post(f"large-again-{round}", 3 << 20) == 202
        until(lambda: acknowledged.keys() <= publications(target).keys(), 20, "all published")
        until(lambda: not list(disk.glob("shards/*/spool/*")), 20, "no body of what was refused is left")
        assert set(publications(target).values()) == {1}
        assert node.stop() == 0


def test_a_node_that_is_stopped_and_started_on_a_full_disk_keeps_what_it_has(tmp_path: Path, disk: Path) -> None:
    target = tmp_path / "out.jsonl"
    ballast = Ballast(disk)
    with running(tmp_path, graph(target), workers=1, instances=1) as node:
        assert node.post(body("before")).status == 202
        until(lambda: "before" in publications(target), 20, "published")
        ballast.fill()
        assert node.stop() == 0
        # it may start or not, but says why, and is whole once there is room
        node.start()
        until(lambda: node.is_ready() or _has_ended(node) or "full" in node.log(), 30, "ready, or an error that says why")
        ballast.drop()
        if _has_ended(node):
            node.start()
        node.wait_ready()
        until(lambda: node.post(body("after")).status == 202, 20, "taken again")
        until(lambda: "after" in publications(target), 20, "published")
        assert node.stop() == 0


def _has_ended(node: Node) -> bool:
    return node.process is not None and node.process.poll() is not None


def test_a_read_only_data_directory_is_refused_at_the_start(tmp_path: Path, disk: Path) -> None:
    node = Node(tmp_path, graph(tmp_path / "out.jsonl"))
    try:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        node.start()
        assert node.process is not None
        assert node.process.wait(30) != 0
        assert "the data directory cannot be used" in node.log()
        assert "Read-only file system" in node.log()
        assert "Traceback" not in node.log()
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        node.start()
        node.wait_ready()
        assert node.stop() == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        node.start()
        assert node.process.wait(30) != 0
        assert "Traceback" not in node.log()
    finally:
        node.close()
