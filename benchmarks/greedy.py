"""One greedy client must not take the node from another: how long a polite one waits for its 202, beside one that does not wait.

The polite client posts small documents at a steady rate. The greedy one posts as fast as it is answered, over 64 connections, and
takes no notice of ``Retry-After``. Alone, beside a greedy one with a budget, and beside one without take turns on the same node.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import uvloop

from benchmarks.documents import SINGLE
from benchmarks.endpoint import single_documents
from benchmarks.load import Answered, Load
from benchmarks.measure import JSON, NodeSide, five_filters, node, rounds
from benchmarks.open_loop import Client, quantile, steady
from benchmarks.report import Line
from pypes.testing.node import Node, until

#: Requests a second of the polite client, and the budget of the greedy one.
RATE = 100
BUDGET = 200
SECONDS = 4.0
ROUNDS = rounds(9)
#: Bodies of the greedy client that sends large ones, its connections, and its budget in bytes a second.
LARGE_BYTES = 4 << 20
LARGE_CONNECTIONS = 8
LARGE_BUDGET = 8 << 20
_OWN = "the-token-of-the-node"


@dataclass(frozen=True, eq=False)
class Way:
    """What the greedy client sends, and the budget that it has in one of the ways; ``None``: nothing, alone."""

    name: str
    load: Load | None = None
    budget: Mapping[str, float] | None = None


def _ways() -> tuple[Way, ...]:
    small = single_documents()
    large = Load([b'{"text": "%b"}' % (b"x" * LARGE_BYTES)], JSON, LARGE_CONNECTIONS)
    return (
        Way("alone"),
        Way(f"small documents, a budget of {BUDGET} requests/s", small, {"requests_per_s": BUDGET}),
        Way("small documents, no budget", small),
        Way(f"documents of 4 MiB, a budget of {LARGE_BUDGET >> 20} MiB/s", large, {"bytes_per_s": LARGE_BUDGET}),
        Way("documents of 4 MiB, no budget", large),
    )


class Round(NamedTuple):
    """Milliseconds of each 202 of the polite client, all of its answers by status, and what the greedy one was answered."""

    accepted: list[float]
    statuses: Counter[int]
    greedy: Answered | None


def _made(running: Node, name: str, budget: Mapping[str, float] | None) -> dict[str, str]:
    body = {"name": name, "scopes": ["ingest"], "budget": budget}
    answer = running.http.request("POST", f"{running.url}/tokens", json=body, headers=running.headers)
    if answer.status != 201:
        raise RuntimeError(answer.data)
    return {"Authorization": f"Bearer {answer.json()['secret']}"}


async def _round(polite: Client, headers: Mapping[str, str], url: str, load: Load | None) -> Round:
    greedy = None if load is None else asyncio.create_task(asyncio.to_thread(load.run, url, SECONDS, may_be_refused=True))
    # what is told of the polite one is told of a greedy one that is at work
    await asyncio.sleep(0.5)
    answers = await steady(polite, "/docs", lambda _: (SINGLE, headers), rate=RATE, seconds=SECONDS - 1, follows=False)
    return Round(answers.accepted, answers.statuses, None if greedy is None else await greedy)


def _measured(running: Node) -> dict[Way, list[Round]]:
    ways = _ways()
    polite = {**JSON, **_made(running, "polite", None)}
    loads = [
        way.load and replace(way.load, headers={**way.load.headers, **_made(running, f"greedy-{number}", way.budget)})
        for number, way in enumerate(ways)
    ]
    side = NodeSide(running)
    found: dict[Way, list[Round]] = {way: [] for way in ways}

    async def one(place: int) -> Round:
        client = Client(running.port)
        try:
            return await _round(client, polite, side.url, loads[place])
        finally:
            client.close()

    for number in range(-1, ROUNDS):
        for place in range(len(ways))[:: -1 if number % 2 else 1]:
            made = uvloop.run(one(place))
            # the queue may be full
            until(lambda: running.post(b"{}").status == 202, 120, "there is room")
            side.settle()
            if number >= 0:  # the first one warms up
                found[ways[place]].append(made)
    return found


def _line(way: Way, found: Mapping[Way, list[Round]], workers: int) -> Line:
    alone = next(iter(found))

    def p95(rounds: list[Round]) -> list[float]:
        return [quantile(round.accepted, 0.95) for round in rounds]

    ratios = [mine / other for mine, other in zip(p95(found[way]), p95(found[alone]), strict=True)]
    answered = [round.greedy for round in found[way] if round.greedy is not None]
    taken = statistics.median((each.requests - each.refused) / each.seconds for each in answered)
    refused = statistics.median(each.refused / each.seconds for each in answered)
    others = sum(count for round in found[way] for status, count in round.statuses.items() if status != 202)
    return Line(
        f"polite client, {RATE} documents/s, beside a greedy one ({way.name}), {workers} ingest worker(s): p95 of its 202, "
        "against alone",
        f"{statistics.median(p95(found[way])):.2f} ms, alone {statistics.median(p95(found[alone])):.2f} ms; the greedy one: "
        f"{taken:,.0f}/s taken, {refused:,.0f}/s refused; the polite one: {others} refused",
        statistics.median(ratios),
        must=1.10,
        stretch=1.05,
    )


def lines(workers: int = 1) -> Iterator[Line]:
    """A line for each way; rounds of all ways take turns on one node."""
    environ: dict[str, Any] = {"PYPES_TOKEN": _OWN}
    with node(five_filters(), workers=workers, instances=os.cpu_count() or 1, environ=environ) as running:
        running.headers = {"Authorization": f"Bearer {_OWN}"}
        found = _measured(running)
    for way in [*found][1:]:
        yield _line(way, found, workers)
