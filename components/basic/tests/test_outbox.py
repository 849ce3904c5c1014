"""Outbox: whole documents, for whoever folds its results, and for whoever follows the rules of the user guide."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pypes.core.identity import Completed, Identity, Version
from pypes.errors import Unreachable
from pypes.outbox.giving import acknowledge, give
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.testing import PublisherSuite, run_component
from pypes_basic.drop_document import DropDocument
from pypes_basic.log_lines import fold
from pypes_basic.outbox import MOST_BEGUN, Outbox


def waiting(folder: Path, name: str = "results", *, is_taken: bool = False) -> list[dict[str, Any]]:
    """The results in the outbox of a folder; if they are taken, they are acknowledged."""
    path = folder / "outbox" / f"{name}.db"
    if not path.exists():
        return []
    given = give(path, 100_000, 1 << 30, 0.0, 0.0)
    if is_taken and given.cursor is not None:
        assert acknowledge(path, given.cursor, is_synced=False) == len(given.results)
    return [json.loads(text) for text in given.results]


class Unsynced(Outbox):
    """Survives the end of its process, and no power cut."""

    durability = "never"


class TestFolded(PublisherSuite):
    component = Unsynced
    counts_removed = False

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        for line in fold(json.dumps(result).encode() + b"\n" for result in waiting(folder)):
            yield line["route"], line["document"], line["part"], line["fields"]["text"]


class TestTaken(PublisherSuite):
    """A client that takes results as they come, and keeps documents in a table by the rules of the user guide."""

    component = Unsynced
    counts_removed = False
    shows_both = True

    def seen(self, folder: Path) -> Iterable[tuple[str, str | None, str, str]]:
        with sqlite3.connect(folder / "client.db", isolation_level=None) as table:
            table.execute("create table if not exists parts (route, document, part, delivery, version, text)")
            for result in waiting(folder, is_taken=True):
                keep(table, result)
            found = table.execute("select route, document, part, text from parts").fetchall()
        table.close()
        return found


def keep(table: sqlite3.Connection, result: dict[str, Any]) -> None:
    route, version = result["route"], result["version"]
    document, part = (result["id"], "") if result["document"] is None else (result["document"], result.get("part"))
    delivery = version.rpartition("/")[0]
    if "fields" in result:
        row = (route, document, part, delivery)
        table.execute("delete from parts where (route, document, part, delivery) = (?, ?, ?, ?)", row)
        table.execute("insert into parts values (?, ?, ?, ?, ?, ?)", (*row, version, result["fields"]["text"]))
    if result.get("complete"):
        table.execute("delete from parts where (route, document) = (?, ?) and version < ?", (route, document, version))


def run(folder: Path, *packets: Packet, **params: Any) -> list[dict[str, Any]]:
    """The results after packets have run, all in one delivery."""
    outbox = Unsynced()
    outbox.configure(params)
    outbox.data_dir = str(folder)
    with Pipeline(outbox) as pipeline:
        pipeline.push(list(packets))
    return waiting(folder)


def document(id: str | None, text: str, run: int = 1, **meta: Any) -> Packet:
    known = {"route": "docs", "receipt": "r", "index": 3, "run": run, **({} if id is None else {"id": id}), **meta}
    return Packet({"text": text}, known)


def test_a_result_says_everything(tmp_path: Path) -> None:
    packet = document("7", "a", acl="staff")
    deletion = Packet(meta={"requestmethod": "DELETE", "id": "8", "receipt": "r", "index": 4})
    first, second = run(tmp_path, packet, deletion)
    version = "r/0000003/0000000000000001"
    known = {"id": "r/0000003", "document": "7", "route": "docs", "version": version, "part": ""}
    assert first == {**known, **packet.to_json(), "complete": True}
    known = {"id": "r/0000004", "document": "8", "route": "", "version": "r/0000004/0000000000000000"}
    assert second == {**known, "deleted": True, "complete": True}


def test_what_runs_again_has_the_same_id(tmp_path: Path) -> None:
    whole = document("7", "a")
    posts = [[whole.derive("row", n, {"text": "a"}) for n in (1, 2)], [document(None, "x")], [document(None, "y")]]
    first = [result["id"] for post in posts for result in run(tmp_path / "1", *post)][-4:]
    again = [Packet(packet.to_json()["fields"], {**packet.to_json()["meta"], "run": 2}) for post in posts for packet in post]
    assert len(set(first)) == 4
    assert [result["id"] for result in run(tmp_path / "2", *again)] == first


def test_results_of_documents_without_an_id_are_told_apart(tmp_path: Path) -> None:
    # several packets made of one document; the last two are equal
    found = run(tmp_path, *(document(None, text) for text in "abb"))
    assert len({result["id"] for result in found}) == 3
    # without a receipt, too
    assert len({result["id"] for result in run(tmp_path / "2", Packet({"text": "a"}), Packet({"text": "a"}))}) == 2


def test_values_that_json_has_no_form_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_component(Unsynced, [Packet({"text": "a", "n": 2**70}), Packet({"data": b"ab"})], name="odd")
    assert [(letter.code, "field 'n'" in letter.error) for letter in ran.dead_letters] == [("outbox.value", True)]


def test_a_full_outbox_takes_nothing_until_it_is_fetched(tmp_path: Path) -> None:
    run(tmp_path, document("1", "a" * 200), max_bytes=100)
    outbox = Unsynced()
    outbox.configure({"max_bytes": 100})
    outbox.data_dir = str(tmp_path)
    outbox.setup()
    outbox.offload = lambda fn, *args: fn(*args)  # type: ignore[method-assign]
    for taken in (False, True):
        outbox.process_batch([document("2", "b")])
        if taken:
            waiting(tmp_path, is_taken=True)
            outbox.commit()
        else:
            with pytest.raises(Unreachable, match="outbox 'results' is full: 1 results of"):
                outbox.commit()
    outbox.teardown()
    assert [result["document"] for result in waiting(tmp_path)] == ["2"]


def test_documents_of_which_nothing_comes_are_results_unless_they_are_not_wanted(tmp_path: Path) -> None:
    for empty, found in ((True, ["1", "2"]), (False, ["2"])):
        outbox = Unsynced()
        outbox.configure({"empty": empty, "name": f"is-{empty}"})
        outbox.data_dir = str(tmp_path)
        drop = DropDocument()
        drop.configure({"fields": ["text"], "values": ["no"]})
        with Pipeline(drop, outbox) as pipeline:
            pipeline.push([document("1", "no"), document("2", "yes")])
        assert sorted(result["document"] for result in waiting(tmp_path, f"is-{empty}")) == found


def test_the_end_of_what_came_in_several_turns_is_a_result(tmp_path: Path) -> None:
    outbox = Unsynced()
    outbox.configure({"empty": False})
    outbox.data_dir = str(tmp_path)
    outbox.setup()
    outbox.offload = lambda fn, *args: fn(*args)  # type: ignore[method-assign]

    def turn(*packets: Packet, ends: tuple[str, ...] = ()) -> None:
        if packets:
            outbox.process_batch([*packets])
        outbox.complete([Completed(Identity("docs", id), Version("r", 3, 1), is_whole=True) for id in ends])
        outbox.commit()

    turn(document("1", "a"), ends=("2",))
    turn(ends=("1", "2"))
    turn(ends=("1",))
    assert [(result["document"], result.get("complete")) for result in waiting(tmp_path)] == [("1", None), ("1", True)]
    # documents without an id have no end; if there are too many of others that nobody ends, all ends are results
    turn(*(document(None, "a") for _ in range(MOST_BEGUN + 1)), ends=("2",))
    assert waiting(tmp_path)[-1]["document"] is None
    turn(*(document(f"n{n}", "a") for n in range(MOST_BEGUN + 1)))
    turn(ends=("2",))
    assert waiting(tmp_path)[-1] == {**waiting(tmp_path)[-1], "document": "2", "complete": True}
    outbox.teardown()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "x" * 65])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Exception, match="parameters are not valid"):
        Outbox().configure({"name": name})
