"""kill -9 of anything at any instant: what was acknowledged is published, nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from pypes.testing.node import Node, chaos_seconds, running, until

ROLES = ("instance", "worker", "arbiter", "supervisor")


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


class Load(threading.Thread):
    """Posts documents one by one and in batches, and keeps the ledger of those that were acknowledged."""

    def __init__(self, url: str, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.url = url + "/docs"
        self.stop = stop
        self.acknowledged: list[str] = []
        self.http = urllib3.PoolManager(maxsize=2, retries=False, timeout=urllib3.Timeout(15.0))

    def run(self) -> None:
        sent = 0
        while not self.stop.is_set():
            ids = [f"{self.name}-{sent + k}" for k in range(1 if sent % 3 else 20)]
            sent += len(ids)
            body = b"\n".join(json.dumps({"id": each, "title": "x" * 200}).encode() for each in ids)
            kind = "application/json" if len(ids) == 1 else "application/x-ndjson"
            try:
                answer = self.http.request("POST", self.url, body=body, headers={"Content-Type": kind})
            except urllib3.exceptions.HTTPError:
                self.stop.wait(0.02)  # the node is being killed: nothing was promised for this one
                continue
            if answer.status == 202:
                assert answer.json()["accepted"] == len(ids)
                self.acknowledged += ids
            else:
                self.stop.wait(0.02)
        self.http.clear()


def published(path: Path) -> Counter[str]:
    """How often each document was published."""
    found: Counter[str] = Counter()
    for file in path.parent.glob(path.name + "*"):
        for line in file.read_bytes().splitlines():
            try:
                found[json.loads(line)["fields"]["id"] if b'"fields"' in line else json.loads(line)["id"]] += 1
            except (ValueError, KeyError):
                continue  # a line torn by a kill; its delivery is run again
    return found


def kill_at_random(node: Node, rng: random.Random, seconds: float) -> dict[str, int]:
    """Kill processes in a random order; a dead supervisor is started again. Returns how often each role died."""
    killed = dict.fromkeys(ROLES, 0)
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        pause.wait(rng.uniform(0.05, 0.6))
        role = min(ROLES, key=lambda r: (killed[r], rng.random())) if rng.random() < 0.5 else rng.choice(ROLES)
        if role == "supervisor" and killed["supervisor"] >= 3 + seconds / 10:
            continue
        victims = node.roles()[role]
        if not victims:
            continue
        victim = rng.choice(victims)
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
        killed[role] += 1
        if role == "supervisor":
            assert node.process is not None
            node.process.wait(10)
            until(lambda: not node.leftovers(), 10, "no process outlives the supervisor")
            node.start()
            if rng.random() < 0.5:
                node.wait_ready()
    return killed


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("PYPES_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"seed {seed}")  # noqa: T201
    rng = random.Random(seed)
    target = tmp_path / "out.jsonl"
    stop = threading.Event()
    with running(tmp_path, graph(target)) as node:
        loads = [Load(node.url, f"t{n}", stop) for n in range(4)]
        for load in loads:
            load.start()
        try:
            killed = kill_at_random(node, rng, chaos_seconds(20))
        finally:
            stop.set()
            for load in loads:
                load.join(30)
        if node.process is None or node.process.poll() is not None:
            node.start()
        node.wait_ready()
        acknowledged = {each for load in loads for each in load.acknowledged}
        print(f"acknowledged {len(acknowledged)}, killed {killed}")  # noqa: T201
        until(lambda: acknowledged <= published(target).keys(), 60, f"all published; seed {seed}")
        copies = published(target)
        print(f"published {len(copies)}, of them more than once {sum(count > 1 for count in copies.values())}")  # noqa: T201
        dead = list((node.base / "data").glob("**/*dead*"))
        assert not dead
        assert node.stop() == 0
        until(lambda: not node.leftovers(), 5, f"all processes gone, but for {node.describe_leftovers()}")
    assert all(killed.values()), f"every role must have died: {killed}"
    assert len(acknowledged) > 100


def test_a_killed_supervisor_leaves_no_orphan_and_the_port_free(tmp_path: Path) -> None:
    import socket

    with running(tmp_path, graph(tmp_path / "out.jsonl")) as node:
        node.kill()
        until(lambda: not node.leftovers(), 10, "all processes gone")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", node.port))
        node.start()
        node.wait_ready()


def test_a_killed_arbiter_is_replaced_and_its_workers_with_it(tmp_path: Path) -> None:
    with running(tmp_path, graph(tmp_path / "out.jsonl")) as node:
        before = node.roles()
        before["arbiter"][0].kill()
        until(lambda: not any(w.is_running() for w in before["worker"]), 10, "orphaned workers gone")
        until(lambda: node.roles()["arbiter"] and node.is_ready(), 15, "a new arbiter")
        assert node.post(b'{"id": "after"}').status == 202
        until(lambda: "after" in published(tmp_path / "out.jsonl"), 10, "published")
