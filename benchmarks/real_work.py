"""Real work: this machine's Python library into a full-text index, against what a Python user would reach for.

The other sides make the same library calls (selectolax, character sets, SQLite FTS5 with the same batched inserts) without
durability: ``multiprocessing.Pool.imap_unordered`` on all cores, and Falcon + Celery + Redis.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from urllib.parse import urljoin

import orjson
import psutil
from selectolax.lexbor import LexborHTMLParser

from benchmarks.load import Skipped, needs
from benchmarks.measure import ROUNDS, Round, listens, medians, node, processor_s
from benchmarks.report import Line
from pypes.testing.node import Node, free_port, until
from pypes_basic.charset import decode
from pypes_basic.labels import UTF_8
from pypes_documents.flow import OUT_OF_LINE, spaced, take_out
from pypes_documents.job import Text
from pypes_documents.page_blocks import add_blocks
from pypes_search.index import SearchIndex
from pypes_search.query import count
from pypes_search.row import Row

BATCH = 256
POST_FILES = 32
CLIENTS = 4
TYPES = {".py": "text/x-python", ".txt": "text/plain", ".html": "text/html", ".rst": "text/x-rst"}


def corpus() -> list[tuple[str, str, bytes]]:
    """Name, media type and content of the library's files, and each source as a page: half of the documents are HTML."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for path in sorted(library.rglob("*")):
        if path.suffix in TYPES and "site-packages" not in path.parts and path.is_file() and 0 < path.stat().st_size < 1 << 20:
            data = path.read_bytes()
            name = str(path.relative_to(library))
            found.append((name, TYPES[path.suffix], data))
            if path.suffix == ".py":
                found.append((name + ".html", "text/html", _page(name, data)))
    return found


def _page(name: str, data: bytes) -> bytes:
    lines = data.replace(b"&", b"&amp;").replace(b"<", b"&lt;").split(b"\n")
    body = b"\n".join(b'<p id="l%d"><a href="#l%d">%d</a> <code>%s</code></p>' % (n, n, n, line) for n, line in enumerate(lines))
    head = b'<!doctype html><html lang="en"><head><title>%s</title><meta name="generator" content="bench">' % name.encode()
    return head + b"<style>p {margin: 0}</style></head><body>" + body + b"</body></html>"


def work(document: tuple[str, str, bytes]) -> Row:
    """What the graph does to one document, as plain calls."""
    name, media_type, data = document
    fields: dict[str, object] = {}
    if media_type == "text/html":
        source, found = decode(data)
        tree = LexborHTMLParser(spaced(data if found.charset == UTF_8 else source))
        for tag in tree.css("meta[content]"):
            fields[f"meta.{tag.attributes.get('name')}"] = tag.attributes.get("content")
        if tree.root is not None:
            fields["language"] = tree.root.attributes.get("lang")
        targets = ((tag.attributes.get("href") or "").strip() for tag in tree.css("a[href]"))
        fields["links"] = list({urljoin("", target): None for target in targets if not target.startswith("#")})
        title_tag = tree.css_first("title")
        title = " ".join(title_tag.text().split()) if title_tag else ""
        take_out(tree.css(OUT_OF_LINE))
        blocks = Text(len(data) + 1)
        add_blocks(blocks, tree)
        text = blocks.text
    else:
        title = name
        text, found = decode(data)
    meta = {"filename": name, "mimetype": media_type, "charset": found.charset.name}
    stored = orjson.dumps({"fields": fields, "meta": meta}).decode()
    return Row(name, title, text, stored)


def pool_run(documents: list[tuple[str, str, bytes]], folder: Path) -> Round:
    """``imap_unordered`` on all cores; the parent inserts in batches, without syncing."""
    index = SearchIndex(folder / "pool.db", "never")
    before = _own_processor_s()
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        start = time.perf_counter()
        rows = pool.imap_unordered(work, documents, chunksize=16)
        while batch := list(islice(rows, BATCH)):
            index.apply(batch)
        took = time.perf_counter() - start
        pool.close()
        pool.join()
    processor = _own_processor_s() - before
    assert count(folder / "pool.db") == len(documents)
    index.close()
    return Round(len(documents), took, processor)


def _own_processor_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def posts(documents: list[tuple[str, str, bytes]], files: int = POST_FILES) -> list[tuple[str, bytes]]:
    """The documents as multipart bodies, so many files each."""
    made = []
    for start in range(0, len(documents), files):
        boundary = f"{start:032x}"  # as long as clients make them
        parts = [
            b'--%s\r\nContent-Disposition: form-data; name="f"; filename="%s"\r\nContent-Type: %s\r\n\r\n%s\r\n'
            % (boundary.encode(), name.encode(), media_type.encode(), data)
            for name, media_type, data in documents[start : start + files]
        ]
        made.append((f"multipart/form-data; boundary={boundary}", b"".join(parts) + b"--%s--\r\n" % boundary.encode()))
    return made


def send_all(port: int, bodies: list[tuple[str, bytes]]) -> list[dict[str, object]]:
    """POST every body over a few connections; returns the answers."""
    waiting = iter(bodies)
    lock = threading.Lock()
    answers: list[dict[str, object]] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            with lock:
                each = next(waiting, None)
            if each is None:
                break
            connection.request("POST", "/docs", body=each[1], headers={"Content-Type": each[0]})
            response = connection.getresponse()
            body = response.read()
            assert response.status == 202, body
            with lock:
                answers.append(json.loads(body))
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def settle_all(running: Node, answers: list[dict[str, object]]) -> None:
    """Wait until everything of these answers is published."""
    for answer in answers:
        path = f"/receipts/{answer['receipt']}?wait=10"
        until(lambda p=path: running.get(p).json()["state"] == "done", 300, "published")


def node_run(documents: list[tuple[str, str, bytes]]) -> Round:
    """From the first POST to the last document published, with every sync."""
    graph = json.loads((Path(__file__).parent.parent / "graphs" / "search.json").read_text())
    bodies = posts(documents)
    with node(graph, workers=1, instances=os.cpu_count() or 1) as running:
        assert running.process is not None
        top = psutil.Process(running.process.pid)
        before, start = processor_s(top), time.perf_counter()
        settle_all(running, send_all(running.port, bodies))
        took = time.perf_counter() - start
        processor = processor_s(top) - before
        assert count(running.base / "data" / "search.db") == len(documents)
    return Round(len(documents), took, processor)


def _count(database: Path) -> int:
    """Documents in an index that may not be there yet."""
    try:
        return count(database) if database.exists() else 0
    except sqlite3.OperationalError:  # the file is there, its tables are not
        return 0


@contextmanager
def celery_side(module: str, folder: Path, **environ: str) -> Iterator[tuple[int, list[psutil.Process]]]:
    """A module's Falcon front, its Celery workers on all cores, and Redis with every write synced; yields port and processes."""
    redis = needs("redis-server", "redis-server")
    if shutil.which("celery", path=str(Path(sys.executable).parent)) is None:
        raise Skipped("celery is not installed: .venv/bin/pip install celery redis")
    port, http_port = free_port(), free_port()
    environment = {**os.environ, "BENCH_REDIS": f"redis://127.0.0.1:{port}/0", **environ}
    environment["C_FORCE_ROOT"] = "1"  # Celery refuses pickle to root; here it only ever reads its own
    options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([redis, "--port", str(port), *options], **quiet)]  # type: ignore[call-overload]
    try:
        until(lambda: listens(port), 10, "redis listens")
        python = [sys.executable, "-m"]
        worker = [*python, "celery", "-A", module, "worker", "-c", str(os.cpu_count()), "--loglevel", "error"]
        front = [*python, "gunicorn", "-b", f"127.0.0.1:{http_port}", "-k", "gthread", "--threads", "8", f"{module}:web"]
        for command in (worker, front):
            processes.append(subprocess.Popen(command, env=environment, **quiet))  # type: ignore[call-overload]
        until(lambda: listens(http_port), 20, "the front listens")
        yield http_port, [psutil.Process(process.pid) for process in processes]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


def celery_run(documents: list[tuple[str, str, bytes]], folder: Path) -> Round:
    """Falcon in front, one task per POST, and workers on all cores."""
    database = folder / "celery.db"
    with celery_side("benchmarks.celery_app", folder, BENCH_INDEX=str(database)) as (port, tops):
        send_all(port, posts([("warm", "text/plain", b"up")]))
        until(lambda: _count(database) == 1, 30, "the workers are up")
        before, start = sum(map(processor_s, tops)), time.perf_counter()
        send_all(port, posts(documents))
        until(lambda: count(database) == len(documents) + 1, 300, "everything is indexed")
        took = time.perf_counter() - start
        return Round(len(documents), took, sum(map(processor_s, tops)) - before)


def lines() -> Iterator[Line]:
    documents = corpus()
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            pool = pool_run(documents, Path(folder))
        rounds.append((node_run(documents), pool))
    yield _line(
        f"real work: the library's {len(documents):,} files and pages into a search index, against"
        " multiprocessing.Pool without durability",
        rounds,
        must=0.92,
        stretch=1.0,
        before="0.8",
    )
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            celery = celery_run(documents, Path(folder))
        rounds.append((node_run(documents), celery))
    yield _line("same real work, against Falcon + Celery + Redis", rounds, must=2.2, stretch=3.0, before="2.0")


def _line(claim: str, rounds: list[tuple[Round, Round]], *, must: float, stretch: float, before: str) -> Line:
    rates, times = medians(rounds, lambda each: each.rate), medians(rounds, lambda each: each.processor_us)
    return Line(
        claim,
        f"{rates[0]:,.0f}/s against {rates[1]:,.0f}/s; {times[0]:,.0f} µs a document against {times[1]:,.0f} µs",
        statistics.median(mine.rate / other.rate for mine, other in rounds),
        must=must,
        stretch=stretch,
        more_is_better=True,
        before=before,
    )
