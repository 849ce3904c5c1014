"""Nothing acknowledged is lost, whatever happens: the whole of it, with a seed."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from pypes.testing.clock import WallClock
from pypes.testing.destination import Destination
from pypes.testing.node import Node, chaos_seconds, until
from tests.faults.chaos import checks
from tests.faults.chaos.faults import Disk, Faults
from tests.faults.chaos.ledger import Ledger
from tests.faults.chaos.load import Client, Habits
from tests.faults.chaos.memory import Memory
from tests.faults.chaos.node import running
from tests.faults.chaos.scraping import Scrapes
from tests.faults.chaos.tables import Tables

DEFAULT_S = 25.0
CLIENTS = {"plain": 5, "ordered": 5, "tables": 3}
DISK_BYTES = 512 << 20
SETTLE_S = 120.0


def settle(node: Node, ledger: Ledger, destination: Destination, seed: int) -> checks.Taken:
    """Wait until everything acknowledged has met its fate; returns what the destination has then."""
    end = time.monotonic() + SETTLE_S
    pause = threading.Event()
    while True:
        taken = checks.Taken.read(destination)
        lost = checks.missing(ledger, taken)
        if not lost and _is_idle(node):
            return checks.Taken.read(destination)
        if time.monotonic() > end:
            states = [
                f"{each.serial} (receipt {each.receipt}: {node.get('/receipts/' + each.receipt).data!r})" for each in lost[:3]
            ]
            raise AssertionError(f"seed {seed}: {len(lost)} acknowledged documents are not published: {states}\n{node.log()}")
        pause.wait(0.5)


def _is_idle(node: Node) -> bool:
    """True if a document of each graph, posted now, is through, and nothing is that came before: a filter may rest over it."""
    json, csv = (b'{"id": "last", "serial": "last"}', "application/json"), (b"id,serial\nlast,last\n", "text/csv")
    return all(
        node.get("/receipts/" + node.post(body, path, media_type).json()["receipt"] + "?wait=5").json()["state"] == "done"
        for path, (body, media_type) in {"/docs": json, "/docs/ordered": json, "/docs/tables": csv}.items()
    ) and not any(node.get(f"/receipts?state={state}&limit=1").json()["receipts"] for state in ("queued", "processing"))


@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_and_everything_is_told(tmp_path: Path) -> None:
    seed = int(os.environ.get("PYPES_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"\nseed {seed}")  # noqa: T201
    rng = random.Random(seed)
    stop = threading.Event()
    base = tmp_path / "node"
    rolling = rng.choice(("yes", "no"))
    clock = WallClock(tmp_path / "clock")
    graphs = ("plain", "ordered", "tables")
    with (
        closing(Disk(base / "data", DISK_BYTES)) as disk,
        Destination(tmp_path / "taken.jsonl") as destination,
        running(base, destination, graphs, PYPES_SERVER_ROLLING=rolling, PYPES_SERVER_CONSOLIDATE_S="2", **clock.environ) as node,
    ):
        tables = [Tables(node.url, f"table{n}", random.Random(rng.random()), stop) for n in range(CLIENTS["tables"])]
        clients: list[Client | Tables] = [*tables]
        clients += [
            Client(node.url, graph, f"{graph}{n}", random.Random(rng.random()), Habits(), stop)
            for graph in ("plain", "ordered")
            for n in range(CLIENTS[graph])
        ]
        with Memory(node) as memory, Scrapes(node) as scrapes:
            for client in clients:
                client.start()
            try:
                tally = Faults(node, destination, disk, clock, rng).run(chaos_seconds(DEFAULT_S))
            finally:
                stop.set()
                for client in clients:
                    client.join(60)
        ledger = Ledger.of(client.ledger for client in clients)
        taken = settle(node, ledger, destination, seed)
        again, allowed = checks.duplicates(ledger, taken, tally, checks.deaths_of_instances(node))
        untrue = checks.few(scrapes.untrue(node, ledger))
        more = f"{tally}; {sum(each.replays for each in tables)} tables replayed; {scrapes}"
        _report(ledger, taken, memory, f"{more}; {again} deliveries published again, of {allowed} that may have been in flight")
        findings = [
            *tally.violations,
            *checks.few(iter(ledger.violations)),
            *checks.few(checks.strangers(ledger, taken)),
            *checks.few(checks.disorder(ledger, taken)),
            *checks.few(checks.superseded_unduly(ledger, taken)),
            *checks.few(checks.untrue_receipts(node, ledger, taken, rng)),
            *checks.few(checks.receipts_by_document(node, ledger, rng, 200)),
            *checks.few(checks.dead_letters(node, ledger)),
            *checks.few(iter(scrapes.violations)),
            *untrue,
        ]
        if again > allowed:
            findings.append(f"{again} deliveries were published again, {allowed} were in flight at most")
        status = node.stop()
        if status != 0:
            findings.append(f"the server ended with {status}")
        until(lambda: not node.leftovers(), 10, f"seed {seed}: all processes gone, but {node.describe_leftovers()}")
    assert not findings, f"seed {seed}:\n" + "\n".join(findings)
    assert len(ledger.acknowledged) > 1000, f"seed {seed}: hardly anything was acknowledged"


def _report(ledger: Ledger, taken: checks.Taken, memory: Memory, more: str) -> None:
    fates = {fate: sum(each.fate == fate for each in ledger.acknowledged) for fate in ("published", "dropped", "failed")}
    peaks = ", ".join(f"{role} {size:.0f}" for role, size in sorted(memory.peaks().items()))
    print(f"posted {len(ledger.posted)}, acknowledged {len(ledger.acknowledged)} documents: {fates}")  # noqa: T201
    print(f"POSTs acknowledged: {dict(ledger.kinds)}; answers: {dict(ledger.statuses)}")  # noqa: T201
    print(f"published {len(taken.copies)} documents, {sum(taken.copies.values())} times")  # noqa: T201
    print(more)  # noqa: T201
    print(f"peaks of resident memory in MB: {peaks}")  # noqa: T201
