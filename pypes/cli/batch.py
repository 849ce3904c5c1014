"""Batch: a graph in this process, without server or queue, over pieces of files.

``python -m pypes.cli.batch`` is the process of one instance of ``pypes run``: it is told what to do on standard input
and reports on the file descriptor it is given, one frame (four bytes of length, then MessagePack) per portion of work.
"""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from pypes import logs
from pypes.cli.pieces import Piece
from pypes.core.clock import wall
from pypes.core.file_names import in_one_line
from pypes.core.limits import Limits
from pypes.core.watched import watched_thread
from pypes.errors import PypesError
from pypes.graph.codec import from_obj
from pypes.graph.spec import ComponentSpec
from pypes.ingest.codecs import Checker, check
from pypes.ingest.delivery import Header
from pypes.ingest.protocol import Item
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.making import Site
from pypes.runtime.pools.placing import place
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Scheduler

#: Portions in the graph at once: while one is being committed, the next is parsed.
IN_FLIGHT = 2
CHUNK_BYTES = 1024 * 1024
SHOWN_FAILURES = 20
SHOWN_CHARS = 1000


class Job(msgspec.Struct, frozen=True):
    """Input of an instance: the graph and the components it uses, in their JSON forms."""

    graph: dict[str, Any]
    components: dict[str, dict[str, Any]]


class NotRunning(msgspec.Struct, frozen=True, tag=True):
    """Report of an instance that could not set up the graph, in place of a :class:`Tally`."""

    message: str
    code: str
    where: str


class Tally(msgspec.Struct, tag=True):
    """Outcome of a portion; ``failures`` holds the first failures, as (where, filter, code, error).

    ``counts`` is what filters have counted since the last tally, by filter and name.
    """

    size: int = 0
    published: int = 0
    dropped: int = 0
    failed: int = 0
    failures: list[tuple[str, str, str, str]] = msgspec.field(default_factory=list)
    counts: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)


class Batch:
    """One running copy of a graph. Use as a context manager; one thread."""

    def __init__(self, job: Job) -> None:
        graph = from_obj(job.graph)
        specs = {name: ComponentSpec.from_obj(obj) for name, obj in job.components.items()}
        self.limits = Limits()
        site = Site()
        logs.plain(site.secrets)
        with site.secrets.kept():
            components = {
                name: place(graph, name, specs[node.component], site, self.limits) for name, node in graph.nodes.items()
            }
        self._graph = graph.name
        self._router = Router(graph, components)
        self._done: list[Epoch] = []
        self._scheduler = Scheduler(graph, components, limits=self.limits, on_done=self._done.append, secrets=site.secrets)
        with site.secrets.kept():
            self._scheduler.setup()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *exception: object) -> None:
        self._scheduler.teardown()

    def run(self, portions: queue.Queue[list[Piece] | None]) -> Iterator[Tally]:
        """Work until ``None`` is found in the queue; yields as portions get done, in any order."""
        is_open = True
        while is_open or self._scheduler.in_flight:
            while is_open and self._scheduler.in_flight < IN_FLIGHT:
                try:
                    portion = portions.get(block=not self._scheduler.in_flight)
                except queue.Empty:
                    break
                if portion is None:
                    is_open = False
                else:
                    self._submit(portion)
            self._advance()
            while self._done:
                tally = _tally(self._done.pop())
                tally.counts = {name: taken for name, each in self._scheduler.watch.counts.items() if (taken := each.take())}
                yield tally

    def _advance(self) -> None:
        scheduler = self._scheduler
        scheduler.run()
        if scheduler.in_flight and scheduler.is_idle and not self._done and not scheduler.flush_holds():
            if scheduler.stands_still:
                scheduler.standstill.end_all()  # the documents have failed, and the command ends with an error
            else:
                scheduler.wait(1.0)

    def _submit(self, portion: Sequence[Piece]) -> None:
        tally = Tally(size=sum(piece.length for piece in portion))
        sound: list[tuple[Piece, Arrived]] = []
        for piece in portion:
            try:
                sound.append((piece, self._open(piece)))
            except (PypesError, OSError) as error:
                tally.failed += 1
                tally.failures.append((piece.place, "", getattr(error, "code", "run.unreadable"), str(error)))
        intake = Intake([waiting for _, waiting in sound], self._router, self.limits)
        feed = intake.feed()
        feed.deliveries = (tally, sound, intake)
        intake.epoch = self._scheduler.submit(feed)

    def _open(self, piece: Piece) -> Arrived:
        """Read a piece if it is small or a part, check it, and count its documents. Raises the error of a bad piece."""
        header = Header(
            graph=self._graph,
            content_type=piece.content_type,
            encoding=piece.encoding,
            filename=in_one_line(piece.name),
            length=piece.length,
        )
        receipt = _receipt(piece)
        body = piece.body
        if body is None:
            with Path(piece.path).open("rb") as file:
                if piece.length > self.limits.spool_bytes and not piece.is_part:
                    checker = Checker(header, self.limits)
                    while chunk := file.read(CHUNK_BYTES):
                        checker.feed(chunk)
                    counted = msgspec.structs.replace(header, documents=checker.finish())
                    return Arrived(None, Item(0, receipt, counted, 0, path=piece.path), b"")
                file.seek(piece.start)
                body = file.read(piece.length)
        count, decoded = check(header, body, self.limits)
        counted = msgspec.structs.replace(header, documents=count)
        return Arrived(
            None, Item(0, receipt, counted, len(body), is_decoded=decoded is not None), body if decoded is None else decoded
        )


def _receipt(piece: Piece) -> str:
    """An id in the form of a receipt's; the same for an unchanged file, so that a second run replaces the first."""
    received_s = Path(piece.path).stat().st_mtime if piece.path else wall()
    place = f"{Path(piece.path).absolute() if piece.path else '-'}#{piece.start}"
    digest = hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=10).digest()
    number = int(received_s * 1000) << 80 | int.from_bytes(digest, "big")
    version, variant = 0xF << 76, 3 << 62
    return str(uuid.UUID(int=number & ~version & ~variant | 7 << 76 | 2 << 62))


def _tally(epoch: Epoch) -> Tally:
    tally: Tally
    tally, sound, intake = epoch.feed.deliveries
    intake.epoch = None  # or the two would keep each other alive until the next collection
    for flag in epoch.flags:
        if flag & FAILED:
            tally.failed += 1
        elif flag & PUBLISHED:
            tally.published += 1
        else:
            tally.dropped += 1
    places = [piece.place for piece, waiting in sound for _ in range(waiting.documents)] if epoch.dead_letters else []
    for letter in epoch.dead_letters[:SHOWN_FAILURES]:
        place = places[letter.documents[0]] if letter.documents else ""
        tally.failures.append((place, letter.filter, letter.code, letter.error[:SHOWN_CHARS]))
    return tally


# -- the process of one instance --------------------------------------------------------------------------


def write_frame(file: IO[bytes], content: Any) -> None:
    data = msgspec.msgpack.encode(content)
    file.write(len(data).to_bytes(4, "little") + data)
    file.flush()


def read_frame(file: IO[bytes]) -> bytes | None:
    """The next frame, ``None`` at the end."""
    head = file.read(4)
    return file.read(int.from_bytes(head, "little")) if len(head) == 4 else None


def main(report_fd: int) -> None:
    commands, reports = sys.stdin.buffer, os.fdopen(report_fd, "wb")
    job = read_frame(commands)
    assert job is not None
    work: queue.Queue[list[Piece] | None] = queue.Queue(IN_FLIGHT)

    def receive() -> None:
        while (frame := read_frame(commands)) is not None:
            work.put(msgspec.msgpack.decode(frame, type=list[Piece]))
        work.put(None)

    try:
        made = Batch(msgspec.msgpack.decode(job, type=Job))
    except PypesError as error:  # told to whoever runs the command, as a sentence
        write_frame(reports, NotRunning(error.message, error.code, error.where))
        return
    with made as batch:
        watched_thread(receive, "receiving")
        for tally in batch.run(work):
            write_frame(reports, tally)


if __name__ == "__main__":
    main(int(sys.argv[1]))
