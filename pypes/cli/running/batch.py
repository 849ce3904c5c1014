"""Batch: a graph in this process, without server or queue, over pieces of files.

``python -m pypes.cli.running.batch`` is the process of one instance of ``pypes run``: it is told what to do on standard input
and reports on the file descriptor it is given, in frames (four bytes of length, then MessagePack): whenever portions of work are
done, and now and then in between.
"""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec

from pypes import logs
from pypes.cli.running.pieces import Piece
from pypes.cli.running.tally import SHOWN_FAILURES, Failed, NotRunning, Report, Tally
from pypes.core.clock import wall
from pypes.core.file_names import in_one_line
from pypes.core.lifeline import die_with_parent
from pypes.core.limits import Limits
from pypes.core.printed import cleaned_prints
from pypes.core.signals import leave_to_owner
from pypes.core.watched import watched_thread
from pypes.errors import BadRequest, PypesError
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
from pypes.runtime.scheduler import FAILED, PUBLISHED, Epoch, Failure, Scheduler
from pypes.runtime.scheduler.provenance import Marks, marks_of

#: Portions in the graph at once: while one is being committed, the next is parsed.
IN_FLIGHT = 2
CHUNK_BYTES = 1024 * 1024
SHOWN_CHARS = 1000
#: Seconds between two reports of an instance that has not finished a portion meanwhile.
REPORT_S = 0.2


class Job(msgspec.Struct, frozen=True):
    """Input of an instance: the graph and the components it uses, in their JSON forms."""

    graph: dict[str, Any]
    components: dict[str, dict[str, Any]]


class Batch:
    """One running copy of a graph. Use as a context manager; one thread."""

    def __init__(self, job: Job) -> None:
        graph = from_obj(job.graph, is_expanded=True)
        specs = {name: ComponentSpec.from_obj(obj) for name, obj in job.components.items()}
        self.limits = Limits()
        site = Site()
        logs.plain(site.hiding)
        self._graph = graph.name
        self._done: list[Epoch] = []
        with site.secrets.kept(), ExitStack() as until_it_ends:
            until_it_ends.enter_context(cleaned_prints(site.secrets.redact))
            components = {
                name: place(graph, name, specs[node.component], site, self.limits) for name, node in graph.nodes.items()
            }
            self._router = Router(graph, components)
            versions = {name: spec.version for name, spec in specs.items()}
            self._scheduler = Scheduler(
                graph,
                components,
                limits=self.limits,
                on_done=self._done.append,
                secrets=site.secrets,
                marks=Marks(marks_of(graph, 0, versions)) if graph.provenance else None,
            )
            self._scheduler.setup()
            self._until_it_ends = until_it_ends.pop_all()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._until_it_ends:
            self._scheduler.teardown()

    def run(self, portions: queue.Queue[list[Piece] | None]) -> Iterator[Report]:
        """Work until ``None`` is found in the queue; reports as portions get done, in any order, and now and then."""
        is_open = True
        report_at = time.monotonic() + REPORT_S
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
            if self._done or time.monotonic() >= report_at:
                yield self.report()
                report_at = time.monotonic() + REPORT_S

    def report(self) -> Report:
        """Take what is done since the last report, and look at what is not. May be called when :meth:`run` was interrupted."""
        done = Tally()
        portions = 0
        while self._done:
            portions += 1
            done.add(_tally(self._done.pop()))
        done.counts = {name: taken for name, each in self._scheduler.watch.counts.items() if (taken := each.take())}
        done.filters = self._scheduler.totals.take()
        state = Tally()
        for epoch in self._scheduler.epochs:
            _look_at(epoch, state)
        return Report(done, portions, state)

    def _advance(self) -> None:
        scheduler = self._scheduler
        scheduler.run()
        if scheduler.in_flight and scheduler.is_idle and not self._done and not scheduler.flush_holds():
            if scheduler.stands_still:
                scheduler.standstill.end_all()  # the documents have failed, and the command ends with an error
            else:
                scheduler.wait(REPORT_S)

    def _submit(self, portion: Sequence[Piece]) -> None:
        tally = Tally(size=sum(piece.length for piece in portion))
        sound: list[tuple[Piece, Arrived]] = []
        for piece in portion:
            try:
                sound.append((piece, self._open(piece)))
            except (PypesError, OSError) as error:
                tally.failed += 1
                place, told = piece.told(error) if isinstance(error, BadRequest) else (piece.place, str(error))
                tally.failures.append(Failed(place, "", getattr(error, "code", "run.unreadable"), told))
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
        tally.failures.append(Failed(place, letter.filter, letter.code, letter.error[:SHOWN_CHARS]))
    return tally


def _is_interrupted(letter: Failure) -> bool:
    return letter.code == "internal" and letter.error.startswith(KeyboardInterrupt.__name__)


def _look_at(epoch: Epoch, state: Tally) -> None:
    """Add what is known of an epoch that is not done."""
    own: Tally = epoch.feed.deliveries[0]
    flags = epoch.flags
    failed = flags.count(FAILED) + flags.count(FAILED | PUBLISHED)
    # the scheduler charges an interruption to the documents that were in hand; they have not failed
    interrupted = {document for letter in epoch.dead_letters if _is_interrupted(letter) for document in letter.documents}
    failed -= len(interrupted)
    published = flags.count(PUBLISHED)
    state.published += published
    state.failed += own.failed + failed
    state.size += own.size * (published + failed) // max(1, len(flags))


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
    leave_to_owner()  # Ctrl-C reaches all processes of a terminal, and the command decides
    die_with_parent()
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
        for report in batch.run(work):
            write_frame(reports, report)


if __name__ == "__main__":
    main(int(sys.argv[1]))
