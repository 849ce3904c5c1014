"""The cost of tokens and of budgets: single documents on a node with ten thousand tokens, against one that asks for none."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.endpoint import single_documents
from benchmarks.measure import NodeSide, Round, five_filters, measured, node, rounds
from benchmarks.report import Line
from pypes.access.token import digest_of, new_secret
from pypes.core.databases import connect, writing
from pypes.testing.node import Node

TOKENS = 10_000
SECONDS = 4.0
ROUNDS = rounds(7)
#: More than is ever sent, so that all is counted and nothing refused.
BUDGET = '{"requests_per_s": 1e6, "bytes_per_s": 1e10}'
_COLUMNS = "name, digest, scopes, graphs, created, author, change, place, budget"


def given(running: Node) -> tuple[str, str]:
    """Give a node so many tokens, every second with a budget, and return the secrets of one without and of one with it."""
    made = [new_secret() for _ in range(TOKENS)]
    rows = [
        (
            f"t-{number}",
            digest_of(secret.encode()),
            '["ingest", "read"]',
            "[]",
            0.0,
            "",
            number,
            number,
            ("{}", BUDGET)[number % 2],
        )
        for number, secret in enumerate(made, 1)
    ]
    with closing(connect(Path(running.base) / "data" / "control.db", "rw")) as db, writing(db):
        db.executemany(f"insert into tokens ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return made[TOKENS // 2 + 1], made[TOKENS // 2]


def lines() -> Iterator[Line]:
    """Rounds without tokens, with one and with one that has a budget, another one begins each time."""
    found: tuple[list[Round], ...] = ([], [], [])
    load = single_documents()
    with node(five_filters()) as free, node(five_filters()) as asking:
        fields = [{}, *({"Authorization": f"Bearer {secret}"} for secret in given(asking))]
        asking.headers = fields[1]
        loads = [replace(load, headers={**load.headers, **each}) for each in fields]
        sides = (NodeSide(free), NodeSide(asking), NodeSide(asking))
        for side, each in zip(sides, loads, strict=True):
            measured(side, each, 1)
        for number in range(ROUNDS):
            for place in (0, 1, 2)[:: -1 if number % 2 else 1]:
                found[place].append(measured(sides[place], loads[place], SECONDS))
    medians = [statistics.median(each.processor_us for each in rounds) for rounds in found]
    for what, place, base, against in (
        (f"one of {TOKENS:,} tokens", 1, 0, "a node that asks for none"),
        ("a token with a budget of requests and of bytes", 2, 1, "a token without"),
    ):
        shares = [mine.processor_us / other.processor_us for mine, other in zip(found[place], found[base], strict=True)]
        yield Line(
            f"single documents of 1 KB with {what}: processor time for each, against {against}",
            f"{medians[place]:.2f} µs; {against}: {medians[base]:.2f} µs",
            statistics.median(shares),
            must=1.02,
            stretch=1.01,
        )
