"""A node is backed up under load, killed, and restored elsewhere: all that was acknowledged before the backup is there.

The commands are those of docs/operations.md.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from pypes.cli.commands import pypes
from pypes.runtime.graphs.store import ControlStore
from pypes.testing.node import Node, running, serving, until
from tests.faults.test_disk_full import DISK_BYTES, disk
from tests.faults.test_sources import triggered
from tests.published import receipts as fetched
from tests.snippets import blocks_of, commands_of

__all__ = ["disk"]

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
NUMBERS = 400

COMPONENTS = f"""
import threading

from pypes import Packet, Reject, Source, Transformer


class Numbers(Source):
    '''Fetches numbers, two at a time, not too fast.'''

    def fetch(self, cursor):
        for at in range(cursor or 0, {NUMBERS}, 2):
            threading.Event().wait(0.02)
            yield [Packet({{"id": at}}), Packet({{"id": at + 1}})], at + 2


class Picky(Transformer):
    '''Takes its time, and refuses what is marked as bad.'''

    def process(self, packet):
        threading.Event().wait(0.005)
        if packet.get("bad"):
            raise Reject("it is bad")
        return packet
"""

JSON = {"component": "JSON"}


def lines(path: str) -> dict[str, Any]:
    return {"component": "JSONLines", "params": {"path": path, "form": "packet"}}


def graph(name: str, nodes: dict[str, Any], *wires: str, **more: Any) -> dict[str, Any]:
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": [wire.split(" ") for wire in wires], **more}


LIVE = graph(
    "live",
    {"json": JSON, "picky": {"component": "Picky"}, "index": {"component": "SQLiteSearch"}, "lines": lines("live.jsonl")},
    *("json.out picky.in", "picky.out index.in", "picky.out lines.in"),
)
HELD = graph("held", {"json": JSON, "lines": lines("held.jsonl")}, "json.out lines.in", routes=["held"])
BOX = {"component": "Outbox", "params": {"name": "box"}}
RESULTS = graph("results", {"json": JSON, "box": BOX}, "json.out box.in", routes=["results"])
FETCHED = graph(
    "numbers", {"source": {"component": "Numbers"}, "lines": lines("numbers.jsonl")}, "source.out lines.in", schedule="0 0 1 1 *"
)


def command(start: str) -> str:
    """The command of the guide that begins so."""
    shown = [each for block in blocks_of(GUIDE.read_text()) if block.language == "console" for each, _ in commands_of(block.text)]
    return next(each for each in shown if each.startswith(start))


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )


def receipt(answer: Any) -> str:
    assert answer.status == 202, answer.data
    return str(answer.json()["receipt"])


def state(node: Node, id: str) -> str:
    answer = node.get(f"/receipts/{id}")
    return str(answer.json()["state"]) if answer.status == 200 else str(answer.json()["code"])


def documents(path: Path) -> set[str]:
    return {json.loads(line)["fields"]["id"] for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")}


class Load(threading.Thread):
    """Posts documents one after the other, and remembers the receipt of each."""

    def __init__(self, node: Node) -> None:
        super().__init__(daemon=True)
        self.node = node
        self.posted: dict[str, str] = {}
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            id = f"d{len(self.posted)}"
            self.posted[id] = receipt(self.node.post(json.dumps({"id": id, "title": f"word{id}"}).encode()))


@contextmanager
def load(node: Node) -> Iterator[Load]:
    thread = Load(node)
    thread.start()
    try:
        yield thread
    finally:
        thread.is_over.set()
        thread.join()


def restored(node: Node, data: str) -> Node:
    """A node like another one, on a restored data directory."""
    again = Node(node.base, LIVE, *node.command[node.command.index("--load") :], workers=2, instances=2)  # type: ignore[arg-type]
    again.command = [str(node.base / data) if part == str(node.base / "data") else part for part in again.command]
    return again


def test_what_was_acknowledged_before_a_backup_is_there_after_a_restore(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(COMPONENTS)
    with running(tmp_path, LIVE, "--load", str(tmp_path / "parts.py")) as node:
        for each in (HELD, RESULTS, FETCHED):
            answer = node.http.request("PUT", f"{node.url}/graphs/{each['name']}", json=each)
            assert answer.status < 300, answer.data
        assert node.http.request("POST", f"{node.url}/graphs/held/pause").status < 300
        small = receipt(node.post(b'{"id": "small"}', "/docs/held"))
        large = receipt(node.post(b'{"id": "large", "text": "%s"}' % (b"x" * (2 << 20)), "/docs/held"))
        bad = receipt(node.post(b'{"id": "bad", "bad": true}'))
        until(lambda: state(node, bad) == "failed", 20, "refused")
        results = [receipt(node.post(b'{"id": "r%d"}' % n, "/docs/results")) for n in range(4)]
        until(lambda: all(state(node, each) == "done" for each in results), 20, "results wait")
        given = node.get("/outbox/box?limit=2").json()
        assert node.http.request("DELETE", f"{node.url}/outbox/box/{given['cursor']}").status < 300
        until(lambda: triggered(node), 30, "triggered")
        until(lambda: len(fetched("id", tmp_path / "data" / "numbers.jsonl")) > 10, 30, "a source at work")
        with load(node) as under:
            until(lambda: len(under.posted) > 100, 30, "under load")
            before = dict(under.posted)
            copied = run(command("pypes backup data "), tmp_path)
            assert copied.returncode == 0, copied.stderr
            until(lambda: len(under.posted) > len(before) + 20, 30, "documents after the backup")
        lost = list(under.posted.values())[-1]
        versions = node.get("/graphs/live/versions").json()
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
    done = run(command("pypes restore backups/monday data-restored"), tmp_path)
    assert done.returncode == 0, done.stderr
    data = tmp_path / "data-restored"
    again = restored(node, data.name)
    with serving(again):
        assert again.get("/graphs/live/versions").json() == versions
        until(
            lambda: all(state(again, each) == "done" for each in before.values()),
            60,
            "all receipts can be followed, and are done",
        )
        assert state(again, lost) == "receipt.not_found", "given after the backup"
        assert before.keys() <= documents(data / "live.jsonl")
        for id in list(before)[::20]:
            assert [hit["id"] for hit in again.get(f"/search?q=word{id}").json()["hits"]] == [id]
        # the source goes on by itself, from a cursor that fits what is in the queue
        known = until(lambda: all_known(again, data / "numbers.jsonl"), 60, "all numbers fetched")
        assert sorted(known) == list(range(NUMBERS))
        assert all(len(under) == 1 for under in known.values()), "fetched twice into the same node"
        rest = again.get("/outbox/box?limit=10").json()["results"]
        assert {"r0", "r1", "r2", "r3"} - {result["document"] for result in given["results"]} == {
            each["document"] for each in rest
        }
        assert (state(again, small), state(again, large)) == ("queued", "queued")
        assert again.http.request("POST", f"{again.url}/graphs/held/resume").status < 300
        until(lambda: (state(again, small), state(again, large)) == ("done", "done"), 30, "the queue drains")
        assert documents(data / "held.jsonl") == {"small", "large"}
        (letter,) = again.get("/deadletters").json()["deadletters"]
        assert letter["receipt"] == bad
        mended = again.http.request("POST", f"{again.url}/deadletters/{letter['id']}/replay")
        until(lambda: state(again, receipt(mended)) == "failed", 20, "replayed, and refused again")
        later = receipt(again.post(b'{"id": "d0", "title": "later"}'))
        until(lambda: state(again, later) == "done", 20, "newer than all that was restored")
        assert [hit["id"] for hit in again.get("/search?q=later").json()["hits"]] == ["d0"]
        assert again.stop() == 0


def test_a_backup_and_a_restore_without_room_say_so_and_leave_nothing_that_counts(tmp_path: Path, disk: Path) -> None:
    data = tmp_path / "elsewhere"
    data.mkdir()
    ControlStore(data / "control.db").close()
    (data / "large.jsonl").write_bytes(b"x" * (DISK_BYTES + 1))
    for path, arguments in (
        (disk / "backup", ["backup", str(data), str(disk / "backup")]),
        (tmp_path / "backup", ["backup", str(data), str(tmp_path / "backup")]),
        (disk, ["restore", str(tmp_path / "backup"), str(disk)]),
    ):
        result = CliRunner().invoke(pypes, arguments)
        is_there = path == tmp_path / "backup"
        assert result.exit_code == (0 if is_there else 1), result.output
        assert is_there == (path / "backup.json").exists()
        if not is_there:
            assert "No space left on device; make room for it [store.full]" in result.output
            assert str(path) in result.output
        shutil.rmtree(disk / "backup", ignore_errors=True)
    assert {path.name for path in disk.iterdir()} <= {"lock"}
    # a database that does not fit, by itself
    with closing(sqlite3.connect(data / "control.db")) as db:
        db.execute("create table filling as select zeroblob(?) as x", (DISK_BYTES,))
        db.commit()
    result = CliRunner().invoke(pypes, ["backup", str(data), str(disk / "backup")])
    assert "store.full" in result.output


def all_known(node: Node, path: Path) -> dict[int, set[str]] | None:
    """Under which receipts that the node knows each number was published; ``None`` until that is all of them."""
    found = {number: {each for each in under if state(node, each) == "done"} for number, under in fetched("id", path).items()}
    return found if len(found) == NUMBERS and all(found.values()) else None
