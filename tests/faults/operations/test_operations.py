"""Index = model: whatever is posted, fails, is replayed and killed, publishers are left with what the model says."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pypes.testing.clock import WallClock
from pypes.testing.node import until
from tests.faults.chaos.checks import few
from tests.faults.chaos.faults import Disk, Tally
from tests.faults.operations import checks, readers
from tests.faults.operations.authors import Author
from tests.faults.operations.disturbing import Disturbing
from tests.faults.operations.model import INDEX, LOG
from tests.faults.operations.node import GRAPHS, SPLITTERS, Folders, node_in
from tests.faults.operations.readers import Reader

DISK_BYTES = 1 << 30
#: Authors of each graph, in a short run and in a long one.
AUTHORS = (4, 6)
#: A run of more than so many seconds is a long one.
LONG_S = 60.0


@pytest.mark.timeout(3600)
def test_publishers_are_left_with_what_the_model_says(tmp_path: Path) -> None:
    seed = int(os.environ.get("PYPES_OPERATIONS_SEED", random.randrange(1 << 30)))
    operations = int(os.environ.get("PYPES_OPERATIONS", 2_500))
    seconds = float(os.environ.get("PYPES_OPERATIONS_S", 8))
    is_long = seconds > LONG_S
    print(f"\nseed {seed}")  # noqa: T201
    rng = random.Random(seed)
    stop = threading.Event()
    base, mended = tmp_path / "node", tmp_path / "mended"
    mended.mkdir()
    clock = WallClock(tmp_path / "clock")
    with closing(Disk(base / "data", DISK_BYTES)) as disk:
        data = base / "data"
        folders = Folders(mended, logs=tmp_path if is_long else data)
        # none is forgotten meanwhile, and in a short run they are folded after a second
        receipts_s = str(max(144.0, 2 * seconds))
        node = node_in(base, folders, workers=2, instances=2, PYPES_LIMITS_RECEIPTS_S=receipts_s, **clock.environ)
        try:
            node.start()
            node.wait_ready()
            authors = [
                Author(node.url, graph, f"{graph}{number}", mended, random.Random(rng.random()), stop)
                for graph in GRAPHS
                for number in range(AUTHORS[is_long])
            ]
            reader = Reader(data, authors, SPLITTERS, random.Random(rng.random()), stop)
            disturbing = Disturbing(node, disk, clock, folders, rng, is_long=is_long)
            began_s = time.monotonic()

            def goes_on() -> bool:
                count = sum(each.notes.count for each in authors)
                return count < operations and time.monotonic() < began_s + seconds and any(map(Author.is_alive, authors))

            for thread in (*authors, reader):
                thread.start()
            try:
                tally = disturbing.run_while(goes_on)
            finally:
                stop.set()
                for thread in (*authors, reader):
                    thread.join(60)
            assert not any(thread.is_alive() for thread in (*authors, reader)), f"seed {seed}: an author does not end"
            checks.drain(node)
            checks.learn_of_left_out(node, authors)
            left = {
                **{(graph, INDEX): readers.all_in_index(readers.index_path(data, graph), graph) for graph in GRAPHS},
                **{(graph, LOG): readers.all_in_log(readers.log_path(folders.logs, graph), graph) for graph in GRAPHS},
            }
            _report(authors, reader, tally, time.monotonic() - began_s)
            findings = [
                *tally.violations,
                *few(violation for author in authors for violation in author.notes.violations),
                *few(iter(reader.violations)),
                *few(checks.disorder(authors)),
                *few(checks.misfits(authors, left, SPLITTERS)),
                *few(checks.untrue_receipts(node, authors, rng)),
                *few(checks.untrue_letters(node, authors)),
            ]
            for graph in GRAPHS:
                own = [author for author in authors if author.graph == graph]
                findings += few(checks.unlike_hits(readers.index_path(data, graph), left[graph, INDEX], rng))
                findings += few(checks.broken_logs(readers.log_path(folders.logs, graph), own, SPLITTERS, rng))
                findings += few(checks.miscounted(node, graph))
            status = node.stop()
            if status != 0:
                findings.append(f"the server ended with {status}")
            until(lambda: not node.leftovers(), 10, f"seed {seed}: all processes gone, but {node.describe_leftovers()}")
        finally:
            node.close()
    assert not findings, f"seed {seed}:\n" + "\n".join(findings)
    assert reader.looks > 20, f"seed {seed}: hardly anything was looked at"


def _report(authors: list[Author], reader: Reader, tally: Tally, seconds: float) -> None:
    operations = sum((each.notes.operations for each in authors), Counter[str]())
    statuses = sum((each.notes.statuses for each in authors), Counter[str]())
    removed = sum((each.notes.removed for each in authors), Counter[str]())
    versions = [version for author in authors for document in author.documents for version in document.versions]
    unknown = sum(not version.receipt for version in versions)
    print(f"{sum(operations.values())} operations in {seconds:.0f} s: {dict(operations)}")  # noqa: T201
    print(f"{len(versions)} versions, {unknown} of them never answered; answers: {dict(statuses)}")  # noqa: T201
    print(f"{tally}; {reader.looks} looks of the reader; receipts that were followed removed {dict(removed)}")  # noqa: T201
