"""Outboxes under faults: killed processes, a full disk, clients that die. Nothing is lost, nothing acknowledged comes again."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path
from typing import Any

import urllib3

from pypes.testing.node import Node, running, until
from tests.faults.test_disk_full import Ballast, disk

__all__ = ["disk"]

GRAPH: dict[str, Any] = {
    **{"pypes": 1, "name": "mail", "order_by": "id"},
    "nodes": {"json": {"component": "JSON"}, "box": {"component": "Outbox", "params": {"name": "box"}}},
    "wires": [["json.out", "box.in"]],
}
DOCUMENTS, VERSIONS, KILLS = 25, 8, 8


class Clients:
    """Clients of one outbox, which may die with results in their hands. They check what they are given while they work."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._lock = threading.Lock()
        self._acknowledged: set[tuple[str, str]] = set()
        #: The newest version of each document that was acknowledged.
        self._newest: dict[str, str] = {}
        #: The ids of all results that were given, by document and number.
        self.ids: dict[tuple[str, int], set[str]] = {}
        self.faults: list[str] = []

    def work(self, seed: int, lease_s: float, is_over: threading.Event) -> None:
        """Fetch and acknowledge until told to stop; every fourth time, forget what was fetched."""
        chance = random.Random(seed)
        while not is_over.is_set():
            with self._lock:
                before, newest = {*self._acknowledged}, {**self._newest}
            given = self._ask("GET", f"/outbox/box?limit={chance.randint(1, 20)}&lease={lease_s}&wait=0.2")
            if given is None or given["cursor"] is None:
                continue
            for result in given["results"]:
                name = (result["id"], result["version"])
                with self._lock:
                    self.ids.setdefault((result["document"], result["fields"]["n"]), set()).add(result["id"])
                if name in before:
                    self.faults.append(f"given again although acknowledged: {name}")
                if result["version"] < newest.get(result["document"], ""):
                    self.faults.append(f"an older version follows a newer one: {name}")
            if chance.random() < 0.25 or self._ask("DELETE", f"/outbox/box/{given['cursor']}") is None:
                continue
            with self._lock:
                for result in given["results"]:
                    self._acknowledged.add((result["id"], result["version"]))
                    self._newest[result["document"]] = max(self._newest.get(result["document"], ""), result["version"])

    def given(self) -> dict[str, set[int]]:
        """The numbers of each document that were given.

        Not those that were acknowledged: an acknowledgement whose answer dies with a process may have been taken all the same,
        and then nobody is given these results again.
        """
        found: dict[str, set[int]] = {}
        with self._lock:
            for document, number in self.ids:
                found.setdefault(document, set()).add(number)
        return found

    def _ask(self, method: str, path: str) -> Any:
        """The answer; ``None`` if nobody knows whether the request was done."""
        try:
            answer = self.node.http.request(method, self.node.url + path, timeout=5.0)
        except urllib3.exceptions.HTTPError:
            return None
        if answer.status != 200:
            assert answer.status == 503 or (method == "GET" and answer.status == 404), answer.data
            return None
        return answer.json()


def post(node: Node, id: str, number: int, more: str = "") -> bool:
    """Post a version; True if it was accepted."""
    body = json.dumps({"id": id, "n": number, "more": more}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{id}-{number}"}
    try:
        return bool(node.http.request("POST", f"{node.url}/docs", body=body, headers=headers, timeout=5.0).status == 202)
    except urllib3.exceptions.HTTPError:
        return False


def test_processes_and_clients_die_all_the_time(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=2, instances=2) as node:
        clients, is_over, is_posted = Clients(node), threading.Event(), threading.Event()

        def feed() -> None:
            for number in range(VERSIONS):
                for document in range(DOCUMENTS):
                    until(lambda n=number, d=document: post(node, str(d), n), 90, "accepted")
            is_posted.set()

        # two that share the work, and one that peeks into what is theirs as soon as a lease has ended
        threads = [threading.Thread(target=clients.work, args=(n, lease_s, is_over)) for n, lease_s in enumerate((0.5, 0.5, 0.0))]
        threads.append(threading.Thread(target=feed))
        for thread in threads:
            thread.start()
        try:
            chance = random.Random(7)
            for round in range(KILLS):
                role = ("instance", "worker", "instance", "supervisor")[round % 4]
                if role == "supervisor":
                    node.kill()
                    until(lambda: not node.leftovers(), 20, "all gone")
                    node.start()
                else:
                    chance.choice(until(lambda r=role: node.roles()[r], 20, "a process to kill")).kill()
                until(node.is_ready, 60, "ready again")
            until(is_posted.is_set, 120, "all posted")
            # each version was accepted in its order, so none was late: all of them come
            wanted = {str(document): {*range(VERSIONS)} for document in range(DOCUMENTS)}
            until(lambda: clients.given() == wanted, 60, "all versions fetched")
            until(lambda: node.get("/outbox").json()[0]["waiting"] == 0, 60, "nothing left")
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        assert clients.faults == []
        # what was given twice, or ran twice, had one id
        assert {len(ids) for ids in clients.ids.values()} == {1}
        assert len(set().union(*clients.ids.values())) == DOCUMENTS * VERSIONS
        assert node.get("/deadletters").json()["deadletters"] == []


def test_a_full_disk_loses_no_result(tmp_path: Path, disk: Path) -> None:
    ballast = Ballast(disk)
    with running(tmp_path, GRAPH, workers=1, instances=1) as node:
        assert post(node, "first", 0)
        until(lambda: node.get("/outbox").json()[0]["waiting"] == 1, 20, "the first result")
        taken: set[str] = {"first"}
        for round in range(2):
            ballast.fill()
            for n in range(40):
                if post(node, f"{round}-{n}", 0, "x" * 50_000):
                    taken.add(f"{round}-{n}")
            # it can be read; what may be acknowledged depends on the room that there happens to be
            given = node.get("/outbox/box?limit=1").json()
            answer = node.http.request("DELETE", f"{node.url}/outbox/box/{given['cursor']}")
            assert answer.status in (200, 503), answer.data
            still = node.get("/outbox/box?limit=1000").json()["results"]
            gone = {result["document"] for result in given["results"]} if answer.status == 200 else set()
            assert not gone & {result["document"] for result in still}
            taken -= gone
            ballast.drop()
            until(lambda n=round: post(node, "after", n), 30, "taken again")
            taken.add("after")
        until(lambda: node.get("/outbox").json()[0]["waiting"] >= len(taken), 60, "all results")
        assert {result["document"] for result in fetched(node)} == taken
        assert node.get("/deadletters").json()["deadletters"] == []
        assert node.stop() == 0


def fetched(node: Node) -> list[Any]:
    """All results, which are acknowledged."""
    found: list[Any] = []
    while (given := node.get("/outbox/box?limit=1000").json())["cursor"] is not None:
        found += given["results"]
        assert node.http.request("DELETE", f"{node.url}/outbox/box/{given['cursor']}").status == 200
    return found


def test_what_waits_is_given_alike_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, GRAPH, workers=2, instances=2) as node:
        for n in range(5):
            assert post(node, str(n), n)
        until(lambda: node.get("/outbox").json()[0]["waiting"] == 5, 20, "all results")
        first = node.get("/outbox/box?limit=2").json()
        assert node.stop() == 0
        node.start()
        node.wait_ready()
        assert node.get("/outbox/box?limit=2").json() == first
        assert node.http.request("DELETE", f"{node.url}/outbox/box/{first['cursor']}").json() == {"acknowledged": 2}
        assert len(fetched(node)) == 3
