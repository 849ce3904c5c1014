"""One graph must not be able to stop another: latency of a healthy graph beside one that is broken in each way.

``python -m benchmarks.shares [--quick] [WAY…]`` prints a table. Two nodes run: on one the other graph is healthy, too (the
reference), on the other it is broken; they are loaded in turn, and ratios are of rounds that follow one another. Both graphs
get single documents at the same steady rate on both nodes. ``control`` compares two nodes that are both healthy: it shows
what of a ratio is noise.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import uvloop

from benchmarks.documents import SINGLE
from benchmarks.measure import five_filters, processor_s
from benchmarks.open_loop import Answers, Client, flood, quantile, steady
from benchmarks.report import Line
from pypes.testing.node import Node, free_port, running

#: Documents a second, for each of the two graphs.
RATE = 200
JSON = {"Content-Type": "application/json"}
PARTS = Path(__file__).with_name("broken_parts.py")
#: Number of the document that ends instances, in each round of the way ``poison``.
_POISON = 100
COLUMNS = "| the other graph | 202: p50 | p95 | ratio | published: p50 | p95 | ratio | processor | answers to the other |"


class Extent(NamedTuple):
    """``rounds`` of ``seconds`` on each node; ``deliveries`` and ``letters`` are bounds of a node: a graph has half of them."""

    rounds: int = 9
    seconds: float = 3.0
    deliveries: int = 100_000
    letters: int = 20_000


QUICK = Extent(rounds=3, seconds=2.0, deliveries=4000, letters=1000)


class Way(NamedTuple):
    """A way of being broken.

    ``filter`` and ``publisher`` take the place of one of a healthy graph, ``refused`` is the status of POSTs at the bound,
    ``is_paused`` before any come. ``has_keys``: each POST has a key of its own.
    """

    name: str
    filter: str = ""
    publisher: str = ""
    refused: int = 0
    is_paused: bool = False
    has_keys: bool = False


WAYS = (
    Way("control"),
    Way("letters", filter="Reject", refused=507),
    Way("paused", refused=429, is_paused=True),
    Way("down", publisher="Refused"),
    Way("poison", filter="Deadly"),
    Way("keys", has_keys=True),
)


def graph(name: str, way: Way) -> dict[str, Any]:
    """A healthy graph, or one that is broken in a way."""
    made = five_filters({"component": way.publisher, "params": {"port": free_port()}} if way.publisher else None)
    if way.filter:
        made["nodes"]["set2"] = {"component": way.filter, "params": {}}
    return {**made, "name": name, "routes": [name]}


class Round(NamedTuple):
    """A round on one node: what the healthy graph saw, answers to the other one by status, processor seconds per second."""

    healthy: Answers
    other: Answers
    processor: float


class Figures(NamedTuple):
    """Of all rounds in a way: medians in ms and, of p95, medians of the ratios to the round before on the reference."""

    accepted: tuple[float, float]
    accepted_ratio: float
    published: tuple[float, float]
    published_ratio: float
    processor: tuple[float, float]
    statuses: Mapping[int, int]

    def row(self, way: Way) -> str:
        one, two = self.accepted, self.published
        statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))
        return (
            f"| {way.name} | {one[0]:.2f} ms | {one[1]:.2f} ms | {self.accepted_ratio:.2f} | {two[0]:.2f} ms | {two[1]:.2f} ms |"
            f" {self.published_ratio:.2f} | {self.processor[1]:.0%}, reference {self.processor[0]:.0%} | {statuses} |"
        )


def compared(rounds: list[tuple[Round, Round]]) -> Figures:
    """Figures of pairs of rounds, the reference first."""

    def middle(values: Iterator[float]) -> float:
        return statistics.median(values)

    def p95s(answers: str) -> float:
        pairs = [[quantile(getattr(side.healthy, answers), 0.95) for side in pair] for pair in rounds]
        return middle(broken / reference for reference, broken in pairs)

    def of(answers: str) -> tuple[float, float]:
        sides = [getattr(broken.healthy, answers) for _, broken in rounds]
        return middle(quantile(side, 0.5) for side in sides), middle(quantile(side, 0.95) for side in sides)

    statuses = sum((broken.other.statuses for _, broken in rounds), start=type(rounds[0][1].other.statuses)())
    reference, broken = middle(one.processor for one, _ in rounds), middle(other.processor for _, other in rounds)
    return Figures(of("accepted"), p95s("accepted"), of("published"), p95s("published"), (reference, broken), statuses)


class Side:
    """A node with a healthy graph and one that is as ``way`` says, and the load on both."""

    _numbers = itertools.count()

    def __init__(self, node: Node, way: Way) -> None:
        self.way = way
        self._node = node
        self._client = Client(node.port)
        assert node.process is not None
        self._process = psutil.Process(node.process.pid)

    def _document(self, number: int) -> tuple[bytes, Mapping[str, str]]:
        return SINGLE, JSON

    def _other_document(self, number: int) -> tuple[bytes, Mapping[str, str]]:
        body, headers = SINGLE, JSON
        if self.way.has_keys:
            headers = {**JSON, "Idempotency-Key": f"key-{next(self._numbers)}"}
        if self.way.filter == "Deadly" and number == _POISON:
            body = json.dumps({**json.loads(SINGLE), "deadly": True}).encode()
        return body, headers

    async def break_it(self, extent: Extent) -> None:
        """Bring the other graph to its bound."""
        if self.way.is_paused:
            status, answer = await self._client.request("POST", "/graphs/other/pause")
            if status != 200:
                raise RuntimeError(answer)
        if self.way.refused:
            most = 2 * max(extent.deliveries, extent.letters)
            await flood(self._client, "/docs/other", self._other_document, until=self.way.refused, most=most)

    async def round(self, seconds: float) -> Round:
        before = processor_s(self._process)
        healthy, other = await asyncio.gather(
            steady(self._client, "/docs/healthy", self._document, rate=RATE, seconds=seconds),
            # between those of the other load: they would share commits
            steady(self._client, "/docs/other", self._other_document, rate=RATE, seconds=seconds, after=0.5, follows=False),
        )
        return Round(healthy, other, (processor_s(self._process) - before) / seconds)

    def close(self) -> None:
        self._client.close()


async def _measure(reference: Node, broken: Node, way: Way, extent: Extent) -> Figures:
    sides = Side(reference, WAYS[0]), Side(broken, way)
    try:
        await sides[1].break_it(extent)
        for side in sides:
            await side.round(1.0)  # warms up
        # each begins in turn: what comes later is not always the same side
        rounds: list[tuple[Round, Round]] = []
        for number in range(extent.rounds):
            first, second = sides[:: -1 if number % 2 else 1]
            pair = await first.round(extent.seconds), await second.round(extent.seconds)
            rounds.append(pair[:: -1 if number % 2 else 1])  # type: ignore[arg-type]
        return compared(rounds)
    finally:
        for side in sides:
            side.close()


def _node(stack: ExitStack, way: Way, extent: Extent) -> Node:
    base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    bounds = {
        "PYPES_LIMITS_QUEUE_MAX_DELIVERIES": str(extent.deliveries),
        "PYPES_LIMITS_DEAD_LETTERS_KEPT": str(extent.letters),
    }
    (base / "graphs").mkdir()
    (base / "graphs" / "other.json").write_text(json.dumps(graph("other", way)))
    healthy = graph("healthy", WAYS[0])
    return stack.enter_context(running(base, healthy, "--load", str(PARTS), workers=1, instances=2, environ=bounds))


def measured(extent: Extent, names: list[str] | None = None) -> Iterator[tuple[Way, Figures]]:
    """The figures of each way, or of those that are named."""
    with ExitStack() as stack:
        reference = _node(stack, WAYS[0], extent)
        for way in WAYS:
            if not names or way.name in names:
                with ExitStack() as own:
                    broken = _node(own, way, extent)
                    yield way, uvloop.run(_measure(reference, broken, way, extent))


def lines() -> Iterator[Line]:
    for way, figures in measured(Extent()):
        yield Line(
            f"healthy graph beside a broken one ({way.name}), {RATE} documents/s each: p95 against one beside a healthy one",
            f"202 p95 {figures.accepted[1]:.2f} ms ({figures.accepted_ratio:.2f}x), published p95 {figures.published[1]:.2f} ms",
            max(figures.accepted_ratio, figures.published_ratio),
            must=1.10,
            stretch=1.05,
        )


def main(arguments: list[str]) -> None:
    extent = QUICK if "--quick" in arguments else Extent()
    names = [name for name in arguments if name != "--quick"]
    sys.stdout.write(f"{COLUMNS}\n{'|---' * 9}|\n")
    for way, figures in measured(extent, names):
        sys.stdout.write(figures.row(way) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
