"""A shadow: a process that runs copies of live deliveries through two versions of a graph and compares what comes of them.

``python -m pypes.runtime.trials.shadow LIFELINE``: a line of JSON (a :class:`Job`) on standard input, then one on standard
output whenever there is something new to report, the last with ``"is_done": true``. Copies come as ``DELIVER`` frames from the
ingest workers (:mod:`pypes.ingest.dispatch.copies`); it reads the next only when it has done with the last, so that what it
cannot keep up with is dropped by those who copy. Publishers are probes: nothing is published.

With ``record``, there is no candidate: the deliveries become tests, run twice so that what is not repeatable is left out.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from pypes import logs
from pypes.core.lifeline import die_with, watch
from pypes.core.printed import clean_prints
from pypes.core.secrets import Secrets
from pypes.errors import PypesError
from pypes.graph import codec
from pypes.graph.recording import MARKER, Hides, case_of, post_of, redacted_body
from pypes.graph.spec import ComponentSpec
from pypes.ingest import protocol
from pypes.ingest.codecs import check, media
from pypes.ingest.codecs.legible import legible
from pypes.ingest.protocol import FrameReader, Item
from pypes.observe.hiding import Hiding
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.watchdog import limit_memory
from pypes.runtime.making import Site
from pypes.runtime.trials.comparison import Comparison
from pypes.runtime.trials.shadow_job import Job
from pypes.runtime.trials.trial import Trial

#: Seconds between two reports of progress.
REPORT_S = 0.2
#: Larger deliveries make no test.
RECORDED_BYTES = 64 << 10
RECORDED_DOCUMENTS = 100
BACKLOG = 128


class Compared:
    """Documents that both versions have seen, and the time each spent in its filters."""

    def __init__(self, job: Job, live: Trial, candidate: Trial, hiding: Hiding) -> None:
        self._wanted = job.documents
        self._trials = {"live": live, "candidate": candidate}
        self._spent_s: dict[str, dict[str, float]] = {}
        self._comparison = Comparison(hiding)
        self._runs = 0

    @property
    def is_done(self) -> bool:
        return self._comparison.documents >= self._wanted

    def take(self, waiting: Arrived) -> bool:
        """Run a copy through both versions, whichever was second last time first: caches and the like favour nobody."""
        self._runs += 1
        order = ["live", "candidate"] if self._runs % 2 else ["candidate", "live"]
        found = {}
        for side in order:
            trial = self._trials[side]
            found[side] = trial.each(waiting)
            for name, spent_s in trial.spent_s.items():
                sides = self._spent_s.setdefault(name, {})
                sides[side] = sides.get(side, 0.0) + spent_s
        pairs = zip(found["live"], found["candidate"], strict=True)
        for document, (live, candidate) in enumerate(pairs):
            if not self.is_done:
                self._comparison.add(waiting.item.receipt, document, live, candidate)
        return True

    def to_obj(self) -> dict[str, Any]:
        filters = {
            name: {f"{side}_ms": round(spent_s * 1000, 3) for side, spent_s in sorted(sides.items())}
            for name, sides in sorted(self._spent_s.items())
        }
        return {**self._comparison.to_obj(), "filters": filters}


class Recorded:
    """Deliveries as tests."""

    def __init__(self, job: Job, live: Trial, hiding: Hiding) -> None:
        self._wanted = job.record
        self._redact = frozenset(job.redact)
        self._hides: Hides = lambda name: name in self._redact or hiding.hides(name)
        self._limits = job.limits
        self._trial = live
        self._publishers = live.publishers
        self._documents = 0
        self._tests: list[dict[str, Any]] = []

    @property
    def is_done(self) -> bool:
        return len(self._tests) >= self._wanted

    def take(self, waiting: Arrived) -> bool:
        """Make a test of a copy; False if it cannot be one."""
        header = waiting.item.header
        is_plain = header.method == "POST" and not (header.replays or header.start or header.only or header.is_lenient)
        if not is_plain or len(waiting.body) > RECORDED_BYTES or header.documents > RECORDED_DOCUMENTS:
            return False
        body, encoding = waiting.body, "" if waiting.item.is_decoded else header.encoding
        plain = body if not encoding else check(header, body, self._limits)[1]
        found = None
        if plain is not None:
            content_type, text = legible(header.content_type, plain, self._limits)
            found = redacted_body(text, media.parse(content_type).codec, self._hides)
            if found is not None and found != plain:
                body, encoding = found, ""
                header = msgspec.structs.replace(header, content_type=content_type)
        if self._redact:
            if found is None:
                return False
            named = {name: MARKER for name in ("id", "filename") if name in self._redact and getattr(header, name) is not None}
            header = msgspec.structs.replace(header, **named)
        header = msgspec.structs.replace(header, encoding=encoding, length=len(body))
        item = Item(0, waiting.item.receipt, header, len(body))
        runs = [self._trial.push([Arrived(None, item, body)]) for _ in range(2)]
        arrived = [{name: run.arrived[name] for name in self._publishers} for run in runs]
        others = {"route": header.route, "id": header.id, "filename": header.filename}
        post = post_of(body, header.content_type, encoding, others)
        name = f"recorded {waiting.item.receipt}"
        case = case_of(name, post, arrived[0], arrived[1], runs[0].dropped, runs[0].failures, self._hides)
        if case is not None:
            self._tests.append(case)
            self._documents += header.documents
        return case is not None

    def to_obj(self) -> dict[str, Any]:
        return {"documents": self._documents, "tests": self._tests}


class Service:
    """Takes copies until ``work`` is done. ``report(value)`` is called with what is to be told."""

    def __init__(self, listener: socket.socket, work: Compared | Recorded, report: Any, secrets: Secrets) -> None:
        self._listener = listener
        self._secrets = secrets
        self._work = work
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._readers: dict[socket.socket, FrameReader] = {}
        #: By connection, the number that comes next if no copy was left out.
        self._next: dict[socket.socket, int] = {}
        self._missed = 0
        self._reported_at = 0.0
        self._has_news = True
        self._selector.register(listener, selectors.EVENT_READ)

    def run(self) -> None:
        while not self._work.is_done:
            timeout_s = None
            if self._has_news:
                timeout_s = max(0.0, self._reported_at + REPORT_S - time.monotonic())
            ready = self._selector.select(timeout_s)
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)
            if self._has_news and time.monotonic() - self._reported_at >= REPORT_S:
                self._send_report(False)
        self._send_report(True)

    def _send_report(self, is_done: bool) -> None:
        self._reported_at, self._has_news = time.monotonic(), False
        self._report({**self._secrets.shown(self._work.to_obj()), "missed": self._missed, "is_done": is_done})

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._readers[connection] = FrameReader()
        self._next[connection] = 0
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(protocol.READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            del self._readers[connection], self._next[connection]
            connection.close()
            return
        for kind, head, body in self._readers[connection].feed(data):
            if kind == protocol.DELIVER:
                for item, own in protocol.read_items(head, body):
                    self._missed += item.number - self._next[connection]
                    self._next[connection] = item.number + 1
                    if not self._work.is_done:
                        self._has_news = True
                        self._missed += not self._work.take(Arrived(None, item, own))
                    if self._has_news and time.monotonic() - self._reported_at >= REPORT_S:
                        self._send_report(False)


def main(lifeline: int) -> None:
    """One shadow for the node: see the module."""
    die_with(lifeline)
    watch([lifeline])
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    # what components print must not get between the lines of the report
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    site = Site(job.paths, redact=job.hides)
    logs.configure(f"shadow-{os.getpid()}", json=job.log_json, level=job.log_level, hiding=site.hiding)
    clean_prints(site.secrets.redact)
    logs.keep(Path(job.socket).parent, job.log_ring_bytes)
    if job.max_memory_bytes:
        limit_memory(job.max_memory_bytes)

    def report(value: Any) -> None:
        rest = memoryview(msgspec.json.encode(value) + b"\n")
        while rest:
            rest = rest[out.write(rest) :]

    try:
        serve(job, report, site)
    except PypesError as error:
        report({"error": {"code": error.code, "message": site.secrets.redact(error.message), "where": error.where}})


def serve(job: Job, report: Any, site: Site) -> None:
    """Set up, listen, work. Raises :class:`ComponentError` naming the filter that cannot be set up."""
    specs = {name: ComponentSpec.from_obj(obj) for name, obj in job.components.items()}
    with ExitStack() as stack:
        graphs = [job.live] if job.candidate is None else [job.live, job.candidate]
        live, *rest = [
            stack.enter_context(
                Trial(
                    codec.from_obj(obj, is_expanded=True),
                    specs,
                    site=site,
                    has_wires=bool(job.record),
                    limits=job.limits,
                    pools=job.pools,
                )
            )
            for obj in graphs
        ]
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(job.socket)
        listener.listen(BACKLOG)
        report({"is_ready": True})
        work = Compared(job, live, rest[0], site.hiding) if rest else Recorded(job, live, site.hiding)
        Service(listener, work, report, site.secrets).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
