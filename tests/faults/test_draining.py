"""A node that hands its shards over to another one: both are killed at each step, and nothing is lost or there twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pypes.testing.node import Node, until
from tests.fleet.nodes import GRAPH

#: Stops a process at a step for good, if it is told to: ``STOP_AT`` names the step, the file ``STOPPED`` tells that it is there.
HOOK = """
import os, sys

step, argv = os.environ.get("STOP_AT", ""), " ".join(sys.orig_argv)


def stop(name):
    if name == step:
        import time

        open(os.environ["STOPPED"], "w").close()
        while True:
            time.sleep(60)


if step.startswith("x") and " pypes " in argv:
    from pypes.runtime.fleet import handing

    send, send_file, write = handing.send, handing._send, handing.HandedOver.write

    async def sending(*args):
        await send_file(*args)
        stop("x: a file sent")

    async def sent(*args):
        await send(*args)
        stop("x: all sent and compared")

    def writing(self, data):
        if self.is_done:
            stop("x: adopted, and not noted")
        write(self, data)
        stop("x: decided")

    handing.send, handing._send, handing.HandedOver.write = sent, sending, writing
elif step.startswith("y") and "pypes.api.server" in argv:
    from pypes.ingest.store.arrivals import Arrivals

    def wrapped(name, before, after):
        method = getattr(Arrivals, name)

        def call(self, *args):
            stop(before)
            found = method(self, *args)
            stop(after)
            return found

        setattr(Arrivals, name, call)

    wrapped("write", "", "y: a piece written")
    wrapped("verify", "y: all written", "y: compared")
    wrapped("adopt", "y: asked to adopt", "y: adopted")
    wrapped("_settle", "", "y: one shard adopted")
"""

#: It runs beside the tests of servers: two minutes are too much for the core.
pytestmark = pytest.mark.servers

#: Steps, and whether it is decided by then that the shards are of the other node.
STEPS = {
    "x: a file sent": False,
    "x: all sent and compared": False,
    "x: decided": True,
    "x: adopted, and not noted": True,
    "y: a piece written": False,
    "y: all written": False,
    "y: compared": False,
    "y: asked to adopt": True,
    "y: one shard adopted": True,
    "y: adopted": True,
}


class Pair:
    """A node with documents, ``x``, and one that it hands them over to, ``y``."""

    def __init__(self, base: Path, x: Node, y: Node) -> None:
        self.base = base
        self.x = x
        self.y = y
        self.receipts: list[str] = []
        self.keys: dict[str, str] = {}
        self.letters: list[str] = []
        self.stopped = base / "stopped"

    def fill(self) -> None:
        """Give ``x`` documents that are done, wait, or failed, and keys."""
        until(self._is_known, 60, f"known: {ask(self.x, '/fleet')}")
        for number in range(4):
            self.receipts.append(self._posted(number))
        for receipt in self.receipts:
            assert ask(self.x, f"/receipts/{receipt}?wait=20")["state"] == "done"
        failed = self.x.post(b"words", content_type="text/plain")
        assert failed.status == 202, failed.data
        assert ask(self.x, f"/receipts/{json.loads(failed.data)['receipt']}?wait=20")["failed"] == 1
        self.letters = [letter["id"] for letter in ask(self.x, "/deadletters")["deadletters"]]
        assert len(self.letters) == 1
        assert self.x.post(b"", "/graphs/copy/pause").status == 200
        for number in range(4, 8):
            self.receipts.append(self._posted(number))
        for number in range(8, 20):
            answer = self.keyed(self.x, number)
            assert answer.status == 202, answer.data
            self.keys[str(number)] = json.loads(answer.data)["receipt"]

    def _posted(self, number: int) -> str:
        answer = self.x.post(json.dumps({"number": number}).encode())
        assert answer.status == 202, answer.data
        return str(json.loads(answer.data)["receipt"])

    def keyed(self, node: Node, number: int) -> Any:
        return node.post(json.dumps({"number": number}).encode(), **{"Idempotency-Key": f"key-{number}"})

    def drain(self) -> None:
        until(self._is_known, 60, f"known: {ask(self.x, '/fleet')}")
        body = json.dumps({"to": self.y.url, "leave_files": True}).encode()
        answer = self.x.post(body, "/drain")
        assert answer.status == 202, answer.data

    def _is_known(self) -> bool:
        return [member["state"] for node in (self.x, self.y) for member in ask(node, "/fleet")["members"]] == ["ready"] * 4

    def wait_ended(self) -> None:
        """Wait until ``x`` has ended, and see that it does not serve again."""
        assert self.x.process is not None
        assert self.x.process.wait(60) == 0, self.x.log()
        self.refused()

    def refused(self) -> None:
        self.x.start()
        assert self.x.process is not None
        assert self.x.process.wait(60) != 0
        assert "were handed over" in self.x.log()

    def check(self) -> None:
        """All that ``x`` had is at ``y``, once; what waited is done there when the graph goes on."""
        assert self.y.post(b"", "/graphs/copy/resume").status == 200
        for receipt in (*self.receipts, *self.keys.values()):
            found = ask(self.y, f"/receipts/{receipt}?wait=20")
            assert (found["state"], found["published"]) == ("done", 1)
        lines = [
            json.loads(line)["number"]
            for node in (self.x, self.y)
            if (path := node.base / "data" / "out.jsonl").exists()
            for line in path.read_text().splitlines()
        ]
        assert sorted(lines) == [*range(20)]
        until(lambda: "drained" in [member["state"] for member in ask(self.y, "/fleet")["members"]], 20, "known as drained")
        for number, receipt in self.keys.items():
            answer = self.keyed(self.y, int(number))
            assert (answer.status, json.loads(answer.data).get("receipt")) == (202, receipt), answer.data
        assert [letter["id"] for letter in ask(self.y, "/deadletters")["deadletters"]] == self.letters
        replayed = self.y.post(b"", f"/deadletters/{self.letters[0]}/replay")
        assert replayed.status == 202, replayed.data
        assert ask(self.y, f"/receipts/{json.loads(replayed.data)['receipt']}?wait=20")["failed"] == 1


def ask(node: Node, path: str) -> Any:
    answer = node.get(path)
    assert answer.status == 200, answer.data
    return json.loads(answer.data)


@contextmanager
def pair(base: Path, step: str = "") -> Iterator[Pair]:
    """Two nodes of a fleet; a process that comes to the step stops there."""
    (base / "hook").mkdir()
    (base / "hook" / "sitecustomize.py").write_text(HOOK)
    (base / "secret").write_text("a-secret-of-the-test-0123")
    paths = os.pathsep.join(filter(None, (str(base / "hook"), os.environ.get("PYTHONPATH"))))
    environ = {"PYPES_FLEET_NODES": str(base / "nodes"), "PYPES_FLEET_SECRET_FILE": str(base / "secret")}
    environ["PYPES_LIMITS_GRACE_S"] = "1"  # a graph that is paused finishes nothing
    hooked = {**environ, "PYTHONPATH": paths, "STOP_AT": step, "STOPPED": str(base / "stopped")}
    with ExitStack() as stack:
        nodes = [Node(base / name, GRAPH, workers=workers, instances=1, environ=hooked) for name, workers in (("x", 2), ("y", 1))]
        (base / "nodes").write_text("\n".join(node.url for node in nodes))
        for node in nodes:
            stack.callback(node.close)
            node.start()
        for node in nodes:
            node.wait_ready()
            node.environ = {**node.environ, "STOP_AT": ""}  # for the next time that it starts
        yield Pair(base, *nodes)


def test_everything_goes_to_the_other_node(tmp_path: Path) -> None:
    with pair(tmp_path) as nodes:
        nodes.fill()
        refused = nodes.x.post(json.dumps({"to": nodes.y.url}).encode(), "/drain")
        assert (refused.status, json.loads(refused.data)["code"]) == (409, "drain.files")
        nodes.drain()
        nodes.wait_ended()
        nodes.check()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_step(tmp_path: Path, step: str) -> None:
    with pair(tmp_path, step) as nodes:
        nodes.fill()
        nodes.drain()
        until(nodes.stopped.exists, 60, f"stopped; {nodes.x.log()}")
        victim = nodes.x if step.startswith("x") else nodes.y
        victim.kill()
        until(lambda: not victim.leftovers(), 20, "all processes gone")
        if victim is nodes.y:
            if not STEPS[step]:
                until(lambda: "nothing was handed over" in nodes.x.log_path.read_text(), 60, nodes.x.log())
            victim.start()
            victim.wait_ready()
        if not STEPS[step]:
            if victim is nodes.x:
                victim.start()
            nodes.x.wait_ready()
            for receipt in nodes.receipts[:4]:
                assert ask(nodes.x, f"/receipts/{receipt}")["state"] == "done"
            nodes.drain()
            nodes.wait_ended()
        elif victim is nodes.x:
            nodes.refused()
        else:
            nodes.wait_ended()
        nodes.check()
