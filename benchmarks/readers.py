"""What a reader and the graph ``documents`` cost beside a loop of plain calls of the same library, in one process.

A reader runs as it does in an instance: behind the scheduler, and in a process of its own where it is shipped so. The loop calls
the reader and nothing else. Processor time is that of all processes of a side. Documents are what comes out: of a mail with two
attachments, three.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil
from pathlib import Path

import orjson
import psutil

from benchmarks.files import KINDS, files, packet_of, read
from benchmarks.measure import ROUNDS, Round, medians, node, processor_s
from benchmarks.real_work import posts, send_all, settle_all
from benchmarks.report import Line
from pypes import Packet, Publisher
from pypes.core.limits import Limits
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.spec import describe
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place
from pypes.runtime.scheduler import Feed, Scheduler
from pypes.structure import blocks_of
from pypes_documents.formats import format_of
from pypes_search.index import SearchIndex
from pypes_search.query import count
from pypes_search.row import Row, one_of
from pypes_search.vectors import Space, pack
from pypes_text.chunking import chunks_of
from pypes_text.language import Identifier
from pypes_text.lengths import Characters
from pypes_text.static_vectors import DIMS, StaticVectors, model_of

#: Files of a kind, and how many of them are a wave.
FILES, WAVE = 64, 32
#: Processor seconds that a round of the loop takes at least: the system counts them in hundredths.
ROUND_S = float(os.environ.get("PYPES_BENCH_READERS_S", "1.5"))
#: Files of each kind that the graph gets, and the kinds.
GRAPH_FILES = 40
GRAPH_KINDS = ("PDF", "DOCX", "PPTX", "XLSX", "HTML", "Markdown")
#: Rows that the loop writes in one transaction, as the publisher does.
ROWS = 256
#: Files in a POST.
POST_FILES = 8
#: Characters by which the language of a text is told.
TELLING = 2000


class Taking(Publisher):
    """Takes everything, and counts it."""

    taken = 0

    def process_batch(self, packets: list[Packet]) -> None:
        self.taken += len(packets)


def timed(work: Callable[[], int]) -> Round:
    """A round of work in this process and those below it; ``work`` says how many documents it was."""
    top = psutil.Process()
    before, start = processor_s(top), time.perf_counter()
    documents = work()
    took = time.perf_counter() - start
    return Round(documents, took, processor_s(top) - before)


class Reader:
    """The two sides of a kind of file: its adapter behind the scheduler, and the loop."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self._files = files(kind, number)
        spec = describe(KINDS[kind].adapter)
        graph = Graph(
            name="reader",
            nodes={"read": GraphNode("read", spec.name, {}), "end": GraphNode("end", "Taking", {})},
            wires=(Wire("read", "out", "end", "in"),),
        )
        self._end = Taking()
        self.scheduler = Scheduler(graph, {"read": place(graph, "read", spec, Site(), Limits()), "end": self._end})

    def _packets(self, passes: int) -> Iterator[Packet]:
        return (packet_of(self.kind, data) for _ in range(passes) for data in self._files)

    def loop(self, passes: int = 1) -> int:
        """Read all files so many times by plain calls; returns how many packets came of it."""
        name = KINDS[self.kind].format
        return sum(1 for packet in self._packets(passes) for _ in read(name, packet))

    def scheduled(self, passes: int = 1) -> int:
        """The same through the adapter, a wave at a time."""
        packets, taken = self._packets(passes), self._end.taken
        while wave := list(islice(packets, WAVE)):
            self.scheduler.submit(Feed(iter([("read", wave, range(len(wave)))]), len(wave)))
            self.scheduler.drain()
        return self._end.taken - taken

    def rounds(self) -> list[tuple[Round, Round]]:
        """Adapter and loop, in turn; the side that begins is another each time."""
        self.scheduler.setup()
        try:
            self.scheduled()
            self.loop()
            passes = ceil(ROUND_S / timed(self.loop).processor_s)
            found = []
            for number in range(ROUNDS):
                sides = (self.scheduled, self.loop)
                taken = {side: timed(lambda side=side: side(passes)) for side in sides[:: -1 if number % 2 else 1]}  # type: ignore[misc]
                found.append((taken[self.scheduled], taken[self.loop]))
        finally:
            self.scheduler.teardown()
        return found


def lines() -> Iterator[Line]:
    for kind in KINDS:
        rounds = Reader(kind, FILES).rounds()
        assert all(mine.documents == loop.documents for mine, loop in rounds), f"{kind}: a side lost documents"
        yield compared(f"reader {kind}: through its adapter, against its reader in a loop", rounds)


def compared(claim: str, rounds: list[tuple[Round, Round]]) -> Line:
    """Processor and wall time for a document, against a loop; what is more counts."""
    processor = statistics.median(mine.processor_us / loop.processor_us for mine, loop in rounds)
    wall = statistics.median(loop.rate / mine.rate for mine, loop in rounds)
    times, walls = medians(rounds, lambda each: each.processor_us / 1000), medians(rounds, lambda each: 1000 / each.rate)
    return Line(
        f"{claim}: the worse of processor and wall time",
        f"processor {times[0]:.2f} ms a document against {times[1]:.2f} ms ({processor:.2f}x),"
        f" wall {walls[0]:.2f} ms against {walls[1]:.2f} ms ({wall:.2f}x)",
        max(processor, wall),
        must=1.15,
        stretch=1.05,
    )


def mixed(kinds: tuple[str, ...], number: int) -> list[tuple[str, str, bytes]]:
    """Name, media type and content of so many files of each kind, in turn."""
    return [
        (f"{n}.{KINDS[kind].format}", KINDS[kind].media_type, files(kind, number)[n]) for n in range(number) for kind in kinds
    ]


class Script:
    """What the graph ``documents`` does, as a script with the same libraries, which syncs nothing."""

    def __init__(self, path: Path) -> None:
        self._identifier, self._model = Identifier(), StaticVectors()
        self._index = SearchIndex(path, "never")
        self._index.claim(Space(DIMS, model_of(DIMS)))

    def rows(self, document: tuple[str, str, bytes]) -> Iterator[tuple[Row, bytes | None]]:
        """The chunks of a document, each with its vector."""
        name, media_type, data = document
        packet = Packet.from_document({"data": data}, {"mimetype": media_type, "filename": name})
        for found in read(format_of(packet), packet):
            text, title = found["text"], found.get("title") or name
            language = found.get("language") or self._identifier.identify(text[:TELLING])[0][0]
            chunks = list(chunks_of(text, blocks_of(found), size=2000, overlap=0, level=2, length=Characters()))
            texts = [chunk.head + text[chunk.start : chunk.end] for chunk in chunks]
            for number, (chunk, part, vector) in enumerate(zip(chunks, texts, self._model.embed(texts, DIMS), strict=True), 1):
                fields = {"language": language, "heading": chunk.headings, "page": chunk.page, "start": chunk.start}
                stored = orjson.dumps({"fields": fields, "meta": {"filename": name, "mimetype": media_type}}).decode()
                yield Row(name, title, part, stored, part=f"chunk={number}"), pack(vector)

    def run(self, documents: list[tuple[str, str, bytes]]) -> int:
        rows = (row for document in documents for row in self.rows(document))
        while batch := list(islice(rows, ROWS)):
            self._index.apply([row for row, _ in batch], vectors={one_of(row): vector for row, vector in batch})
        return len(documents)

    def close(self) -> None:
        self._index.close()


def graph_lines() -> Iterator[Line]:
    """The graph ``documents`` on a node of one worker and one instance, from the first POST to the last one published."""
    documents = mixed(GRAPH_KINDS, GRAPH_FILES)
    rounds = []
    for number in range(ROUNDS):
        sides = (_node_run, _script_run)[:: -1 if number % 2 else 1]
        found = {side: side(documents) for side in sides}
        rounds.append((found[_node_run][0], found[_script_run][0]))
        assert found[_node_run][1] == found[_script_run][1], "the index of a side lacks chunks"
    yield compared(f"graph documents: {len(documents)} files of six kinds, against a script with the same libraries", rounds)


def _node_run(documents: list[tuple[str, str, bytes]]) -> tuple[Round, int]:
    """A round, and how many chunks the index has then."""
    graph = json.loads((Path(__file__).parent.parent / "graphs" / "documents.json").read_text())
    bodies = posts(documents, POST_FILES)
    warm = posts([("warm.md", "text/markdown", b"# Warm\n\nThe loom is warm, and so is the weaver.")])
    with node(graph, workers=1, instances=1) as running:
        assert running.process is not None
        top = psutil.Process(running.process.pid)
        settle_all(running, send_all(running.port, warm))
        before, start = processor_s(top), time.perf_counter()
        settle_all(running, send_all(running.port, bodies))
        took = time.perf_counter() - start
        return Round(len(documents), took, processor_s(top) - before), count(running.base / "data" / "search.db") - 1


def _script_run(documents: list[tuple[str, str, bytes]]) -> tuple[Round, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "search.db"
        script = Script(path)
        took = timed(lambda: script.run(documents))
        chunks = count(path)
        script.close()
        return took, chunks
