"""A fleet behind a real HAProxy and a real nginx, with the settings of ``deploy/``, while its nodes come, go, die and hang.

Seen to fail:

* without ``option http-buffer-request`` (HAProxy cannot send again what it does not have whole): answers missing at a restart;
* with ``patience_s`` of nothing: ``fleet.member_away`` for documents without a key at a restart;
* with three tries of nginx instead of all nodes: 502 at a restart;
* with nodes that do not know each other: 404 for receipts, and a second receipt under one key;
* with a graph without ``order_by``: documents out of order.
"""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from pypes.testing.node import Node, until
from tests.servers.balanced.balancers import BALANCERS, HOST
from tests.servers.balanced.ledger import troubles
from tests.servers.balanced.load import Load, answer_of, loaded, troubled

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

#: Seconds for which a node hangs: longer than HAProxy needs to find out.
PAUSE_S = 4.0


def graph(name: str, **more: Any) -> dict[str, Any]:
    out = {"component": "JSONLines", "params": {"path": f"{name}.jsonl", "form": "log"}}
    nodes = {"json": {"component": "JSON"}, "out": out}
    return {"pypes": 1, "name": name, "nodes": nodes, "wires": [["json.out", "out.in"]], **more}


PLAIN, ORDERED = graph("plain"), graph("ordered", routes=["ordered"], order_by="id")


class Fleet:
    """Three nodes at work, and a fourth that is listed and not there yet."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.secret = base / "secret"
        self.secret.write_text("the-first-secret-of-the-fleet\n")
        self.listed = base / "nodes"
        self.listed.touch()
        environ = {
            "PYPES_FLEET_NODES": str(self.listed),
            "PYPES_FLEET_SECRET_FILE": str(self.secret),
            # a start may take long on a machine that is busy
            "PYPES_FLEET_PATIENCE_S": "40",
            "PYPES_SERVER_PROXIES": "127.0.0.1",
            "PYPES_SERVER_HOSTS": HOST,
        }
        self.nodes = [Node(base / f"n{number}", PLAIN, workers=1, instances=1, environ=environ) for number in range(4)]
        for node in self.nodes:
            node.add(ORDERED)
        self.running: list[Node] = []

    def listing(self, nodes: list[Node]) -> None:
        fresh = self.base / "nodes.new"
        fresh.write_text("".join(f"{node.url}\n" for node in nodes))
        fresh.replace(self.listed)

    def start(self, node: Node) -> None:
        node.start()
        node.wait_ready()
        if node not in self.running:
            self.running.append(node)

    def wait_whole(self) -> None:
        """Wait until each node knows each of those that run."""
        for node in self.running:
            until(lambda node=node: self._knows_all(node), 60, "a whole fleet")

    def _knows_all(self, node: Node) -> bool:
        _, found = answer_of(node, "/fleet")
        return [member["state"] for member in found["members"]] == ["ready"] * len(self.running)

    def files(self, name: str) -> list[Path]:
        return [node.base / "data" / f"{name}.jsonl" for node in self.nodes]


@pytest.fixture
def fleet(tmp_path: Path) -> Any:
    with ExitStack() as stack:
        found = Fleet(tmp_path)
        for node in found.nodes:
            stack.callback(node.close)
        found.listing(found.nodes[:3])
        for node in found.nodes[:3]:
            found.start(node)
        found.wait_whole()
        yield found


def restart(fleet: Fleet, load: Load, node: Node) -> None:
    """Drain a node under load, and start it again."""
    load.goes_on()
    assert node.stop() == 0
    # what only this node can answer waits for it
    fleet.start(node)
    fleet.wait_whole()
    load.goes_on()


def join(fleet: Fleet, load: Load, node: Node) -> None:
    """Add a node: it is listed and started; the balancer has known of it."""
    fleet.listing(fleet.nodes)
    fleet.start(node)
    fleet.wait_whole()
    load.goes_on()


def renew_secret(fleet: Fleet, load: Load) -> None:
    """Replace the secret, node by node, without a restart."""
    old, new = fleet.secret.read_text(), "the-second-secret-of-the-fleet\n"
    for text in (old + new, new + old, new):
        fleet.secret.write_text(text)
        for node in fleet.running:
            reloads = node.log_path.read_text().count('"reloaded"')
            assert node.process is not None
            node.process.send_signal(signal.SIGHUP)
            until(lambda node=node, n=reloads: node.log_path.read_text().count('"reloaded"') > n, 60, "reloaded")
        load.goes_on(50)
    fleet.wait_whole()


def kill(fleet: Fleet, load: Load, node: Node) -> None:
    """Kill all processes of a node at once, as if its machine had died, and start it again."""
    with troubled(load):
        for process in [each for some in node.roles().values() for each in some]:
            process.kill()
        assert node.process is not None
        node.process.wait(10)
        fleet.start(node)
        fleet.wait_whole()
        load.goes_on()


def pause(fleet: Fleet, load: Load, node: Node) -> None:
    """Stop all processes of a node for a while."""
    stopped: list[psutil.Process] = [each for some in node.roles().values() for each in some]
    with troubled(load):
        for process in stopped:
            process.suspend()
        try:
            load.stopping.wait(PAUSE_S)
        finally:
            for process in reversed(stopped):
                process.resume()
        fleet.wait_whole()
        load.goes_on()


@pytest.mark.parametrize("balancer", BALANCERS)
def test_a_fleet_behind_a_balancer(fleet: Fleet, balancer: str, tmp_path: Path) -> None:
    seconds = float(os.environ.get("PYPES_CLUSTER_S", "0"))
    seed = int(os.environ.get("PYPES_CLUSTER_SEED", "0")) or time.time_ns() % 1_000_000
    first, second, third, fourth = fleet.nodes
    ends = time.monotonic() + seconds
    with BALANCERS[balancer](tmp_path, fleet.nodes) as address, loaded(address, seed) as load:  # type: ignore[attr-defined]
        load.goes_on()
        restart(fleet, load, first)
        join(fleet, load, fourth)
        renew_secret(fleet, load)
        kill(fleet, load, second)
        pause(fleet, load, third)
        while time.monotonic() < ends:
            for event, node in zip((restart, kill, pause, restart), load.clients[0].random.sample(fleet.nodes, 4), strict=True):
                event(fleet, load, node)
        load.goes_on()
        load.end()
        ledger = load.ledger
        print(f"{balancer}, seed {seed}: {len(ledger.acknowledged)} acknowledged, {dict(sorted(ledger.counts.items()))}")  # noqa: T201
        until(lambda: not queued(fleet), 120, "all is published")
        assert not troubles(ledger, fleet.files("plain"), fleet.files("ordered")), f"seed {seed}"
        every_receipt_is_answered_everywhere(fleet, sorted({post.receipt for post in ledger.acknowledged}))


def queued(fleet: Fleet) -> int:
    """Deliveries that wait, on all nodes."""
    shards = [shard for node in fleet.running for shard in answer_of(node, "/status")[1]["shards"]]
    return sum(shard["queue"]["deliveries"] for shard in shards)


def every_receipt_is_answered_everywhere(fleet: Fleet, receipts: list[str]) -> None:
    with ThreadPoolExecutor(len(fleet.running)) as pool:
        for wrong in pool.map(lambda node: unanswered(node, receipts), fleet.running):
            assert not wrong, wrong[:5]


def unanswered(node: Node, receipts: list[str]) -> list[str]:
    """Receipts that a node does not answer for, or that are not done."""
    found = {receipt: answer_of(node, f"/receipts/{receipt}?wait=10") for receipt in receipts}
    return [
        f"{each} at {node.url}: {found[each]}" for each in receipts if found[each][0] != 200 or found[each][1]["state"] != "done"
    ]
