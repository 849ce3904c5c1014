"""Questions to an index: conditions, access lists, pages, groups, citations, both rankings joined, and bounds."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypes import Packet, Pipeline
from pypes.component.searching import SearchQuery
from pypes.errors import InvalidInput, Unavailable
from pypes_search import query as query_module
from pypes_search.conditions import parse
from pypes_search.hits import Citation
from pypes_search.query import Answer, ask
from pypes_search.sqlite_search import SQLiteSearch

MAIL = {"created": "2026-03-01T08:30:00Z", "language": "de", "keywords": ["loom", "card"], "pages": 12, "draft": True}
PAGE = {"created": "2025-12-31", "language": "en", "pages": 3.5, "keywords": "loom", "draft": False}
#: 2026-02-01T00:00:00Z
FEBRUARY = 1769904000


def publish(path: Path, *packets: Packet) -> Path:
    publisher = SQLiteSearch()
    publisher.configure({"path": str(path)})
    with Pipeline(publisher) as pipeline:
        pipeline.push(packets)
        assert pipeline.dead_letters == []
    return path


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(
        tmp_path_factory.mktemp("asking") / "search.db",
        Packet({"text": "word", "title": "Mail", **MAIL}, {"id": "mail", "route": "mails", "modified": FEBRUARY + 3600}),
        Packet({"text": "word word", **PAGE}, {"id": "page", "modified": FEBRUARY - 1, "filename": "a=b.html"}),
        Packet({"text": "word word word"}, {"id": "bare", "mimetype": "text/plain"}),
        Packet({"text": "word secret"}, {"id": "ada only", "acl": ["ada"]}),
        Packet({"text": "word secret"}, {"id": "staff", "acl": ["ops", 'staff "1"']}),
        Packet({"text": "word secret"}, {"id": "one name", "acl": "ada"}),
        Packet({"text": "word secret"}, {"id": "nobody", "acl": []}),
        Packet({"text": "word secret"}, {"id": "null", "acl": None}),
    )


def found(path: Path, text: str = "word", **more: Any) -> list[str]:
    return sorted(hit.id for hit in ask(path, SearchQuery(text, **more)).hits)


class TestConditions:
    @pytest.mark.parametrize(
        ("filters", "ids"),
        [
            (["language=de"], ["mail"]),
            (["language = de "], ["mail"]),
            (["language=de", "language=en"], ["mail", "page"]),
            (["language=de", "created>=2026-01-01"], ["mail"]),
            (["language=en", "created>=2026-01-01"], []),
            (["language!=de"], ["bare", "page"]),
            (["language!=de", "language!=en"], ["bare"]),
            (["keywords=loom"], ["mail", "page"]),
            (["keywords=card"], ["mail"]),
            (["created>=2026-03-01"], ["mail"]),
            (["created>2026-03-01"], []),
            (["created>2026-02-28"], ["mail"]),
            (["created<=2026-03-01"], ["mail", "page"]),
            (["created<2026-03-01"], ["page"]),
            (["created>=2026-03-01T09:00:00Z"], []),
            (["created<=2026"], ["mail", "page"]),
            (["created>=2025-12-31", "created<=2025-12-31"], ["page"]),
            # seconds, as metadata has them, and field and metadata of one name
            (["modified>=2026-02-01"], ["mail"]),
            (["modified<2026-02-01"], ["page"]),
            (["modified<=2026-01-31"], ["page"]),
            (["modified>2026-01-31"], ["mail"]),
            (["modified=2026-02-01"], ["mail"]),
            (["modified>2026-02-01"], []),
            (["pages>3"], ["mail", "page"]),
            (["pages>3.5"], ["mail"]),
            (["pages=12"], ["mail"]),
            (["draft=true"], ["mail"]),
            (["draft=false"], ["page"]),
            (["mimetype=text/plain"], ["bare"]),
            (["filename=a=b.html"], ["page"]),
            (["title=Mail"], ["mail"]),
            (["route=mails"], ["mail"]),
            (["id=bare"], ["bare"]),
            (["unknown=1"], []),
            (["unknown!=1"], ["bare", "mail", "page"]),
            (["language='; DROP TABLE documents --"], []),
            (["a'b=1"], []),
            (["a\\b=1"], []),
        ],
    )
    def test_they_narrow_a_search_down(self, filters: list[str], ids: list[str], index: Path) -> None:
        assert found(index, filters=tuple(filters)) == ids

    @pytest.mark.parametrize("written", ["", "language", "=de", 'a"b=1', ">3", "a=="[:1]])
    def test_what_is_none_is_told(self, written: str, index: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            found(index, filters=(written,))
        assert caught.value.code == "search.bad_filter"
        assert repr(written) in caught.value.message

    @given(st.text(max_size=30))
    def test_whatever_is_written_is_answered(self, index: Path, written: str) -> None:
        try:
            parse(written)
        except InvalidInput:
            return
        found(index, filters=(written,))

    def test_there_are_not_too_many(self, index: Path) -> None:
        with pytest.raises(InvalidInput, match="up to 32 filters"):
            found(index, filters=("a=b",) * 33)

    def test_a_route_is_one(self, index: Path) -> None:
        assert found(index, route="mails") == ["mail"]
        assert found(index, route="") == ["bare", "page"]

    def test_pages_are_full_behind_them(self, tmp_path: Path) -> None:
        many = [Packet({"text": "word " * (1 + n % 7), "n": n, "vector": [1.0, n / 1000]}, {"id": str(n)}) for n in range(600)]
        path = publish(tmp_path / "search.db", *many)
        for embed in (None, lambda *_: ([1.0, 0.0], "")):
            hits = ask(path, SearchQuery("word", 20, filters=("n>=570",)), embed).hits
            assert len(hits) == 20
            assert all(int(hit.id) >= 570 for hit in hits)


class TestAccess:
    def test_without_a_principal_only_what_anybody_may_see_is_found(self, index: Path) -> None:
        assert found(index, "secret") == []
        assert found(index) == ["bare", "mail", "page"]

    @pytest.mark.parametrize(
        ("principals", "ids"),
        [
            (["ada"], ["ada only", "one name"]),
            (["ops"], ["staff"]),
            (['staff "1"', "x"], ["staff"]),
            (["ada", "ops"], ["ada only", "one name", "staff"]),
            (["ad", "ADA", "*", "%", "", "ada,ops"], []),
        ],
    )
    def test_those_who_are_named_find_it(self, principals: list[str], ids: list[str], index: Path) -> None:
        assert found(index, "secret", principals=tuple(principals)) == ids

    def test_it_holds_for_vectors_and_parts(self, tmp_path: Path) -> None:
        whole = Packet({}, {"id": "a", "acl": ["ada"]})
        parts = [whole.derive("chunk", n, {"text": f"word {n}", "vector": [1.0, float(n)]}) for n in range(3)]
        path = publish(tmp_path / "search.db", *parts, Packet({"text": "x", "vector": [0.0, 1.0]}, {"id": "b"}))

        def near(*principals: str) -> list[str]:
            query = SearchQuery("nothing", principals=principals)
            return [hit.document for hit in ask(path, query, lambda *_: ([1.0, 0.0], "")).hits]

        assert near() == near("bob") == ["b"]
        assert near("ada") == ["a", "a", "a", "b"]

    def test_a_list_that_changes_counts_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "search.db"
        for acl, finds in ((["ada"], ["a"]), (["bob"], []), (["bob", "ada"], ["a"])):
            publish(path, Packet({"text": "word"}, {"id": "a", "acl": acl}))
            assert found(path, principals=("ada",)) == finds
            assert found(path) == []
        publish(path, Packet({"text": "word"}, {"id": "a"}))
        assert found(path) == ["a"]

    def test_hits_do_not_tell_who_else_may_see_it(self, index: Path) -> None:
        (hit, *_) = ask(index, SearchQuery("secret", principals=("ops",))).hits
        assert "staff" not in str(hit.to_obj()["meta"])


class TestPages:
    def test_they_follow_one_another(self, tmp_path: Path) -> None:
        packets = [Packet({"text": f"word {n}", "vector": [1.0, n / 10]}, {"id": str(n)}) for n in range(25)]
        path = publish(tmp_path / "search.db", *packets)
        for embed in (None, lambda *_: ([1.0, 0.0], "")):
            seen: list[str] = []
            after: int | None = 0
            sizes = []
            while after is not None:
                answer = ask(path, SearchQuery("word", 10, after), embed)
                seen += [hit.id for hit in answer.hits]
                sizes.append(len(answer.hits))
                after = answer.after
            assert sizes == [10, 10, 5]
            assert seen == [hit.id for hit in ask(path, SearchQuery("word", 25), embed).hits]
            assert len(set(seen)) == 25
            assert ask(path, SearchQuery("word", 10, 100), embed) == Answer([])


def chunks(id: str, texts: Sequence[str], **meta: Any) -> list[Packet]:
    """Chunks as a splitter makes them."""
    whole, start, made = Packet({}, {"id": id, **meta}), 0, []
    for number, text in enumerate(texts):
        heading = ["Looms", f"Part {number}"]
        fields = {
            "text": text,
            "title": "On looms",
            "heading": heading,
            "page": number + 1,
            "start": start,
            "end": start + len(text),
        }
        made.append(whole.derive("chunk", number, fields))
        start += len(text) + 2
    return made


class TestCitations:
    def test_a_hit_says_where_it_stands(self, tmp_path: Path) -> None:
        path = publish(tmp_path / "search.db", *chunks("a", ["Cards choose.", "Threads cross."], path="in/looms.pdf"))
        (hit,) = ask(path, SearchQuery("threads")).hits
        assert hit.citation == Citation("in/looms.pdf", "", 2, None, ("Looms", "Part 1"), 15, 29)
        assert str(hit.citation) == "in/looms.pdf, page 2, Looms > Part 1"
        assert (hit.title, hit.text) == ("On looms", "Threads cross.")
        assert hit.to_obj()["citation"] == {
            **{"file": "in/looms.pdf", "page": 2, "heading": ["Looms", "Part 1"], "start": 15, "end": 29}
        }
        assert ask(path, SearchQuery("29")).hits == []  # where it ends is nothing that is said in it

    @pytest.mark.parametrize(
        ("meta", "fields", "shown"),
        [
            ({"filename": "a.txt"}, {}, "a.txt"),
            ({"url": "http://h/a", "path": "a"}, {}, "http://h/a"),
            ({"path": "in/a.txt", "within": ["m.eml", "b.zip"]}, {"page": 2}, "m.eml > b.zip > in/a.txt, page 2"),
            ({"path": "a.txt", "url": "http://h/b.zip", "within": ["b.zip"]}, {}, "http://h/b.zip, b.zip > a.txt"),
            ({"path": "a.txt", "within": [1, ""]}, {}, "a.txt"),
            ({"path": "a.txt", "within": "b.zip"}, {}, "a.txt"),
            ({"filename": "a.pdf"}, {"page": 2, "page_end": 4}, "a.pdf, pages 2 to 4"),
            ({"filename": "a.pdf"}, {"page": 2, "page_end": 2, "heading": "Alone"}, "a.pdf, page 2, Alone"),
            ({}, {"page": "two", "heading": [1, None, ""]}, ""),
        ],
    )
    def test_it_names_what_is_known(self, meta: dict[str, Any], fields: dict[str, Any], shown: str, tmp_path: Path) -> None:
        path = publish(tmp_path / "search.db", Packet({"text": "word", **fields}, meta))
        (hit,) = ask(path, SearchQuery("word")).hits
        assert str(hit.citation) == shown

    def test_it_names_the_files_in_which_a_file_lies(self, tmp_path: Path) -> None:
        meta = {"path": "in/a.txt", "within": ["m.eml", "b.zip"]}
        path = publish(tmp_path / "search.db", *chunks("a", ["A word."], **meta))
        (hit,) = ask(path, SearchQuery("word")).hits
        assert (hit.citation.file, hit.citation.within) == ("in/a.txt", ("m.eml", "b.zip"))
        assert hit.to_obj()["citation"]["within"] == ["m.eml", "b.zip"]
        assert str(hit.citation) == "m.eml > b.zip > in/a.txt, page 1, Looms > Part 0"


class TestGroups:
    def test_each_document_is_one_hit(self, tmp_path: Path) -> None:
        first = chunks("a", ["word"] * 6)
        path = publish(tmp_path / "search.db", *first, *chunks("b", ["word and more words"]), *chunks("c", ["nothing"]))
        answer = ask(path, SearchQuery("word", group=True))
        assert [hit.document for hit in answer.hits] == ["a", "b"]
        assert [other.part for other in answer.hits[0].others] == ["chunk=1", "chunk=2", "chunk=3"]
        assert [other["part"] for other in answer.hits[0].to_obj()["others"]] == ["chunk=1", "chunk=2", "chunk=3"]
        pages = [ask(path, SearchQuery("word", 1, after, group=True)) for after in (0, 1)]
        assert [(page.hits[0].document, page.after) for page in pages] == [("a", 1), ("b", None)]


class TestBoth:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return publish(
            tmp_path / "search.db",
            Packet({"text": "engine", "vector": [0.0, 1.0]}, {"id": "words"}),
            Packet({"text": "motor", "vector": [1.0, 0.0]}, {"id": "meaning"}),
            Packet({"text": "an engine", "vector": [0.9, 0.1]}, {"id": "both"}),
            Packet({"text": "engine of no vector"}, {"id": "none"}),
        )

    def test_what_both_find_comes_first(self, path: Path) -> None:
        answer = ask(path, SearchQuery("engine"), lambda text, space: ([1.0, 0.0] if text == "engine" else [], ""))
        # 0.6/6 + 0.4/8 is more than 1/7, and 0.6/8 more than 0.4/6
        assert [hit.id for hit in answer.hits] == ["words", "both", "none", "meaning"]
        assert {hit.id: (hit.words_rank, hit.vector_rank) for hit in answer.hits} == {
            **{"both": (2, 2), "words": (1, 3), "meaning": (None, 1), "none": (3, None)}
        }
        assert answer.hits[1].to_obj()["ranks"] == {"words": 2, "vector": 2}
        assert {hit.id: hit.snippet for hit in answer.hits}["meaning"] == "motor"
        assert answer.notes == ()

    def test_the_best_by_words_is_on_the_first_page_whatever_is_near(self, tmp_path: Path) -> None:
        near = [
            Packet({"text": "a pirn and " * (n + 2) + "thread " * 9 * n, "vector": [1.0, n / 100]}, {"id": f"near-{n}"})
            for n in range(30)
        ]
        far = Packet({"text": "pirn pirn pirn"}, {"id": "far"})
        others = [Packet({"text": "engine", "vector": [0.0, 1.0]}, {"id": f"other-{n}"}) for n in range(40)]
        path = publish(tmp_path / "search.db", *near, far, *others)
        hits = ask(path, SearchQuery("pirn", 6), lambda *_: ([1.0, 0.0], "")).hits
        assert {hit.id: hit.words_rank for hit in hits}["far"] == 1

    def test_words_alone_answer_where_there_is_no_vector(self, path: Path) -> None:
        answer = ask(path, SearchQuery("engine"), lambda *_: (None, "no model"))
        assert [hit.id for hit in answer.hits] == ["words", "both", "none"]
        assert answer.notes == ("found by words alone: no model",)

    def test_a_question_needs_one_of_its_words(self, path: Path) -> None:
        text = 'What is an "engine"? (NOT a loom) title: NEAR*'
        assert ask(path, SearchQuery(text, any_word=True)).hits[0].id == "both"
        assert ask(path, SearchQuery("engine motor")).hits == []
        assert len(ask(path, SearchQuery("engine motor", any_word=True)).hits) == 4
        assert ask(path, SearchQuery(" ? ", any_word=True)).hits == []
        assert ask(path, SearchQuery("", any_word=True), lambda *_: ([1.0, 0.0], "")).hits == []

    def test_common_words_of_a_question_are_passed_over(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(query_module, "FEW_ROWS", 10)
        packets = [Packet({"text": f"the word {'loom' if n == 7 else n}"}, {"id": str(n)}) for n in range(20)]
        path = publish(tmp_path / "search.db", *packets)
        assert [hit.id for hit in ask(path, SearchQuery("the word loom", any_word=True)).hits] == ["7"]
        assert len(ask(path, SearchQuery("the word", 100, any_word=True)).hits) == 20
        assert len(ask(path, SearchQuery("the word loom 3 unknown", 100, any_word=True)).hits) == 2


class TestBounds:
    def test_a_search_that_takes_too_long_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        many = [Packet({"text": f"word {n}", "vector": [1.0, float(n)]}, {"id": str(n)}) for n in range(300)]
        path = publish(tmp_path / "search.db", *many)
        monkeypatch.setattr(query_module, "_STEPS", 10)
        for text, embed in (("word", None), ("nothing", lambda *_: ([1.0, 0.0], ""))):
            with pytest.raises(Unavailable, match="given up after 0 s") as caught:
                ask(path, SearchQuery(text, timeout_s=0), embed)
            assert caught.value.code == "search.timeout"
        assert len(ask(path, SearchQuery("word", timeout_s=60)).hits) == 10

    def test_an_index_that_is_locked_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = publish(tmp_path / "search.db", Packet({"text": "word"}))
        monkeypatch.setattr(query_module, "BUSY_TIMEOUT_S", 0.01)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Unavailable) as caught:
                ask(path, SearchQuery("word"))
        assert caught.value.code == "search.busy"
