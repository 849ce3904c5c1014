"""The cost of tokens: single documents on a node that has ten thousand of them, against one that asks for none."""

from __future__ import annotations

import statistics
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.endpoint import single_documents
from benchmarks.measure import NodeSide, Round, five_filters, measured, node
from benchmarks.report import Line
from pypes.access.token import digest_of, new_secret
from pypes.core.databases import connect, writing
from pypes.testing.node import Node

TOKENS = 10_000
SECONDS = 4.0
ROUNDS = 7


def given(running: Node) -> str:
    """Give a node so many tokens, and return the secret of one."""
    made = [new_secret() for _ in range(TOKENS)]
    rows = [
        (f"t-{number}", digest_of(secret.encode()), '["ingest", "read"]', "[]", 0.0, "", None, None, number + 1)
        for number, secret in enumerate(made)
    ]
    with closing(connect(Path(running.base) / "data" / "control.db", "rw")) as db, writing(db):
        db.executemany("insert into tokens values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return made[TOKENS // 2]


def many() -> Line:
    """Rounds on both nodes, another one begins each time."""
    found: tuple[list[Round], list[Round]] = ([], [])
    load = single_documents()
    with node(five_filters()) as free, node(five_filters()) as asking:
        secret = given(asking)
        asking.headers = {"Authorization": f"Bearer {secret}"}
        loads = (load, replace(load, headers={**load.headers, **asking.headers}))
        sides = (NodeSide(free), NodeSide(asking))
        for side, each in zip(sides, loads, strict=True):
            measured(side, each, 1)
        for number in range(ROUNDS):
            for place in (0, 1)[:: -1 if number % 2 else 1]:
                found[place].append(measured(sides[place], loads[place], SECONDS))
    shares = [with_them.processor_us / without.processor_us for without, with_them in zip(*found, strict=True)]
    usual, asked = (statistics.median(each.processor_us for each in rounds) for rounds in found)
    return Line(
        f"single documents of 1 KB with one of {TOKENS:,} tokens: processor time for each, against a node that asks for none",
        f"{asked:.2f} µs; without {usual:.2f} µs",
        statistics.median(shares),
        must=1.02,
        stretch=1.01,
    )
