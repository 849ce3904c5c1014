"""Networks that fail between nodes: no second owner, no false 202, whichever direction is cut and whatever the clocks say."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes.testing.clock import WallClock
from pypes.testing.node import until
from tests.fleet.nodes import Fleet
from tests.servers.networks import Networks, apart

pytestmark = pytest.mark.servers

HOUR_S = 3600.0


class Ledger:
    """Keys and what was answered for each: every receipt of one key is the same, or a document was taken twice."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.receipts: dict[str, set[str]] = defaultdict(set)
        self.refused: dict[str, int] = defaultdict(int)

    def post(self, key: str, places: list[int]) -> None:
        """Post one document under a key to some nodes, one after the other."""
        for place in places:
            node = self.fleet.nodes[place]
            try:
                answer = node.post(json.dumps({"key": key}).encode(), **{"Idempotency-Key": key})
            except urllib3.exceptions.HTTPError:
                continue  # nothing is known of it
            if answer.status == 202:
                self.receipts[key].add(json.loads(answer.data)["receipt"])
            else:
                assert answer.status == 503, answer.data
                self.refused[json.loads(answer.data)["code"]] += 1

    def load(self, name: str, count: int = 40) -> None:
        """Post so many keys, each to two of the nodes, many at once."""
        chance = random.Random(name)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.post(f"{name}-{number}", chance.sample(range(3), 2)), range(count)))

    def check(self) -> None:
        """Each key has one receipt, the same from every node, and its document was published once."""
        for key, receipts in list(self.receipts.items()):
            self.post(key, [0, 1, 2])
            assert len(receipts) == 1, key
        published: dict[str, int] = defaultdict(int)
        for receipts in self.receipts.values():
            for receipt in receipts:
                found = json.loads(self.fleet.nodes[0].get(f"/receipts/{receipt}?wait=20").data)
                assert (found["state"], found["published"]) == ("done", 1)
        for node in self.fleet.nodes:
            path = node.base / "data" / "out.jsonl"
            for line in path.read_text().splitlines() if path.exists() else []:
                published[str(json.loads(line)["key"])] += 1
        assert all(published[key] == 1 for key in self.receipts)


@pytest.mark.parametrize("directions", [[(0, 2), (2, 0)], [(0, 2)], [(2, 0)]], ids=["both", "there", "back"])
def test_nodes_that_do_not_reach_each_other(parted: tuple[Fleet, Networks], directions: list[tuple[int, int]]) -> None:
    fleet, networks = parted
    ledger = Ledger(fleet)
    name = "-".join(map(str, directions))
    ledger.load(f"before {name}")
    for direction in directions:
        networks.cut(*direction)
    try:
        ledger.load(f"meanwhile {name}")
    finally:
        for direction in directions:
            networks.mend(*direction)
    assert ledger.refused, "nothing was refused, so nothing was cut"
    fleet.wait_whole()
    ledger.load(f"afterwards {name}")
    ledger.check()


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three nodes in networks of their own; the clock of one is an hour ahead."""
    base: Path = tmp_path_factory.mktemp("parted")
    clock = WallClock(base / "shift")
    clock.set(HOUR_S)
    with apart(base, environs={1: clock.environ}) as found:
        yield found


def test_an_owner_that_hangs(parted: tuple[Fleet, Networks]) -> None:
    """A node that is stopped in the middle (SIGSTOP) keeps what it owns: others refuse it until the node goes on."""
    fleet, _ = parted
    ledger = Ledger(fleet)
    ledger.load("before the pause")
    processes = [process for group in fleet.nodes[2].roles().values() for process in group]
    for process in processes:
        process.suspend()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: ledger.post(f"pause-{number}", [0, 1]), range(12)))
    finally:
        for process in processes:
            process.resume()
    assert ledger.refused["fleet.member_away"]
    until(lambda: fleet.nodes[2].is_ready(), 20, "on again")
    fleet.wait_whole()
    ledger.check()
