"""PostgreSQL as a destination: tables and columns, what is refused and what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from pypes import Packet, Pipeline
from pypes.errors import ComponentError, InvalidInput
from pypes.testing import run_component
from pypes.testing.node import free_port
from pypes_search.postgresql import PostgreSQL
from tests.servers.schemas import schema_of

pytestmark = pytest.mark.servers

#: Runs packets in a publisher with these parameters; returns the codes and reasons of dead letters.
Publish = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def db(postgresql: str) -> Iterator[Any]:
    with psycopg.connect(postgresql, autocommit=True) as db:
        yield db


@pytest.fixture
def url(db: Any, postgresql: str, request: pytest.FixtureRequest) -> str:
    return schema_of(db, postgresql, request.node.nodeid)


@pytest.fixture
def publish(url: str) -> Publish:
    def run(*packets: Packet, **params: Any) -> list[tuple[str, str]]:
        result = run_component(PostgreSQL, packets, **{"url": url, **params})
        return [(letter.code, letter.error) for letter in result.dead_letters]

    return run


def versioned(receipt: str, fields: dict[str, Any] | None = None, **meta: Any) -> Packet:
    return Packet(fields, {"id": "a", "route": "docs", "receipt": receipt, "run": 1, **meta})


def test_words_and_vectors_are_found(db: Any, publish: Publish) -> None:
    looms = Packet({"id": "looms", "title": "Looms", "text": "Cards choose the threads.", "vector": [1.0, 0.0, 0.5]})
    mills = Packet({"id": "mills", "text": "Water turns the wheel.", "vector": [0.0, 1.0, 0.5]})
    assert publish(looms, mills, dimensions=3, words="english") == []
    found = db.execute("SELECT id FROM docs WHERE words @@ websearch_to_tsquery('english', 'choosing card')").fetchall()
    assert found == [("looms",)]
    nearest = db.execute("SELECT id FROM docs ORDER BY vector <=> '[0,0.9,0.5]' LIMIT 1").fetchall()
    assert nearest == [("mills",)]


def test_indexes_serve_the_view(db: Any, publish: Publish) -> None:
    publish(Packet({"id": "a"}), dimensions=2)
    db.execute(
        "INSERT INTO docs_parts (document, place, version, id, text, vector)"
        " SELECT gen_random_uuid(), gen_random_uuid(), '1/' || n, n, 'word ' || n, array[n, 1]::real[]::vector"
        " FROM generate_series(1, 2000) n"
    )
    db.execute("INSERT INTO docs_documents SELECT document, '', id, version FROM docs_parts WHERE id <> 'a'")
    db.execute("ANALYZE docs_parts, docs_documents")
    nearest = "SELECT id FROM docs ORDER BY vector <=> '[1,1]' LIMIT 5"
    assert "docs_parts_vector" in str(db.execute(f"EXPLAIN {nearest}").fetchall())
    assert "docs_parts_words" in str(db.execute("EXPLAIN SELECT id FROM docs WHERE words @@ '1999'").fetchall())
    assert db.execute(nearest).fetchall()[0] == ("1",)


def test_columns_of_their_own(db: Any, publish: Publish) -> None:
    packet = Packet({"id": "a", "text": "x", "created": "1843-09-01", "pages": 12, "tags": ["loom", "math"]}, {"team": "ada"})
    packet.set_meta("acl", ["staff", "board"])
    columns = {"written": "created date", "pages": "pages int", "tags": "tags text[]", "team": "meta:team"}
    assert publish(packet, columns=columns) == []
    found = db.execute("SELECT extract(year FROM written), pages + 1, tags, team, acl, fields->'pages' FROM docs").fetchall()
    assert found == [(1843, 13, ["loom", "math"], "ada", ["staff", "board"], 12)]


def test_a_column_is_added_to_tables_that_are_there(db: Any, publish: Publish) -> None:
    publish(Packet({"id": "a", "pages": 1}))
    publish(Packet({"id": "b", "pages": 2}), columns={"pages": "pages int"})
    assert db.execute("SELECT id, pages FROM docs ORDER BY id").fetchall() == [("a", None), ("b", 2)]


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"text": "x"}, "one of the table's own"), ({"a b": "x"}, "a name of a-z"), ({"a": "x varchar"}, "no type 'varchar'")],
)
def test_columns_that_cannot_be_are_refused(columns: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        PostgreSQL().configure({"url": "postgresql://127.0.0.1/x", "columns": columns})


def test_a_value_that_does_not_fit_fails_alone(db: Any, publish: Publish) -> None:
    packets = [Packet({"id": n, "day": day}) for n, day in enumerate(["2026-11-29", "yesterday or so", "2026-11-30"])]
    letters = publish(*packets, columns={"day": "day date"})
    assert [code for code, _ in letters] == ["postgresql.value"]
    assert "yesterday or so" in letters[0][1]
    assert db.execute("SELECT id FROM docs ORDER BY id").fetchall() == [("0",), ("2",)]


def test_a_vector_of_another_length_fails_alone(db: Any, publish: Publish) -> None:
    letters = publish(Packet({"id": "a", "vector": [1, 2]}), Packet({"id": "b", "vector": [1, 2, 3]}), dimensions=3)
    assert [code for code, _ in letters] == ["search.dimensions"]
    assert "has 2 numbers, and the destination takes 3" in letters[0][1]
    assert db.execute("SELECT id FROM docs").fetchall() == [("b",)]


def test_tables_that_do_not_fit_are_refused(db: Any, publish: Publish) -> None:
    publish(Packet({"id": "a", "pages": 1}), dimensions=3, columns={"pages": "pages int"})
    with pytest.raises(ComponentError, match=r"vector is vector\(3\) instead of vector\(4\)"):
        publish(dimensions=4)
    with pytest.raises(ComponentError, match="pages is integer instead of text"):
        publish(dimensions=3, columns={"pages": "pages"})
    db.execute("CREATE TABLE mine (x int)")
    with pytest.raises(ComponentError, match="mine is there, and is no view of Pypes"):
        publish(table="mine")


@pytest.mark.parametrize("change", ["nobody@", "pypes@"])
def test_who_is_refused_hears_it_at_set_up(url: str, change: str) -> None:
    wrong = url.replace("pypes@", "nobody@") if change == "nobody@" else url.replace("/postgres?", "/nothing?")
    with pytest.raises(ComponentError, match="does not exist"):
        run_component(PostgreSQL, [], url=wrong)


def test_a_server_that_is_not_there_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        result = run_component(PostgreSQL, [Packet({"id": "a"})], url=f"postgresql://x:secret@127.0.0.1:{free_port()}/x")
    # in a test nothing rests: it is an attempt that failed
    assert [letter.code for letter in result.dead_letters] == ["component.raised"]
    assert "cannot be reached yet" in caplog.text


def test_a_table_that_was_dropped_is_made_again(db: Any, url: str, caplog: pytest.LogCaptureFixture) -> None:
    publisher = PostgreSQL()
    publisher.configure({"url": url})
    with Pipeline(publisher) as pipeline:
        pipeline.push([Packet({"id": "a"})])
        db.execute("DROP TABLE docs_parts CASCADE")
        pipeline.push([Packet({"id": "b"})])
        assert not pipeline.dead_letters
    assert db.execute("SELECT id FROM docs").fetchall() == [("b",)]
    assert [each.message for each in caplog.records].count("a table was removed or changed; it is made, or compared, anew") == 1


def test_a_connection_that_was_ended_is_made_again(db: Any, url: str) -> None:
    publisher = PostgreSQL()
    publisher.configure({"url": url})
    with Pipeline(publisher) as pipeline:
        pipeline.push([Packet({"id": "a"})])
        db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pypes'")
        pipeline.push([Packet({"id": "b"})])
        assert not pipeline.dead_letters
    assert db.execute("SELECT id FROM docs ORDER BY id").fetchall() == [("a",), ("b",)]


def test_metadata_choose_the_table(db: Any, publish: Publish) -> None:
    def post(receipt: str, *languages: str) -> list[tuple[str, str]]:
        parts = [versioned(receipt).derive("row", n, {"text": receipt, "language": each}) for n, each in enumerate(languages)]
        return publish(*parts, table="docs_{language}")

    assert post("1", "de", "fr") == []
    assert db.execute("SELECT id FROM docs_de UNION ALL SELECT id FROM docs_fr").fetchall() == [("a",), ("a",)]


def test_a_document_that_moves_to_another_table_leaves_the_first(db: Any, url: str) -> None:
    def post(receipt: str, language: str) -> None:
        publisher = PostgreSQL()
        publisher.configure({"url": url, "table": "docs_{language}"})
        with Pipeline(publisher) as pipeline:
            pipeline.push([versioned(receipt, {"text": receipt}, language=language)])
            assert not pipeline.dead_letters

    post("1", "de")
    post("2", "fr-CA")
    assert db.execute("SELECT text FROM docs_fr_ca").fetchall() == [("2",)]
    assert db.execute("SELECT text FROM docs_de").fetchall() == []
    assert db.execute("SELECT count(*) FROM docs_de_parts").fetchone() == (0,)


def test_without_what_names_the_table_a_packet_fails(publish: Publish) -> None:
    letters = publish(Packet({"id": "a"}), table="docs_{language}")
    assert letters == [
        (
            "publisher.name",
            "the name 'docs_{language}' needs metadata or a field 'language' with one text, and the packet has None",
        )
    ]


def test_what_the_database_cannot_hold_is_replaced(db: Any, publish: Publish) -> None:
    assert publish(Packet({"id": "a", "text": "nul \x00 half \ud800", "deep": {"k\x00": ["\ud800"]}, "raw": b"12"})) == []
    text, fields = db.execute("SELECT text, fields FROM docs").fetchone()
    assert text == "nul \ufffd half \ufffd"
    assert fields == {"id": "a", "deep": {"k\ufffd": ["\ufffd"]}, "raw": "(2 bytes)"}


def test_the_version_that_is_live_stands_in_a_table(db: Any, url: str) -> None:
    publisher = PostgreSQL()
    publisher.configure({"url": url})
    with Pipeline(publisher) as pipeline:
        pipeline.push([versioned("1", {"text": "x"})])
        assert db.execute("SELECT route, id, live_version, gone_since FROM docs_documents").fetchall() == [
            ("docs", "a", "1/0000000/0000000000000001", None)
        ]
        pipeline.push([versioned("2", requestmethod="DELETE")])
        assert sum(pipeline.removed.values()) == 1
    assert db.execute("SELECT live_version, gone_since IS NULL FROM docs_documents").fetchall() == [
        ("2/0000000/0000000000000001", False)
    ]


def test_what_is_gone_is_forgotten_in_the_end(db: Any, url: str) -> None:
    posts: list[tuple[str, dict[str, Any]]] = [("1", {}), ("2", {"requestmethod": "DELETE"}), ("3", {"id": "b"})]
    for receipt, more in posts:
        publisher = PostgreSQL()
        publisher.configure({"url": url, "tombstone_s": 0})
        with Pipeline(publisher) as pipeline:
            pipeline.push([versioned(receipt, None, **more)])
    assert db.execute("SELECT id FROM docs_documents").fetchall() == [("b",)]


def test_readers_move_to_vectors_of_another_length_in_one_step(db: Any, publish: Publish) -> None:
    publish(Packet({"id": "a", "vector": [1.0, 2.0]}), table="docs_a", dimensions=2)
    publish(Packet({"id": "a", "vector": [1.0, 2.0, 3.0]}), table="docs_b", dimensions=3)
    db.execute("CREATE VIEW current AS SELECT * FROM docs_a")
    with db.transaction():
        db.execute("DROP VIEW IF EXISTS current")
        db.execute("CREATE VIEW current AS SELECT * FROM docs_b")
    assert db.execute("SELECT id, vector <-> '[1,2,3]' FROM current").fetchall() == [("a", 0.0)]
