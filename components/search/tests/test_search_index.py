"""The file of SQLiteSearch: its formats, and what becomes of it when it is removed, replaced or written over."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from pypes.component.searching import SearchQuery
from pypes.errors import StoreError
from pypes_search.hits import EXCERPT_CHARS
from pypes_search.index import SearchIndex
from pypes_search.query import ask, count, search
from pypes_search.row import Row, of_row, one_of
from pypes_search.schema import APPLICATION_ID, FORMAT
from pypes_search.vectors import Space, pack
from pypes_search.words import parted

from . import search_format_1, search_format_2, search_format_3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "search.db"


def row(id: str, text: str = "some text", **more: str) -> Row:
    return Row(id, "title", text, **more)


def ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return [id for (id,) in db.execute("SELECT id FROM documents ORDER BY key")]


def check(path: Path) -> None:
    """Nothing is damaged, the index of words says what the documents say, and vectors are only of these."""
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        places = "SELECT count(*) FROM vector_places p WHERE p.block = b.block"
        assert db.execute(f"SELECT block FROM vector_blocks b WHERE live != ({places})").fetchall() == []
        assert db.execute("SELECT block FROM vectors EXCEPT SELECT block FROM vector_blocks").fetchall() == []
        assert db.execute("SELECT key FROM vector_places EXCEPT SELECT key FROM documents").fetchall() == []


def remove(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


class TestFormat:
    def test_an_index_of_format_1_is_upgraded_in_place(self, path: Path) -> None:
        meta = [{"route": "news", "receipt": "r1"}, {}, {"route": 7, "receipt": None}]
        fields = [orjson.dumps({"fields": {}, "meta": each}).decode() for each in meta]
        texts = ["plain words", "我们在研究生命科学", "third"]
        search_format_1.write(path, zip("abc", ["A", "東京", "C"], texts, fields, strict=True))
        assert [hit.id for hit in search(path, "plain")] == ["a"]  # one that nobody has upgraded yet is read as it is
        index = SearchIndex(path)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)
            found = db.execute("SELECT key, route, id, part, version, text, fields FROM documents ORDER BY key").fetchall()
        assert found == [
            (1, "news", "a", "", "r1/0000000/0000000000000000", texts[0], fields[0]),
            (2, "", "b", "", "", texts[1], fields[1]),
            (3, "", "c", "", "", texts[2], fields[2]),
        ]
        assert [hit.id for hit in search(path, "科学")] == [hit.id for hit in search(path, "title:京")] == ["b"]
        index.apply([row("a", "newer", route="news"), row("a", "another", route="sport"), Row("c")])
        index.close()
        assert ids(path) == ["a", "b", "a"]
        assert not search(path, "plain")
        check(path)

    def test_an_index_of_format_2_is_upgraded_in_place(self, path: Path) -> None:
        row_2, other_row, plain = (
            orjson.dumps({"fields": {}, "meta": meta}).decode() for meta in ({"row": 2, "receipt": "r1"}, {"row": 3}, {})
        )
        place = "r2/0000003"
        chinese = "我们在研究生命科学"
        search_format_2.write(
            path,
            [
                ("people", "sheet/2", "", "r1", "", "one of a table", row_2, None),
                ("people", "sheet/7", "", "r1", "", "x", row_2, None),
                ("people", "alone", "", "r1/0000001", "", chinese, plain, parted(chinese)),
                ("", place, "digest", place, "", "nameless", other_row, None),
                ("", "digest", "", "", "", "outside", plain, None),
            ],
        )
        assert [(hit.id, hit.document, hit.part) for hit in search(path, "table")] == [("sheet/2", "sheet/2", "")]
        SearchIndex(path).close()
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)
            assert db.execute("SELECT count(*) FROM versions").fetchone() == (0,)
            found = db.execute("SELECT key, route, id, part, version, text, fields FROM documents ORDER BY key").fetchall()
        zero = "/0000000000000000"
        assert found == [
            (1, "people", "sheet", "row=2", f"r1/0000000{zero}", "one of a table", row_2),
            (2, "people", "sheet/7", "", f"r1/0000000{zero}", "x", row_2),
            (3, "people", "alone", "", f"r1/0000001{zero}", chinese, plain),
            (4, "", place, "digest", "", "nameless", other_row),
            (5, "", "digest", "", "", "outside", plain),
        ]
        assert [(hit.id, hit.document, hit.part) for hit in search(path, "table")] == [("sheet/row=2", "sheet", "row=2")]
        assert [hit.id for hit in search(path, "科学")] == ["alone"]
        index = SearchIndex(path)
        # a table of one row, and a delivery that was queued while the index was upgraded
        new = Row("sheet", "", "another", route="people", part="row=1", version=f"r3/0000000/{1:016}")
        told = ("sheet", "people", new.version, True, False)
        index.apply([new], [Row(place, "", "nameless again", part="digest")], [told])
        index.close()
        assert ids(path) == ["sheet/7", "alone", place, "digest", "sheet"]
        assert not search(path, "table")
        assert count(path) == 5
        check(path)

    def test_an_index_of_format_3_is_upgraded_in_place(self, path: Path) -> None:
        old, new = (f"r{n}/0000000/{1:016}" for n in (1, 2))
        fields = orjson.dumps({"fields": {"language": "en"}, "meta": {}}).decode()
        rows = [("news", "a", "", each, "A", f"word {each}", fields) for each in (old, new)]
        rows.append(("", "b", "row=1", old, "B", "word", "{}"))
        search_format_3.write(path, rows, [("a", "news", new)])
        # one that nobody has upgraded yet is read as it is, also with filters
        asked = SearchQuery("word", filters=("language=en",), principals=("ada",))
        assert [hit.id for hit in ask(path, asked, lambda *_: ([1.0], "")).hits] == ["a"]
        index = SearchIndex(path)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)
            assert db.execute("SELECT id, version, acl FROM documents ORDER BY key").fetchall() == [
                ("a", old, None),
                ("a", new, None),
                ("b", old, None),
            ]
        assert sorted(hit.id for hit in search(path, "word")) == ["a", "b/row=1"]
        index.claim(Space(2))
        newest = Row("a", "A", "word again", route="news", version=f"r3/0000000/{1:016}")
        index.apply([newest], told=[(*of_row(newest), True, False)], vectors={one_of(newest): pack([1, 0])})
        index.close()
        assert [hit.id for hit in ask(path, SearchQuery("nothing"), lambda *_: ([1.0, 0.0], "")).hits] == ["a"]
        assert sorted(ids(path)) == ["a", "b"]
        check(path)

    def test_an_upgrade_that_is_killed_has_changed_nothing(self, path: Path) -> None:
        search_format_1.write(path, ((str(n), "t", "word " * 200, "{}") for n in range(3000)))
        script = """
import os, signal, sys
from pathlib import Path
from pypes_search import schema
schema.parted = lambda text: os.kill(os.getpid(), signal.SIGKILL) if text == "t" and next(left) == 0 else None
left = iter(range(2000, -1, -1))
from pypes_search.index import SearchIndex
SearchIndex(Path(sys.argv[1]))
"""
        assert subprocess.run([sys.executable, "-c", script, str(path)], timeout=60).returncode == -signal.SIGKILL
        assert count(path) == 3000
        SearchIndex(path).close()
        assert count(path) == 3000
        check(path)

    def test_a_newer_format_is_refused(self, path: Path) -> None:
        SearchIndex(path).close()
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {FORMAT + 1}")
        for use in (lambda: SearchIndex(path), lambda: search(path, "x")):
            with pytest.raises(StoreError) as caught:
                use()
            assert caught.value.code == "search.newer_format"

    @pytest.mark.parametrize("kind", ["text", "database", "marked", "directory"])
    def test_what_is_not_ours_is_refused_and_not_touched(self, kind: str, path: Path) -> None:
        if kind == "directory":
            path.mkdir()
        elif kind == "text":
            path.write_text("not a database\n" * 100)
        else:
            with closing(sqlite3.connect(path)) as db, db:
                db.execute("CREATE TABLE a (b)")
                if kind == "marked":
                    db.execute("DROP TABLE a")
                    db.execute("PRAGMA application_id = 7")
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(StoreError) as caught:
            SearchIndex(path)
        assert caught.value.code == "search.not_an_index"
        assert (path.read_bytes() if path.is_file() else b"") == before
        assert {each.name for each in path.parent.iterdir()} <= {"search.db", "search.db-writer"}

    def test_the_file_says_at_once_whose_it_is(self, path: Path) -> None:
        index = SearchIndex(path)
        assert path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big")
        index.close()


class TestWatching:
    def test_a_file_that_was_removed_is_made_anew(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        first, second = SearchIndex(path), SearchIndex(path)
        for index in (first, second):
            index.apply([row("before")])
        assert not caplog.records
        remove(path)
        first.apply([row("a")])
        assert "an index was removed or replaced" in caplog.text
        second.apply([row("b")])
        first.apply([row("c")])
        assert ids(path) == ["a", "b", "c"]
        first.close()
        second.close()
        assert ids(path) == ["a", "b", "c"]
        check(path)

    @pytest.mark.parametrize("names", ["", "-wal -shm", "-wal", "-writer"])
    def test_a_part_of_it_that_was_removed(self, names: str, path: Path) -> None:
        first, second = SearchIndex(path), SearchIndex(path)
        first.apply([row("1")])
        second.apply([row("2")])
        for ending in names.split(" "):
            path.with_name(f"search.db{ending}").unlink()
        second.apply([row("3")])
        first.apply([row("4")])
        second.apply([row("5")])
        first.close()
        second.close()
        assert ids(path)[-3:] == ["3", "4", "5"]
        assert len(ids(path)) == (5 if names else 3)
        check(path)

    def test_an_index_that_is_moved_away_takes_along_all_it_was_given(self, path: Path) -> None:
        first, second = SearchIndex(path), SearchIndex(path)
        first.apply([row("1")])
        second.apply([row("2")])
        moved = path.replace(path.with_name("old.db"))  # its log stays behind
        second.apply([row("3")])
        first.apply([row("4")])
        assert ids(moved) == ["1", "2"]
        first.close()
        second.close()
        assert ids(path) == ["3", "4"]
        check(moved)
        check(path)

    def test_nothing_is_lost_of_an_index_that_is_moved_away_when_nothing_comes_any_more(self, path: Path) -> None:
        index = SearchIndex(path)
        index.apply([row("1")])
        moved = path.replace(path.with_name("old.db"))
        index.close()
        assert ids(moved) == ["1"]
        SearchIndex(path).close()  # inherits nothing
        assert ids(path) == []
        check(moved)

    @pytest.mark.parametrize("how", ["rename", "copy"])
    def test_an_index_that_is_put_in_its_place_is_gone_on_with(self, how: str, path: Path) -> None:
        other = path.with_name("backup.db")
        index = SearchIndex(other)
        index.apply([row("restored")])
        index.close()
        first, second = SearchIndex(path), SearchIndex(path)
        first.apply([row(f"{n}", f"word{n} " * 500) for n in range(200)])
        second.apply([row("mine")])
        first._checkpoint()
        second.apply([row("theirs")])
        first.apply([row("not yet in the file")])
        if how == "rename":
            other.replace(path)
        else:
            shutil.copyfile(other, path)
        second.apply([row("a")])
        first.apply([row("b")])
        first.close()
        second.close()
        assert ids(path) == ["restored", "a", "b"]
        check(path)

    def test_a_file_that_was_emptied_is_made_anew(self, path: Path) -> None:
        first, second = SearchIndex(path), SearchIndex(path)
        first.apply([row("before")])
        path.write_bytes(b"")
        second.apply([row("a")])
        first.apply([row("b")])
        second.close()
        first.close()
        assert ids(path) == ["a", "b"]
        check(path)

    @pytest.mark.parametrize("how", ["rename", "over", "database"])
    def test_another_thing_in_its_place_is_left_alone_until_it_is_gone(self, how: str, path: Path) -> None:
        index = SearchIndex(path)
        index.apply([row("before")])
        other = path.with_name("other")
        if how == "database":
            with closing(sqlite3.connect(other)) as db, db:
                db.execute("CREATE TABLE a (b)")
        else:
            other.write_text("somebody's text\n" * 10_000)
        content = other.read_bytes()
        if how == "over":
            path.write_bytes(content)
        else:
            other.replace(path)
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                index.apply([row("a")])
            assert caught.value.code == "search.not_an_index"
        assert path.read_bytes() == content
        path.unlink()
        index.apply([row("a")])
        index.close()
        assert ids(path) == ["a"]

    def test_a_vacuum_of_somebody_else_is_no_replacement(self, path: Path) -> None:
        index = SearchIndex(path)
        index.apply([row(str(n), f"word{n} " * 500) for n in range(200)])
        index.apply([Row(str(n)) for n in range(199)])
        index._checkpoint()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        inode = path.stat().st_ino
        index.apply([row("after")])
        assert path.stat().st_ino == inode
        index.close()
        assert ids(path) == ["199", "after"]
        check(path)


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("新宿", ["ja"]),
            ("東京", ["ja"]),
            ("京都 AND 新宿", ["ja"]),
            ("科学", ["zh"]),
            ("生命科*", ["zh"]),
            ("iPhone", ["zh"]),
            ("手机", ["zh"]),
            ("科生", []),
            ("ภาษา", ["th"]),
            ("words", ["en"]),
            ("caf*", ["en"]),
            ("supermarket", ["soft"]),
            ("super\u200bmarket", ["soft"]),
            ("안녕하세요", ["ko"]),
        ],
    )
    def test_words_without_spaces_between_them_are_found(self, query: str, found: list[str], path: Path) -> None:
        texts = {
            "ja": "東京都庁は新宿にあります。",
            "zh": "我们在研究生命科学,用iPhone手机",
            "th": "ฉันรักภาษาไทย",
            "en": "plain words in a café",
            "soft": "a super\u00admarket",
            "ko": "안녕하세요 여러분",
        }
        index = SearchIndex(path, "never")
        index.apply([Row(id, "", text, parted_text=parted(text)) for id, text in texts.items()])
        index.close()
        hits = search(path, query)
        assert [hit.id for hit in hits] == found
        assert all("\u200b" not in hit.snippet and "[" in hit.snippet for hit in hits)
        check(path)

    def test_a_hit_in_a_long_text_is_shown_without_looking_at_all_of_it(self, path: Path) -> None:
        index = SearchIndex(path, "never")
        text = "it begins " * EXCERPT_CHARS + "Fish and chips " * EXCERPT_CHARS
        index.apply([row("long", text), row("short", "fish")])
        index.close()
        shown = {hit.id: hit.snippet for hit in search(path, "fish AND (chips OR fish)")}
        assert "[Fish] and chips" in shown["long"]
        assert len(shown["long"]) < 200
        assert shown["short"] == "[fish]"
        (hit,) = search(path, "title:title fi* and chi*")
        assert "Fish" in hit.snippet
