"""A day of receipts at 1,000 documents a second, simulated at full speed: size, look-ups, restart, memory.

``python -m benchmarks.receipts [HOURS [KEYS]]``. Receipts of single documents go to the store as an ingest worker writes them,
are folded by the code of the store, and are asked for through the queue. Only the posts are left out.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import uvloop

from pypes.core.limits import Limits
from pypes.core.nodetime import Clock
from pypes.ingest.accounts import Account, Kind, encode
from pypes.ingest.queues.embedded import EmbeddedQueue
from pypes.ingest.queues.retention import FOLD_S, ROWS
from pypes.ingest.receipt import ReceiptIds, ReceiptQuery
from pypes.ingest.store import folding
from pypes.ingest.store.blocks import MOST
from pypes.ingest.store.keys import key_row
from pypes.ingest.store.schema import ROW_BYTES
from pypes.ingest.store.shards import Shards
from pypes.ingest.store.store import Store
from pypes.ingest.store.write_batch import WriteBatch

RATE = 1000
START_MS = 1_700_000_000_000
_GRAPHS = ("people", "ships", "pages")
_KINDS = [Kind(graph, 3, 1, 1, 0, 0, ("index",), "") for graph in _GRAPHS]
_FAILED = Kind("pages", 3, 1, 0, 0, 1, (), "html")
#: Receipts that are left as they came, as an ingest worker leaves them.
_UNFOLDED_S = min(FOLD_S, ROWS / RATE)
_LOOKUPS = 3000


def commits(rng: random.Random, seconds: int) -> Iterator[tuple[int, int, list[Account]]]:
    """Key, salt and accounts of commits of one to five documents, 1,000 a second; a sixth have no id, one in 500 has failed."""
    ms = START_MS
    last = 0
    done = 0
    while done < seconds * RATE:
        number = rng.randint(1, 5)
        ms = START_MS + done  # a thousand documents are a second
        last = max(ms << 6, last + 1)
        accounts = []
        for _ in range(number):
            started = rng.choice((0, 1, 1, 2))
            kind = _FAILED if rng.random() < 0.002 else rng.choice(_KINDS)
            id = f"doc-{rng.randrange(100_000_000):08d}" if rng.random() < 0.83 else None
            accounts.append(Account(kind, started, started + rng.choice((1, 1, 2, 3, 5, 9)), id))
        done += number
        yield last, rng.getrandbits(14), accounts


def fill(folder: Path, seconds: int) -> tuple[float, int]:
    """Write and fold; returns the seconds of processor time for folding, and the number of deliveries."""
    rng = random.Random(1)
    folder.mkdir(parents=True)
    store = Store(folder / "queue.db", "never")
    batch = WriteBatch()
    waiting = total = 0
    folding_s = 0.0
    until = (START_MS + round((seconds - _UNFOLDED_S) * 1000)) << 6
    for key, salt, accounts in commits(rng, seconds):
        text, has_failed = encode(accounts)
        batch.receipts.append((key, salt, len(accounts), int(has_failed), ROW_BYTES + len(text), text))
        waiting, total = waiting + len(accounts), total + len(accounts)
        if len(batch.receipts) == 500:
            store.commit(batch)
            batch = WriteBatch()
        if waiting >= MOST and key < until:
            began = time.process_time()
            fold = store.read_fold(key, frozenset())
            assert fold is not None
            store.change(lambda connection, fold=fold: folding.write(connection, fold))  # type: ignore[misc]
            folding_s += time.process_time() - began
            waiting -= fold.entries
    store.commit(batch)
    store.close()
    return folding_s, total


async def looked_up(data: Path, seconds: int, rng: random.Random) -> dict[str, list[float]]:
    """Seconds for receipts of any age, from a file that is in the memory of the system, and from one that is not."""
    now_s = START_MS / 1000 + seconds
    began, processor = time.perf_counter(), time.process_time()
    limits = Limits(receipts_s=2.0 * seconds)  # none is forgotten, however long the simulated time
    queue = await EmbeddedQueue.open(Shards(data).lock(0), node=1, limits=limits, clock=Clock(lambda: now_s))
    found: dict[str, list[float]] = {"open": [time.perf_counter() - began], "open processor": [time.process_time() - processor]}
    path = data / "shards/000/queue.db"
    wanted = []
    for key, salt, accounts in commits(random.Random(1), seconds):
        if rng.random() < 2 * _LOOKUPS / (seconds * RATE / 3):
            wanted.append(ReceiptIds(1, 0, key, salt)[rng.randrange(len(accounts))])
    rng.shuffle(wanted)
    found["memory"] = [float(psutil.Process().memory_info().rss)]
    for name, ids in (("cold", wanted[: _LOOKUPS // 10]), ("warm", wanted[_LOOKUPS // 10 : _LOOKUPS])):
        times = found.setdefault(name, [])
        for id in ids:
            if name == "cold":
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            began = time.perf_counter()
            receipt = await queue.receipts.get(id)
            times.append(time.perf_counter() - began)
            assert receipt is not None, id
    times = found.setdefault("key", [])
    for _ in range(1000):
        began = time.perf_counter()
        await queue._reading.call(lambda: queue._store.find_key(f"people\0{rng.getrandbits(128):032x}"))
        times.append(time.perf_counter() - began)
    times = found.setdefault("list", [])
    for _ in range(100):
        began = time.perf_counter()
        await queue.receipts.find(ReceiptQuery("failed", now_s - rng.random() * seconds), 100)
        times.append(time.perf_counter() - began)
    await queue.close()
    return found


def measured(hours: float, keys: int) -> dict[str, float]:
    """The figures of so many hours; the queue is opened in a process of its own, whose memory is its own."""
    data = Path(tempfile.mkdtemp(dir=Path.cwd()))
    seconds = round(hours * 3600)
    try:
        began = time.perf_counter()
        folding_s, total = fill(data / "shards/000", seconds)
        path = data / "shards/000/queue.db"
        size = path.stat().st_size
        store = Store(path, "never")
        blocks, entries = store.read("SELECT count(*), total(entries) FROM blocks")[0]
        in_blocks, rows = store.read("SELECT (SELECT total(bytes) FROM blocks), (SELECT total(bytes) FROM receipts)")[0]
        store.close()
        if keys:
            fill_keys(path, seconds, keys)
        with_keys = path.stat().st_size
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.receipts", "--look", str(data), str(seconds)], stdout=subprocess.PIPE, check=True
        )
        found = orjson.loads(child.stdout)
        return {
            "receipts": total,
            "seconds": time.perf_counter() - began,
            "file": size,
            "blocks": blocks,
            "bytes each in blocks": in_blocks / entries if entries else 0.0,
            "bytes of rows": rows,
            "folding, processor us each": 1e6 * folding_s / entries if entries else 0.0,
            "keys": keys,
            "bytes each key": (with_keys - size) / keys if keys else 0.0,
            "open s": found["open"][0],
            "open processor s": found["open processor"][0],
            "memory": found["memory"][0],
            **{
                f"{name} {title} ms": 1000 * sorted(found[name])[int(part * (len(found[name]) - 1))]
                for name in ("warm", "cold", "key", "list")
                for title, part in (("p50", 0.5), ("p99", 0.99))
            },
        }
    finally:
        shutil.rmtree(data)


def fill_keys(path: Path, seconds: int, keys: int) -> None:
    """Idempotency keys of the last hour, a hundred in a commit."""
    rng = random.Random(2)
    store = Store(path, "never")
    for first in range(0, keys, 100):
        key = (START_MS + seconds * RATE - (keys - first) * 3_600_000 // max(keys, 1)) << 6
        rows = [key_row(f"people\0{rng.getrandbits(128):032x}", rng.randbytes(16), key, n, 1, "people") for n in range(100)]
        store.commit(WriteBatch(keys=rows))
    store.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--look"]:
        data, length = Path(sys.argv[2]), int(sys.argv[3])
        sys.stdout.buffer.write(orjson.dumps(uvloop.run(looked_up(data, length, random.Random(7)))))
    else:
        arguments = [float(text) for text in sys.argv[1:]]
        hours, keys = [*arguments, *(24.0, 3_600_000.0)[len(arguments) :]]
        for name, value in measured(hours, int(keys)).items():
            sys.stdout.write(f"{name}: {value:,.3f}\n")
