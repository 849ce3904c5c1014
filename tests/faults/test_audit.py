"""The audit log when processes are killed: every change has its line, and no line is without its change.

``PYPES_CHAOS_S`` is how long changes and kills go on, ``PYPES_CHAOS_SEED`` what they are chosen by.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import urllib3

from pypes.access.audit import FIRST_HASH, AuditQuery, Line, Place, hash_of
from pypes.access.trail import Trail
from pypes.core.databases import connect
from pypes.core.nodetime import Clock
from pypes.testing.node import Node, chaos_seconds, serving, until
from tests.access.kept import lines_in
from tests.faults.authors import OWN, PARTS, Author, graph

DEFAULT_S = 8.0
AUTHORS = 4
LETTERS = 400
VICTIMS = ("supervisor", "worker", "arbiter")
#: Changes that must have been answered at least.
CHANGES = 40

#: Has a child do what it is told in a folder of its own, and die at the first statement, the second, and so on, until it lives.
DYING = """
import asyncio, itertools, os, signal, sqlite3, sys
from pathlib import Path
from pypes.access.audit import Cause, line_of
from pypes.runtime.file_store import FileStores
from pypes.runtime.graphs.draft_store import DraftedFilter, GraphDraft
from pypes.runtime.graphs.store import ControlStore, StoredGraph
from pypes.runtime.graphs.stores import GraphStores
from tests.component.test_store import put

base, what = Path(sys.argv[1]), sys.argv[2]
cause = Cause("", "ada")
DOING = {
    "deploy": lambda folder, store: store.deploy(StoredGraph("g", 1, {}, 5.0), cause),
    "filter": lambda folder, store: store.drafts.put_filter(DraftedFilter("d", "Null", {}), cause),
    "save": lambda folder, store: store.drafts.put(GraphDraft("g", 1, graph={}), [line_of(cause, "draft.save", graph="g")]),
    "clear": lambda folder, store: asyncio.run(GraphStores(folder, store).clear("g", "f", cause)),
    "finish": lambda folder, store: asyncio.run(GraphStores(folder, store).finish()),
}

def lives(folder, what, last):
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    count = 0
    def step(sql):
        nonlocal count
        count += 1
        if count > last:
            os.kill(os.getpid(), signal.SIGKILL)
    store, plain = ControlStore(folder / "control.db"), sqlite3.connect
    def traced(*args, **options):
        db = plain(*args, **options)
        db.set_trace_callback(step)
        return db
    sqlite3.connect = traced
    store._db.set_trace_callback(step)
    DOING[what](folder, store)
    os._exit(0)

for last in itertools.count():
    folder = base / f"{last:03d}"
    folder.mkdir()
    ControlStore(folder / "control.db").close()
    store = FileStores(folder / "stores").open("g", "f", "C", 10)
    put(store, a=b"1")
    store.close()
    if lives(folder, what, last):
        break
    if what == "clear":
        lives(folder, "finish", last % 7)
        assert lives(folder, "finish", 1000)
"""


def died(base: Path, what: str) -> list[Path]:
    """The folders that were left, each of a process that died a statement later; the last one lived."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", DYING, str(base), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(root)})
    assert done.returncode == 0, done.stderr
    return sorted(base.iterdir())


@pytest.mark.parametrize(("what", "table"), [("deploy", "live"), ("filter", "filters"), ("save", "drafts")])
def test_a_kill_at_any_statement_leaves_change_and_line_or_neither(tmp_path: Path, what: str, table: str) -> None:
    found = []
    for folder in died(tmp_path, what):
        with closing(connect(folder / "control.db")) as db:
            (count,) = db.execute(f"select count(*) from {table}").fetchone()
        assert len(lines_in(folder)) == count
        found.append(count)
    assert found == sorted(found)
    assert len(found) > 4, "nothing was ever in between"
    assert found[-1] == 1


def test_a_store_that_was_being_cleared_is_cleared_once_the_node_is_back(tmp_path: Path) -> None:
    """Its file is another one: the change is finished at the next start, whatever was killed, that start included."""
    found = []
    for folder in died(tmp_path, "clear"):
        with closing(connect(folder / "stores" / "g" / "f.db")) as db:
            (entries,) = db.execute("select count(*) from entries").fetchone()
        lines = [(line.operation, line.by, line.graph, line.object) for line in lines_in(folder)]
        assert lines == ([] if entries else [("store.clear", "ada", "g", "f")])
        found.append(entries)
    assert found == sorted(found, reverse=True)
    assert len(found) > 6, "nothing was ever in between"
    assert found[-1] == 0


# -- a storm --------------------------------------------------------------------------------------------------


def letters_of(node: Node) -> list[str]:
    """Dead letters in both shards."""
    headers = {"Authorization": f"Bearer {OWN}"}
    body = json.dumps([{"n": "many"}] * 20).encode()
    for _ in range(LETTERS // 20):
        with urllib3.PoolManager() as http:  # another connection each time: another worker, perhaps
            asked = {"Content-Type": "application/json", **headers}
            receipt = http.request("POST", f"{node.url}/docs/base", body=body, headers=asked).json()["receipt"]
            assert http.request("GET", f"{node.url}/receipts/{receipt}?wait=30", headers=headers).json()["finished"]
    node.headers = headers
    return [letter["id"] for letter in node.get("/deadletters?limit=1000").json()["deadletters"]]


def storm(node: Node, authors: list[Author], rng: random.Random, seconds: float, stop: threading.Event) -> Counter[str]:
    """Kill processes of the node while authors change it; returns what was killed, how often.

    However slow the machine is, each kind is killed, and something has been changed in between.
    """
    killed: Counter[str] = Counter()
    pause = threading.Event()
    end = time.monotonic() + seconds
    for author in authors:
        author.start()
    while time.monotonic() < end or len(killed) < len(VICTIMS) or sum(len(each.answered) for each in authors) < CHANGES:
        pause.wait(rng.uniform(0.2, 0.8))
        victim = rng.choice(VICTIMS if len(killed) == len(VICTIMS) else [each for each in VICTIMS if each not in killed])
        if victim == "supervisor":
            node.kill()
            node.start()
        else:
            for process in node.roles()[victim][:1]:
                process.kill()
        killed[victim] += 1
        node.wait_ready()
        until(lambda: len(node.roles()["worker"]) == 2, 30, "two workers")
    stop.set()
    for author in authors:
        author.join(60)
        assert not author.is_alive()
        assert author.failure is None, author.failure
    return killed


def shards_of(node: Node) -> list[Path]:
    return sorted((node.base / "data" / "shards").glob("*/queue.db"))


def entries_in(path: Path, source: int) -> Iterator[Line]:
    """The lines of a file, of which each must cover those before it."""
    with closing(connect(path, "ro")) as db:
        known = FIRST_HASH
        query = AuditQuery(is_newest_first=False)
        rows = db.execute("select number, at, line, hash from audit order by number").fetchall()
        entries = Trail(Clock(), source).page(db, query, 10_000_000)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    for entry, (number, at, text, digest) in zip(entries, rows, strict=True):
        assert entry.place == Place(at, source, number)
        known = hash_of(known, entry.id, text.encode())
        assert known == digest
        yield entry.line


def rows_of(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def unlike(what: str, changes: Counter[Any], lines: Counter[Any]) -> list[str]:
    """How changes and their lines differ."""
    unequal = (each for each in changes | lines if changes[each] != lines[each])
    return [f"{what} {each}: {changes[each]} changes, {lines[each]} lines" for each in unequal]


@pytest.mark.timeout(3600)
def test_every_change_has_its_line_and_no_line_is_without_a_change(tmp_path: Path) -> None:
    seed = int(os.environ.get("PYPES_CHAOS_SEED", random.randrange(1 << 30)))
    print(f"\nseed {seed}")  # noqa: T201
    rng = random.Random(seed)
    (tmp_path / "parts.py").write_text(PARTS)
    stop = threading.Event()
    environ = {"PYPES_TOKEN": OWN, "PYPES_SERVER_CONSOLIDATE_S": "2"}
    flags = ("--load", str(tmp_path / "parts.py"))
    node = Node(tmp_path, graph("base"), *flags, workers=2, instances=1, environ=environ)
    for name in ("other", "paused"):
        node.add(graph(name))
    with serving(node):
        letters = letters_of(node)
        rng.shuffle(letters)
        authors = [Author(node, f"author{n}", random.Random(rng.random()), letters[n::AUTHORS], stop) for n in range(AUTHORS)]
        killed = storm(node, authors, rng, chaos_seconds(DEFAULT_S), stop)
        assert node.stop() == 0
        control = node.base / "data" / "control.db"
        lines = [*entries_in(control, 0)]
        letter_lines = [line for number, path in enumerate(shards_of(node), 1) for line in entries_in(path, number)]
    done = Counter((line.operation, line.object) for line in (*lines, *letter_lines))
    print(f"{sum(done.values())} lines; killed {dict(killed)}; {Counter(line.operation for line in lines + letter_lines)}")  # noqa: T201

    findings: list[str] = []
    versions = Counter((name, version) for name, version in rows_of(control, "select name, version from graphs"))
    findings += unlike("version", versions, Counter((line.graph, line.after) for line in lines if line.after is not None))
    tokens = rows_of(control, "select name, revoked is not null from tokens")
    findings += unlike("token", Counter(name for name, _ in tokens), named(lines, "token.create"))
    findings += unlike("revoked", Counter(name for name, is_revoked in tokens if is_revoked), named(lines, "token.revoke"))
    made, gone = named(lines, "filter.create"), named(lines, "filter.delete")
    findings += unlike("draft", Counter(id for (id,) in rows_of(control, "select id from filters")), made - gone)
    findings += [f"draft {id} was deleted and never made" for id in gone - made]
    drafts = dict(rows_of(control, "select name, graph from drafts"))
    for author in authors:
        kept_save = int(json.loads(drafts.get(f"draft-{author.name}", '{"description": 0}'))["description"])
        assert author.saved <= kept_save <= author.sent, f"{author.name} was answered save {author.saved}, {kept_save} is kept"
        assert bool(kept_save) == any(line.operation == "draft.save" and line.graph == f"draft-{author.name}" for line in lines)
    states = [line.operation for line in lines if line.graph == "paused" and line.operation != "graph.deploy"]
    assert all(one != other for one, other in pairwise(states)), states
    is_paused = rows_of(control, "select name from paused") == [("paused",)]
    assert is_paused == (states[-1:] == ["graph.pause"])

    kept = {row for path in shards_of(node) for row in rows_of(path, "select id, is_edited from dead_letters")}
    runs = {row[0] for path in shards_of(node) for row in rows_of(path, "select receipt from replays")}
    replays = [line for line in letter_lines if line.operation == "deadletters.replay"]
    left = {id for id, _ in kept}
    removed = named(letter_lines, "deadletters.delete") + named(letter_lines, "deadletters.replay")
    initial = set(letters)
    findings += unlike("letter", Counter(initial - left), Counter({id: count for id, count in removed.items() if id in initial}))
    findings += unlike("replay", Counter(runs), Counter(line.receipt for line in replays))
    edited = named(letter_lines, "deadletters.edit")
    findings += [f"letter {id} is edited: {bool(is_edited)}" for id, is_edited in kept if bool(is_edited) != bool(edited[id])]

    for author in authors:
        for kind, name in author.answered:
            if kind == "graph.deploy":
                assert any(f"{line.graph} {line.after}" == name for line in lines), f"{name} was answered, and has no line"
            elif not done[kind, name]:
                findings.append(f"{kind} {name} was answered, and has no line")
    assert not findings, f"seed {seed}:\n" + "\n".join(findings[:20])


def named(lines: list[Line], operation: str) -> Counter[str]:
    """What lines of an operation are about."""
    return Counter(line.object for line in lines if line.operation == operation)
