"""SQLiteSearch is told of complete documents: what is found of them in between and afterwards."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pypes import Packet, Pipeline, Transformer
from pypes.core.identity import Completed
from pypes_search.index import SearchIndex
from pypes_search.query import search
from pypes_search.sqlite_search import SQLiteSearch


class Lines(Transformer):
    """Parts for the lines of a text, in as many calls as it is long; over the line ``bad`` it fails."""

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        lines = str(packet["text"]).split()
        for number, line in enumerate(lines):
            if line == "bad":
                raise ValueError(line)
            self.send("out", packet.derive("line", number, {"text": f"word {line}"}))
        return None


class Rename(Transformer):
    """Gives packets another id."""

    def process(self, packet: Packet) -> Packet:
        packet.set_meta("id", f"new {packet.id}")
        return packet


class Documents(Transformer):
    """Documents of their own of the words of a text."""

    def process(self, packet: Packet) -> None:
        for number, word in enumerate(str(packet["text"]).split()):
            other = packet.clone()
            other.set_meta("id", f"a-{number}")
            other["text"] = f"word {word}"
            self.send("out", other)


def document(text: str, of: int, **meta: Any) -> Packet:
    return Packet({"text": text}, {"id": "a", "receipt": f"r{of}", "run": 1, **meta})


class Bench:
    """A pipeline into an index."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "search.db"
        self.publisher = SQLiteSearch()
        self.publisher.configure({"path": str(self.path)})
        self.removed = 0
        complete = self.publisher.complete

        def counted(documents: list[Completed]) -> int:
            count = complete(documents)
            self.removed += count
            return count

        self.publisher.complete = counted  # type: ignore[method-assign]

    def run(self, *packets: Packet, by: type[Transformer] = Lines) -> int:
        """Push packets; returns how many parts were removed."""
        self.removed = 0
        with Pipeline(by, self.publisher) as pipeline:
            pipeline.push(packets)
        return self.removed

    @property
    def found(self) -> list[str]:
        return sorted(hit.snippet.removeprefix("[word] ") for hit in search(self.path, "word", 100_000))

    @property
    def kept(self) -> int:
        with closing(sqlite3.connect(self.path)) as db:
            return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_documents_of_parts_are_replaced_and_deleted(bench: Bench) -> None:
    assert bench.run(document("x y z", 1)) == 0
    hits = search(bench.path, "word")
    assert sorted((hit.id, hit.document, hit.part) for hit in hits) == [(f"a/line={n}", "a", f"line={n}") for n in range(3)]
    assert bench.run(document("x", 2)) == 2
    assert bench.found == ["x"]
    assert bench.run(document("", 3)) == 1
    assert bench.found == []
    bench.run(document("u v", 4))
    assert bench.run(document("", 5, requestmethod="DELETE")) == 2
    assert bench.kept == 0


def test_a_document_that_fails_in_part_leaves_the_older_one(bench: Bench) -> None:
    bench.run(document("x y z", 1))
    assert bench.run(document("u bad", 2)) == 0
    assert bench.found == ["x", "y", "z"]
    assert bench.run(document("u", 2, run=2)) == 2
    assert bench.found == ["u"]


def test_a_document_of_several_waves_is_found_as_a_whole(bench: Bench) -> None:
    bench.run(document(" ".join(f"x{n}" for n in range(700)), 1))
    assert len(bench.found) == 700
    assert bench.run(document(" ".join(f"y{n}" for n in range(600)), 2)) == 100
    assert bench.found == sorted(f"y{n}" for n in range(600))
    assert bench.kept == 600


def test_an_index_that_was_taken_away_has_no_parts_to_remove(bench: Bench) -> None:
    with Pipeline(Lines, bench.publisher) as pipeline:
        pipeline.push([document("x y z", 1)])
        for each in bench.path.parent.glob("search.db*"):
            each.unlink()
        pipeline.push([document("x", 2)])
    assert bench.removed == 0
    assert bench.found == ["x"]


def test_several_versions_in_one_wave(bench: Bench) -> None:
    bench.run(document("t u", 1))
    assert bench.run(document("x y", 2), document("", 3), document("z", 4)) == 2
    assert bench.found == ["z"]
    bench.run(document("u v", 5), document("", 6, requestmethod="DELETE"))
    assert bench.kept == 0


def test_documents_that_get_another_id_on_the_way_end_with_their_own(bench: Bench) -> None:
    bench.run(document("word x", 1), by=Rename)
    bench.run(document("word y", 1, run=2), by=Rename)
    bench.run(document("word z", 2), by=Rename)
    assert [hit.id for hit in search(bench.path, "word")] == ["new a"]
    assert (bench.found, bench.kept) == (["z"], 1)


def test_many_documents_that_are_made_of_one_end_with_it(bench: Bench) -> None:
    text = " ".join(f"x{n}" for n in range(600))
    for of in (1, 2):
        bench.run(document(text, of), by=Documents)
    assert len(bench.found) == bench.kept == 600


def test_documents_without_an_id_are_as_many_as_they_were(bench: Bench) -> None:
    nameless = {"id": None, "run": None}
    for _ in range(2):
        bench.run(document("x x y", 1, **nameless), document("x", 2, **nameless))
        assert bench.found == ["x", "x", "x", "y"]
        assert bench.kept == 4


@pytest.mark.parametrize("call", ["look", "apply"])
def test_an_index_that_is_locked_for_a_moment_costs_nothing(call: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(SearchIndex, call, right)
        raise sqlite3.OperationalError("database is locked")

    bench.run(document("x y", 1))
    right = getattr(SearchIndex, call)
    monkeypatch.setattr("pypes_search.sqlite_search.RETRY_S", 0.01)
    monkeypatch.setattr(SearchIndex, call, fails_once)
    bench.run(document("z", 2), document("", 2, id="b"))
    assert getattr(SearchIndex, call) is right
    assert (bench.found, bench.kept) == (["z"], 1)


KILLS = {
    "between complete and commit": "SQLiteSearch.commit = kill",
    "at the end of the transaction": "index.SearchIndex._forget = kill",
    "before the rest is removed": "index.SearchIndex._remove_leftovers = kill",
}


@pytest.mark.parametrize("when", KILLS)
def test_a_process_that_is_killed_leaves_the_older_version_or_the_newer_one(when: str, bench: Bench) -> None:
    bench.run(document("x y z", 1))
    script = f"""
import os, signal, sys
from pypes import Packet, Pipeline
from pypes_search import index, versions
from pypes_search.sqlite_search import SQLiteSearch
kill = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
versions.MOST_REMOVED = 1
publisher = SQLiteSearch()
publisher.configure({{"path": sys.argv[1]}})
with Pipeline(publisher) as pipeline:
    {KILLS[when]}
    pipeline.push([Packet({{"text": "word u"}}, {{"id": "a", "receipt": "r2", "run": 1}})])
"""
    assert subprocess.run([sys.executable, "-c", script, str(bench.path)], timeout=60).returncode == -signal.SIGKILL
    assert bench.found == (["u"] if when == "before the rest is removed" else ["x", "y", "z"])
    bench.run(document("v", 2, run=2))
    assert (bench.found, bench.kept) == (["v"], 1)
