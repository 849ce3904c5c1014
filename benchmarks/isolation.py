"""Costs of a process for a reader: pages of about 30 KB through the HTML adapter, isolated and pooled, against in the instance.

Each runs in a graph of its own, in front of a publisher that takes everything; interleaved, medians of the ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.documents import PROSE
from benchmarks.report import Line
from pypes.component import Component, Publisher
from pypes.core.limits import Limits
from pypes.core.pools import Pool
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.spec import describe
from pypes.packet import Packet
from pypes.placement import isolate
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place
from pypes.runtime.scheduler import Feed, Scheduler
from pypes_documents.html_adapter import HTML

ROUNDS = 7
PAGES = 400
WAVE = 100
PAGE_BYTES = 30_000


class IsolatedHTML(HTML):
    """The same in a process of its own."""

    isolated = True


class Swallow(Publisher):
    """Takes everything."""

    def process_batch(self, packets: list[Packet]) -> None:
        return None


def page(n: int) -> bytes:
    """A page of paragraphs, links and a table, about half of it text."""
    words = PROSE[n * 613 % 100_000 :].replace("&", "&amp;").replace("<", "&lt;").split()
    parts = [f"<!doctype html><html lang=en><head><title>Page {n}</title><meta name=generator content=bench></head><body>"]
    size, at = 0, 0
    while size < PAGE_BYTES:
        text = " ".join(words[at : at + 12])
        part = f'<p id="p{at}" class="text"><a href="/page/{n}/{at}">{words[at]}</a> <b>{text}</b></p>'
        part += f"<table><tr><td>{at}</td><td>{words[at + 1]}</td></tr></table>\n"
        parts.append(part)
        size += len(part)
        at += 12
    return "".join(parts).encode()


GRAPH = Graph(
    name="pages",
    nodes={"html": GraphNode("html", "HTML", {}, pool=Pool(processes=1)), "end": GraphNode("end", "Swallow", {})},
    wires=(Wire("html", "out", "end", "in"),),
)


def graph_of(reader: Component) -> Scheduler:
    scheduler = Scheduler(GRAPH, {"html": reader, "end": Swallow()})
    scheduler.setup()
    return scheduler


def run(scheduler: Scheduler, pages: list[bytes]) -> float:
    """Seconds for all pages, a wave at a time."""
    start = time.perf_counter()
    for at in range(0, len(pages), WAVE):
        part = [Packet.from_document({"data": data}, {"mimetype": "text/html"}) for data in pages[at : at + WAVE]]
        scheduler.submit(Feed(iter([("html", part, range(len(part)))]), len(part)))
        scheduler.drain()
    return time.perf_counter() - start


def lines() -> Iterator[Line]:
    pages = [page(n) for n in range(PAGES)]
    inline, isolated = graph_of(HTML()), graph_of(isolate(IsolatedHTML(), limits=Limits()))
    pooled = graph_of(place(GRAPH, "html", describe(HTML), Site(), Limits()))
    try:
        run(isolated, pages)
        run(pooled, pages)
        rounds = [(run(inline, pages), run(isolated, pages), run(pooled, pages)) for _ in range(ROUNDS)]
    finally:
        for scheduler in (inline, isolated, pooled):
            scheduler.teardown()
    rates = [PAGES / statistics.median(side) for side in zip(*rounds, strict=True)]
    for side, name, must in ((1, "in a process of its own", 0.7), (2, "in a pool of one process", 0.8)):
        yield Line(
            f"isolation: pages of 30 KB through the HTML adapter, {name} against in the instance",
            f"{rates[side]:,.0f}/s against {rates[0]:,.0f}/s",
            statistics.median(times[0] / times[side] for times in rounds),
            must=must,
            stretch=0.9,
            more_is_better=True,
        )
