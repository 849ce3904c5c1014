"""Vectors in an index: how they are packed, checked, merged, and what a process that is killed leaves of them."""

from __future__ import annotations

import math
import random
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Packet, Pipeline
from pypes.component.searching import SearchQuery
from pypes.errors import ComponentError
from pypes_search.hits import Hit
from pypes_search.index import SearchIndex
from pypes_search.query import ask, search
from pypes_search.row import Row, one_of
from pypes_search.sqlite_search import SQLiteSearch
from pypes_search.vectors import MOST_DIMENSIONS, Space, pack

from .test_search_index import check


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search.db"


def near(path: Path, vector: Sequence[float], limit: int = 10, **more: Any) -> list[Hit]:
    """What is found by a vector alone."""
    return ask(path, SearchQuery("nothing", limit, **more), lambda *_: (vector, "")).hits


def publish(path: Path, *packets: Packet, **params: Any) -> list[Any]:
    """Publish packets; returns their dead letters."""
    publisher = SQLiteSearch()
    publisher.configure({"path": str(path), **params})
    with Pipeline(publisher) as pipeline:
        pipeline.push(packets)
        return list(pipeline.dead_letters)


def document(id: str, vector: Any, model: str = "m", **fields: Any) -> Packet:
    packet = Packet({"text": f"word {id}", "vector": vector, **fields}, {"id": id})
    if model:
        packet.set_meta("model", model, "vector")
    return packet


class TestPacking:
    def test_what_is_alike_is_found_as_exact_numbers_would_find_it(self, path: Path) -> None:
        rng = random.Random(4)
        vectors = {str(n): [rng.gauss(0, 1) * rng.choice([1, 1000]) for _ in range(64)] for n in range(300)}
        index = SearchIndex(path, "never")
        index.claim(Space(64))
        rows = {id: Row(id, id, "text") for id in vectors}
        index.apply(list(rows.values()), vectors={one_of(row): pack(vectors[id]) for id, row in rows.items()})
        index.close()
        asked = [rng.gauss(0, 1) for _ in range(64)]

        def cosine(vector: list[float]) -> float:
            return sum(a * b for a, b in zip(asked, vector, strict=True)) / math.hypot(*vector)

        exact = sorted(vectors, key=lambda id: -cosine(vectors[id]))
        found = [hit.id for hit in near(path, asked, 300)]
        assert sorted(found) == sorted(exact)
        # places of those that are as good as equal may differ
        assert max(abs(found.index(id) - place) for place, id in enumerate(exact)) <= 12
        assert found[:3] == exact[:3]

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ([1.0, "2"], "something other than numbers"),
            ([1.0, None], "something other than numbers"),
            ([1.0, math.nan], "not finite"),
            ([1.0, math.inf], "not finite"),
            ([1.7e308, 1.7e308], "not finite"),
            ([10**400, 1], "not finite"),
            ([], "0 numbers"),
            ([0.5] * (MOST_DIMENSIONS + 1), "are possible"),
        ],
    )
    def test_what_is_no_vector_is_told(self, value: list[Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            pack(value)

    @given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
    def test_it_is_rounded_to_what_is_nearest(self, values: list[float]) -> None:
        packed = pack(values)
        most = max(map(abs, values))
        if packed is None:
            assert most < 1e-300
        else:
            whole = struct.unpack(f"{len(values)}b", packed[4:])
            assert all(abs(value / most * 127 - number) <= 0.5001 for value, number in zip(values, whole, strict=True))
            assert struct.unpack("<f", packed[:4])[0] * math.hypot(*whole) == pytest.approx(1)

    def test_zeros_point_nowhere(self, path: Path) -> None:
        assert pack([0.0, 0]) is None
        assert publish(path, document("a", [[0.0, 0.0]]), document("b", [[0.0, 1.0]])) == []
        assert [hit.id for hit in near(path, [0.0, 1.0])] == ["b"]
        assert len(search(path, "word")) == 2


class TestPublishing:
    def test_vectors_are_found_and_are_no_text(self, path: Path) -> None:
        # as one value, and as the values of a field, as JSON has it
        publish(path, document("a", [[0.25, 1.0]]), document("b", [1.0, 0.25]))
        assert [hit.id for hit in near(path, [1, 0])] == ["b", "a"]
        assert search(path, "25") == []
        (hit,) = search(path, "a")
        assert "vector" not in hit.fields

    def test_another_field_holds_it_if_that_is_said(self, path: Path) -> None:
        assert publish(path, Packet({"text": "word", "vector": "seven", "v": [1.0, 2.0]}, {"id": "a"}), vector="v") == []
        assert [hit.id for hit in near(path, [1, 0])] == [hit.id for hit in search(path, "seven")] == ["a"]

    def test_without_a_field_for_it_lists_of_numbers_are_text(self, path: Path) -> None:
        assert publish(path, document("a", [1.5, 2.5]), vector="") == []
        assert [hit.id for hit in search(path, '"2.5"')] == ["a"]

    def test_one_of_another_length_is_a_dead_letter_that_names_both(self, path: Path) -> None:
        letters = publish(path, document("a", [[1.0, 2.0]]), document("b", [[1.0, 2.0, 3.0]]), document("c", [[1.0, 2.0]]))
        assert [letter.positions for letter in letters] == [(1,)]
        assert letters[0].code == "search.dimensions"
        assert "has 3 numbers" in letters[0].reason
        assert "have 2" in letters[0].reason
        assert [hit.id for hit in near(path, [1, 2])] == ["a", "c"]
        (letter,) = publish(path, document("d", [[1.0]]))  # in an index that is there
        assert letter.code in ("search.dimensions", "search.bad_vector")

    def test_one_of_another_model_is_a_dead_letter_that_names_both(self, path: Path) -> None:
        unnamed, named, other = document("a", [1.0, 2.0], ""), document("b", [1.0, 2.0]), document("c", [1.0, 2.0], "n")
        (letter,) = publish(path, unnamed, named, other)
        assert letter.positions == (2,)
        assert letter.code == "search.other_model"
        assert "by n," in letter.reason
        assert "by m;" in letter.reason

    def test_what_is_no_vector_is_a_dead_letter(self, path: Path) -> None:
        letters = publish(path, document("a", "seven"), document("b", [1.0, "x"]), document("c", [1.0, 1.0]))
        assert [letter.code for letter in letters] == ["search.bad_vector"] * 2
        assert "'vector' is no vector: it holds something other than" in letters[0].reason
        assert [hit.id for hit in near(path, [1, 1])] == ["c"]

    def test_the_length_is_checked_at_set_up(self, path: Path) -> None:
        publish(path, document("a", [1.0, 2.0]), dimensions=2)
        (letter,) = publish(path, document("b", [1.0, 2.0, 3.0]), dimensions=2)
        assert letter.code == "search.dimensions"
        with pytest.raises(ComponentError, match="holds vectors of 2 numbers, and parameter dimensions is 3"):
            publish(path, dimensions=3)

    def test_an_index_of_other_vectors_that_is_put_in_its_place_is_told(self, path: Path) -> None:
        publish(path.with_name("other"), document("x", [1.0, 2.0, 3.0]))
        publisher = SQLiteSearch()
        publisher.configure({"path": str(path)})
        with Pipeline(publisher) as pipeline:
            pipeline.push([document("a", [1.0, 2.0])])
            for each in path.parent.glob("search.db-*"):
                each.unlink()
            path.with_name("other").replace(path)
            pipeline.push([document("b", [1.0, 2.0])])
            assert [letter.code for letter in pipeline.dead_letters] == ["search.dimensions"]
        assert [hit.id for hit in near(path, [1, 2, 3])] == ["x"]


class TestBlocks:
    def test_many_small_blocks_are_merged_and_dead_ones_go(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_search.vectors.BLOCK_BYTES", 6 * 8)
        monkeypatch.setattr("pypes_search.vectors.MOST_SMALL", 4)
        index = SearchIndex(path, "never")
        index.claim(Space(2))
        rng = random.Random(7)
        model: dict[str, int] = {}
        for _ in range(400):
            id, number = str(rng.randrange(40)), rng.randrange(1, 100)
            if rng.random() < 0.3:
                index.apply([Row(id)])
                model.pop(id, None)
            else:
                row = Row(id, id, f"number {number}")
                index.apply([row], vectors={one_of(row): pack([number, 1])})
                model[id] = number
        index.close()
        check(path)
        assert {hit.id: hit.snippet for hit in near(path, [1, 0], 100)} == {id: f"number {n}" for id, n in model.items()}
        with closing(sqlite3.connect(path)) as db:
            (blocks,) = db.execute("SELECT count(*) FROM vectors").fetchone()
        assert blocks <= 4 + len(model) // 4 + 1

    def test_a_vector_goes_with_the_text_it_was_made_of(self, path: Path) -> None:
        index = SearchIndex(path, "never")
        index.claim(Space(2))
        old, new = Row("a", "a", "old"), Row("a", "a", "new")
        index.apply([old], vectors={one_of(old): pack([1, 1])})
        index.apply([new])  # as a writer does that knows of no vectors
        index.close()
        assert near(path, [1, 1]) == []
        check(path)


KILLS = {
    "between words and vectors": "vectors._write = kill",
    "in a merge": "vectors._merge = kill",
    "at the end of the transaction": "index.SearchIndex._forget = kill",
    "behind the transaction": "index.SearchIndex._is_sync_due = kill",
}


@pytest.mark.parametrize("when", KILLS)
def test_a_process_that_is_killed_leaves_words_and_vectors_of_one_version(when: str, path: Path) -> None:
    def version(run: int) -> list[Packet]:
        return [
            Packet(
                {"text": f"word v{run}", "vector": [float(run), float(n), 1.0]}, {"id": f"d{n}", "receipt": f"r{run}", "run": 1}
            )
            for n in range(5)
        ]

    publish(path, *version(1))
    script = f"""
import os, signal, sys
from pypes import Packet, Pipeline
from pypes_search import index, vectors
from pypes_search.sqlite_search import SQLiteSearch
kill = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
publisher = SQLiteSearch()
publisher.configure({{"path": sys.argv[1]}})
with Pipeline(publisher) as pipeline:
    {KILLS[when]}
    pipeline.push([
        Packet({{"text": "word v2", "vector": [2.0, float(n), 1.0]}}, {{"id": f"d{{n}}", "receipt": "r2", "run": 1}})
        for n in range(5)
    ])
"""
    assert subprocess.run([sys.executable, "-c", script, str(path)], timeout=60).returncode == -signal.SIGKILL
    expected = "v2" if when == "behind the transaction" else "v1"
    SearchIndex(path).close()
    check(path)
    assert {hit.snippet for hit in search(path, "word")} == {f"[word] {expected}"}
    hits = near(path, [1.0, 0.0, 0.0])
    assert sorted(hit.id for hit in hits) == [f"d{n}" for n in range(5)]
    assert {hit.snippet for hit in hits} == {f"word {expected}"}
    publish(path, *version(3))
    assert {hit.snippet for hit in near(path, [1.0, 0.0, 0.0])} == {"word v3"}
    check(path)
