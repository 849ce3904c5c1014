"""SQLiteSearch and pypes-search."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pypes import Pipeline
from pypes.errors import NotFound, StoreError
from pypes.packet import Packet
from pypes.testing import ComponentSuite, run_component
from pypes.testing.node import until
from pypes_search.command import search as main
from pypes_search.index import SYNC_INTERVAL_S, SearchIndex
from pypes_search.query import count, search
from pypes_search.row import Row
from pypes_search.sqlite_search import SQLiteSearch


def document(text: str, **meta: Any) -> Packet:
    return Packet.from_document({"title": f"title of {text}", "text": text}, meta)


class TestSQLiteSearch(ComponentSuite):
    component = SQLiteSearch

    @pytest.fixture(autouse=True)
    def _in_its_own_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        self.path = tmp_path / "search.db"

    def publish(self, *packets: Packet, **params: Any) -> None:
        assert not run_component(SQLiteSearch, packets, **params).dead_letters

    def test_what_was_published_is_found(self) -> None:
        self.publish(*(document(f"word{number} common") for number in range(600)))
        (hit,) = search(self.path, "word321")
        assert hit.title == "title of word321 common"
        assert "[word321]" in hit.snippet
        assert count(self.path) == 600

    def test_what_is_said_of_the_character_set_is_kept(self) -> None:
        said = {"charset": "utf-8", "charset_declared": "x-bogus", "charset_guessed": True, "replaced_characters": 1}
        self.publish(document("word", processingtime=1, **said))
        assert orjson.loads(search(self.path, "word")[0].fields)["meta"] == said

    def test_where_a_document_lies_is_kept_and_told(self) -> None:
        self.publish(
            document("page", url="http://example.org/a", filename="a"), document("file", path="x/a.txt", filename="a.txt")
        )
        for word, said in (
            ("page", {"url": "http://example.org/a", "filename": "a"}),
            ("file", {"path": "x/a.txt", "filename": "a.txt"}),
        ):
            assert orjson.loads(search(self.path, word)[0].fields)["meta"] == said
            told = CliRunner().invoke(main, [str(self.path), word]).output
            assert told.splitlines()[-1] == "     " + next(iter(said.values()))

    def test_an_id_replaces_and_a_deletion_removes(self) -> None:
        self.publish(document("first", id="1"), document("other", id="2"))
        self.publish(document("second", id="1"))
        assert not search(self.path, "first")
        assert [hit.id for hit in search(self.path, "second")] == ["1"]
        self.publish(Packet(meta={"requestmethod": "DELETE", "id": "1"}))
        assert not search(self.path, "second")
        assert count(self.path) == 1

    def test_order_within_a_wave_counts(self) -> None:
        gone = Packet(meta={"requestmethod": "DELETE", "id": "1"})
        self.publish(document("a", id="1"), gone, document("b", id="1"), document("c", id="1"))
        assert [hit.id for hit in search(self.path, "c")] == ["1"]
        assert count(self.path) == 1

    def test_the_field_id_counts_where_metadata_has_none(self) -> None:
        packet = Packet.from_document({"id": 7, "text": "seven"})
        self.publish(packet)
        assert search(self.path, "seven")[0].id == "7"

    def test_a_delivery_that_is_run_again_doubles_nothing(self) -> None:
        for _ in range(2):
            same = [document("same", receipt="r1"), document("same", receipt="r1"), document("other", receipt="r1")]
            self.publish(*same, document("same", receipt="r2"))
            assert count(self.path) == 4

    def test_the_same_id_under_two_routes_is_two_documents(self) -> None:
        self.publish(document("one", id="1", route="a"), document("two", id="1", route="b"), document("three", id="1"))
        assert count(self.path) == 3
        self.publish(Packet(meta={"requestmethod": "DELETE", "id": "1", "route": "b"}), document("four", id="1", route="a"))
        assert [bool(search(self.path, word)) for word in ("one", "two", "three", "four")] == [False, False, True, True]

    @pytest.mark.parametrize("id", ["", None, True, 1.5, ["a"], {"a": 1}])
    def test_what_is_no_id_replaces_nothing(self, id: Any) -> None:
        for text in ("one", "two"):
            self.publish(Packet.from_document({"id": id, "text": text}, {"receipt": text}))
        assert count(self.path) == 2

    def test_an_id_that_cannot_be_one_is_rejected(self) -> None:
        result = run_component(SQLiteSearch, [Packet({"id": "x" * 3000}), document("fine", id="1")])
        assert [failure.code for failure in result.dead_letters] == ["document.id"]
        assert count(self.path) == 1

    def test_a_name_that_is_no_unicode_is_rejected_alone(self) -> None:
        packets = [
            document("neighbour", id="a", route="docs", receipt="r", run=1),
            document("route", id="b", route="r\udc80", receipt="r", run=1),
        ]
        (letter,) = run_component(SQLiteSearch, packets).dead_letters
        assert (letter.code, letter.error.split(" holds ")[0]) == ("search.bad_name", "the route 'r\\udc80'")
        assert [hit.id for hit in search(self.path, "neighbour OR route")] == ["a"]

    def test_equal_documents_of_one_delivery_are_as_many_as_they_were(self) -> None:
        for _ in range(2):
            self.publish(*(document("same", receipt="r", index=index) for index in range(1000)))
            assert count(self.path) == 1000

    def test_a_replay_replaces_what_its_first_run_published(self) -> None:
        self.publish(document("a", receipt="r1", index=3), document("b", receipt="r1", index=4))
        self.publish(document("a", receipt="r2", origin="r1", index=3))
        assert count(self.path) == 2
        assert search(self.path, "a")[0].id == "r1/0000003"

    def test_packets_made_of_one_document_are_kept_apart(self) -> None:
        rows = [Packet.from_document({"name": "same"}, {"receipt": "r", "row": row}) for row in range(600)]
        self.publish(*rows, document("one", receipt="s"), document("two", receipt="s"), document("two", receipt="s"))
        assert count(self.path) == 603

    def test_while_something_else_lies_there_it_waits(self, caplog: pytest.LogCaptureFixture) -> None:
        def restore() -> None:
            until(lambda: "rests" in caplog.text, 10, "said that it waits")
            seen.append(self.path.read_text())
            self.path.unlink()

        seen: list[str] = []
        with Pipeline(SQLiteSearch) as pipeline:
            assert list(pipeline.run([document("before", id="1")])) == []
            for each in self.path.parent.glob("search.db*"):
                each.unlink()
            self.path.write_text("somebody's file")
            restoring = threading.Thread(target=restore)
            restoring.start()
            assert list(pipeline.run([document("after", id="2")])) == []
            restoring.join(20)
            assert not pipeline.dead_letters
        assert seen == ["somebody's file"]
        assert [hit.id for hit in search(self.path, "before OR after")] == ["2"]

    def test_a_deletion_without_an_id_is_rejected(self) -> None:
        result = run_component(SQLiteSearch, [Packet(meta={"requestmethod": "DELETE"}), document("fine")])
        assert [failure.code for failure in result.dead_letters] == ["search.no_id"]
        assert count(self.path) == 1

    def test_all_text_is_indexed_and_everything_is_stored(self) -> None:
        fields = {"name": "Ada", "born": 1815, "deep": {"list": ["engine"]}, "links": ["http://linked"], "raw": b"\xff"}
        self.publish(Packet.from_document(fields, {"filename": "ada.json"}))
        for query in ("ada", "1815", "engine"):
            assert len(search(self.path, query)) == 1
        assert not search(self.path, "linked")
        stored = json.loads(search(self.path, "ada")[0].fields)
        assert stored["fields"]["links"] == ["http://linked"]
        assert search(self.path, "ada")[0].title == "ada.json"

    def test_a_field_without_values_is_kept_as_one(self) -> None:
        self.publish(Packet({"text": "one", "tags": []}))
        (hit,) = search(self.path, "one")
        assert json.loads(hit.fields)["fields"] == {"tags": []}

    def test_only_the_chosen_fields_are_indexed(self) -> None:
        self.publish(Packet.from_document({"a": "apple", "b": "banana", "headline": "H"}), fields=["a"], title="headline")
        assert search(self.path, "apple")[0].title == "H"
        assert not search(self.path, "banana")

    def test_instances_take_turns(self, tmp_path: Path) -> None:
        script = textwrap.dedent("""
            import sys
            from pypes.packet import Packet
            from pypes.testing import run_component
            from pypes_search.sqlite_search import SQLiteSearch
            for wave in range(20):
                ids = [f"{sys.argv[1]}-{wave}-{n}" for n in range(20)]
                packets = [Packet.from_document({"text": f"w{sys.argv[1]} {wave}"}, {"id": one}) for one in ids]
                assert not run_component(SQLiteSearch, packets, path="shared.db").dead_letters
        """)
        writers = [subprocess.Popen([sys.executable, "-c", script, str(number)], cwd=tmp_path) for number in range(3)]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
        assert count(tmp_path / "shared.db") == 1200
        with sqlite3.connect(tmp_path / "shared.db") as db:
            db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        db.close()

    @pytest.mark.parametrize(("durability", "syncs"), [("always", 3), ("interval", 1), ("never", 0)])
    def test_it_syncs_as_it_is_told(self, durability: str, syncs: int, monkeypatch: pytest.MonkeyPatch) -> None:
        index = SearchIndex(self.path, durability)
        synced: list[int] = []
        monkeypatch.setattr("pypes_search.index._sync", synced.append)
        index._synced_s -= SYNC_INTERVAL_S  # as if the last one were that long ago: one is due, and no second
        for number in range(3):
            index.apply([Row(str(number), "title", "text")])
        index.close()
        assert len(synced) == syncs

    def test_the_log_of_commits_does_not_grow_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pypes_search.index.CHECKPOINT_BYTES", 100_000)
        monkeypatch.setattr("pypes_search.index.MAX_LOG_BYTES", 300_000)
        first, second = SearchIndex(self.path, "never"), SearchIndex(self.path, "never")
        for number in range(200):
            (first, second)[number % 2].apply([Row(str(number), "title", f"text{number} " * 1000)])
        assert self.path.with_name("search.db-wal").stat().st_size < 1_000_000
        first.close()
        second.close()
        assert count(self.path) == 200


class TestSearchIndex:
    def test_a_transaction_that_fails_leaves_nothing(self, tmp_path: Path) -> None:
        index = SearchIndex(tmp_path / "search.db")
        with pytest.raises(sqlite3.IntegrityError):
            index.apply([Row("1", "fine", "text"), Row(None, "bad", "text")])  # type: ignore[arg-type]
        index.apply([Row("2", "fine", "text")])
        index.close()
        assert [hit.id for hit in search(tmp_path / "search.db", "text")] == ["2"]

    def test_other_files_and_newer_formats_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not a database" * 100)
        with sqlite3.connect(tmp_path / "other") as db:
            db.execute("CREATE TABLE a (b)")
        db.close()
        SearchIndex(tmp_path / "newer").close()
        with sqlite3.connect(tmp_path / "newer") as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        for name, code in (("text", "search.not_an_index"), ("other", "search.not_an_index"), ("newer", "search.newer_format")):
            with pytest.raises(StoreError) as caught:
                SearchIndex(tmp_path / name)
            assert caught.value.code == code

    def test_what_is_no_index_cannot_be_searched(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "other") as db:
            db.execute("CREATE TABLE a (b)")
        db.close()
        (tmp_path / "empty").touch()
        for name in ("other", "empty"):
            with pytest.raises(StoreError) as caught:
                search(tmp_path / name, "x")
            assert caught.value.code == "search.failed"

    def test_no_index(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            search(tmp_path / "none.db", "x")

    @given(st.text(max_size=40))
    def test_any_query_is_answered(self, query: str) -> None:
        assert isinstance(search(self.index_path, query), list)

    @pytest.fixture(autouse=True)
    def _an_index(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.index_path = tmp_path_factory.mktemp("index") / "search.db"
        index = SearchIndex(self.index_path, "never")
        index.apply([Row("1", "title", 'some "text" with os.path')])
        index.close()


class TestCommand:
    @pytest.fixture
    def database(self, tmp_path: Path) -> str:
        index = SearchIndex(tmp_path / "search.db", "never")
        index.apply([Row("1", "The title", "alpha beta", '{"fields": {"a": 1}, "meta": {}}'), Row("2", "Other", "beta gamma")])
        index.close()
        return str(tmp_path / "search.db")

    def test_hits_are_shown(self, database: str) -> None:
        result = CliRunner().invoke(main, [database, "alpha", "beta"])
        assert result.exit_code == 0
        assert "The title" in result.output
        assert "[alpha] [beta]" in result.output
        assert "Other" not in result.output

    def test_json(self, database: str) -> None:
        result = CliRunner().invoke(main, [database, "beta", "--json", "--limit", "1"])
        (hit,) = [json.loads(line) for line in result.output.splitlines()]
        assert hit["id"] in ("1", "2")

    def test_a_part_says_of_which_document_it_is(self, database: str) -> None:
        index = SearchIndex(Path(database), "never")
        index.apply([Row("sheet", "row", "delta", route="people", part="row=2"), Row("r/0000003", "", "delta", part="d1f3")])
        index.close()
        result = CliRunner().invoke(main, [database, "delta", "--json"])
        keys = ("id", "route", "document", "part")
        hits = [[json.loads(line).get(key) for key in keys] for line in result.output.splitlines()]
        assert sorted(hits) == [["r/0000003", None, None, None], ["sheet/row=2", "people", "sheet", "row=2"]]

    def test_nothing_found_and_no_index(self, database: str) -> None:
        assert CliRunner().invoke(main, [database, "delta"]).exit_code == 1
        result = CliRunner().invoke(main, [database + "x", "delta"])
        assert result.exit_code == 1
        assert "no index" in result.output
