"""Deduplicate: what is a duplicate, of whom, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pypes import Component, Packet, Pipeline, Publisher, Transformer
from pypes.core.identity import Completed, Identity
from pypes.errors import InvalidInput
from pypes.runtime.file_store import FileStores
from pypes.testing import ComponentSuite, run_component
from pypes_basic.deduplicate import NEEDS_RENSA, Deduplicate
from pypes_basic.duplicates import id_of, name_of
from pypes_basic.unchanged import Unchanged
from tests.needed import library

from .packages import packages


class Out(Publisher):
    """Fails on the ids and the texts it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: set[str] = set()
        self.found: list[str | None] = []

    def process(self, packet: Packet) -> None:
        if packet.id in self.fails or packet.get("text") in self.fails:
            raise ValueError("no")
        self.found.append(packet.id)

    def complete(self, documents: list[Completed]) -> None: ...


class Lines(Transformer):
    """Makes a part of each line, as an adapter of tables does."""

    def process(self, packet: Packet) -> Packet | None:
        if packet.is_deletion:
            return packet
        for number, line in enumerate(packet.get("text").splitlines(), 1):
            self.send("out", packet.derive("line", number, {"text": line}))
        return None


class Node:
    """A node of one graph: instances that share a store, which outlives them."""

    def __init__(self, stack: ExitStack, folder: Path, *, before: type[Component] | None = None, **params: Any) -> None:
        self.stack, self.before, self.params = stack, before, {"fields": ["text"], **params}
        self.stores = FileStores(folder)
        self.receipts = 0
        self.start()

    def start(self) -> None:
        self.filter, self.out = Deduplicate(), Out()
        self.filter.configure(self.params)
        self.filter._stores = self.stores
        nodes: dict[str, Any] = {"it": self.filter, "out": self.out}
        wires = [("it.out", "out.in")]
        if self.before is not None:
            nodes, wires = {"before": self.before, **nodes}, [("before.out", "it.in"), *wires]
        made = Pipeline(nodes=nodes, wires=wires)
        self.pipeline = self.stack.enter_context(made)

    def post(self, *texts: tuple[str | None, str | None], receipt: str = "") -> list[Any]:
        """Push a delivery of ids and texts (``None`` deletes); returns the ids that passed."""
        self.receipts += 1
        receipt = receipt or f"r{self.receipts:04}"
        packets = []
        for index, (id, text) in enumerate(texts):
            named = {"id": id, "route": "r"} if id is not None else {}
            meta = {"receipt": receipt, "index": index, **named}
            packets.append(Packet({"text": text}, meta) if text is not None else Packet({}, {**meta, "requestmethod": "DELETE"}))
        self.out.found.clear()
        self.held = [packet for packet in self.pipeline.push(packets) if isinstance(packet, Packet)]
        return [*self.out.found]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda **params: Node(stack, tmp_path / "stores", **params)


class TestDeduplicate(ComponentSuite):
    component = Deduplicate

    def test_packages_come_once(self) -> None:
        given = packages()
        copies = [packet.clone() for packet in given]
        for copy in copies:
            copy.set_meta("id", f"copy of {copy.id}")
        result = run_component(Deduplicate, [*given, *copies], fields=["text"])
        texts = [packet.get("text") for packet in given]
        assert len(result.packets) == len({*texts})
        assert result.counts == {"duplicates": 2 * len(given) - len({*texts})}
        assert {packet.get_meta("duplicate_of") for packet in result.outputs["duplicate"]} <= {packet.id for packet in given}

    def test_a_document_is_not_its_own_duplicate(self, nodes: Any) -> None:
        node = nodes()
        assert node.post(("a", "one"), ("b", "one"), ("c", "two")) == ["a", "c"]
        assert [(packet.id, packet.get_meta("duplicate_of")) for packet in node.held] == [("b", "a")]
        assert node.post(("a", "one"), ("b", "one"), ("c", "two")) == ["a", "c"]
        node.pipeline.close()
        node.start()  # after a restart
        assert node.post(("b", "one"), ("a", "one")) == ["a"]

    def test_what_a_document_held_before_is_free(self, nodes: Any) -> None:
        node = nodes()
        assert node.post(("a", "one"), ("b", "one")) == ["a"]
        assert node.post(("a", "two"), ("b", "one")) == ["a", "b"]
        assert node.post(("c", "two"), ("d", "one")) == []
        assert node.post(("a", None), ("c", "two")) == ["a", "c"]
        assert node.post(("b", "two"), ("d", "one")) == ["d"]  # b is a duplicate now, and holds nothing

    def test_what_failed_is_nobodys_original(self, nodes: Any) -> None:
        node = nodes()
        node.out.fails = {"a"}
        assert node.post(("a", "one")) == []
        assert node.post(("b", "one")) == ["b"]
        assert node.post(("a", "one")) == []
        assert [packet.get_meta("duplicate_of") for packet in node.held] == ["b"]

    def test_parts_of_what_failed_are_nobodys_originals(self, nodes: Any) -> None:
        node = nodes(before=Lines)
        node.out.fails = {"a/line=2"}
        assert node.post(("a", "one\ntwo")) == ["a/line=1"]
        assert node.post(("b", "two\none")) == ["b/line=1", "b/line=2"]

    def test_parts_of_what_is_deleted_are_nobodys_originals(self, nodes: Any) -> None:
        node = nodes(before=Lines)
        assert node.post(("a", "one\ntwo")) == ["a/line=1", "a/line=2"]
        assert node.post(("b", "two\none")) == []
        assert node.post(("a", None)) == ["a"]
        assert node.post(("b", "two\none")) == ["b/line=1", "b/line=2"]
        assert node.post(("a", "one\ntwo")) == []

    def test_parts_that_a_document_has_no_more_are_nobodys_originals(self, nodes: Any) -> None:
        node = nodes(before=Lines)
        assert node.post(("a", "one\ntwo\nthree")) == ["a/line=1", "a/line=2", "a/line=3"]
        assert node.post(("a", "one")) == ["a/line=1"]
        assert node.post(("b", "three\none")) == ["b/line=1"]

    def test_what_a_filter_before_keeps_as_it_is_stays_the_original(self, nodes: Any) -> None:
        node = nodes(before=Unchanged)
        assert node.post(("a", "one")) == ["a"]
        assert node.post(("a", "one")) == []
        assert node.post(("b", "one")) == []
        assert [packet.get_meta("duplicate_of") for packet in node.held] == ["a"]

    def test_what_is_dropped_before_is_nobodys_original(self, nodes: Any) -> None:
        class Drops(Transformer):
            def process(self, packet: Packet) -> Packet | None:
                return packet if packet.is_deletion or packet.get("text") != "none" else None

        node = nodes(before=Drops)
        assert node.post(("a", "one")) == ["a"]
        assert node.post(("a", "none")) == []  # publishers have removed it
        assert node.post(("b", "one")) == ["b"]

    def test_a_failure_of_an_older_version_takes_nothing_from_a_newer_one(self, nodes: Any) -> None:
        node = nodes()
        node.post(("a", "one"), receipt="r5")
        node.out.fails = {"a"}
        node.post(("a", "one"), receipt="r4")
        assert node.post(("b", "one"), receipt="r6") == []

    def test_what_failed_without_an_id_is_nobodys_original(self, nodes: Any) -> None:
        node = nodes(before=Lines)
        node.out.fails = {"two"}
        assert node.post((None, "zero"), (None, "one\ntwo")) == [None, None]
        node.out.fails = set()
        assert node.post((None, "two"), (None, "one")) == [None, None]
        assert node.post((None, "two"), (None, "one"), (None, "zero")) == []

    def test_documents_without_an_id(self, nodes: Any) -> None:
        node = nodes()
        assert node.post((None, "one"), (None, "one"), receipt="r") == [None]
        assert node.post((None, "one"), (None, "one"), receipt="r") == [None]  # the same delivery runs again
        assert node.post((None, "one")) == []
        assert not node.held[0].has_meta("duplicate_of")

    def test_parts_are_documents_of_their_own(self) -> None:
        document = Packet({"text": "x"}, {"id": "d", "route": "r"})
        parts = [document.derive("part", n, {"text": text}) for n, text in enumerate(("a", "b", "a"))]
        result = run_component(Deduplicate, parts)
        assert [packet.id for packet in result.packets] == ["d/part=0", "d/part=1"]
        assert result.outputs["duplicate"][0].get_meta("duplicate_of") == "d/part=0"

    def test_fields_that_count(self) -> None:
        given = [Packet({"a": 1, "b": n}, {"id": f"{n}", "route": "r"}) for n in range(2)]
        assert len(run_component(Deduplicate, given).packets) == 2
        assert len(run_component(Deduplicate, given, fields=["a"]).packets) == 1
        assert len(run_component(Deduplicate, given, fields=["absent"]).packets) == 2
        types = [Packet({"a": value}, {"id": f"{n}", "route": "r"}) for n, value in enumerate((1, "1", 1.0, True))]
        assert len(run_component(Deduplicate, types).packets) == 4

    def test_the_oldest_are_forgotten(self, nodes: Any) -> None:
        node = nodes(documents=100)
        for start in range(0, 500, 20):
            node.post(*((f"{n}", f"{n}") for n in range(start, start + 20)))
        assert node.post(("y", "499"), ("x", "0")) == ["x"]

    @pytest.mark.parametrize(("route", "id", "part"), [("r", "a", ""), ("a/b", "c/d", "x=1/y=2"), ("", "é/1", "")])
    def test_names_are_read_back(self, route: str, id: str, part: str) -> None:
        assert id_of(name_of(Identity(route, id), part)) == (f"{id}/{part}" if part else id)


class TestNear:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        library("rensa", "pypes-basic[near]")

    def test_nearly_the_same_words(self, nodes: Any) -> None:
        node = nodes(match="near", similarity=0.8)
        texts = [packet.get("text") for packet in packages() if len(packet.get("text").split()) > 200][:10]
        assert len(texts) > 5
        originals = [(f"{n}", text) for n, text in enumerate(texts)]
        assert node.post(*originals) == [id for id, _ in originals]
        changed = [(f"changed {n}", text.upper().replace("LICENSE", "LICENCE", 1) + " one more") for n, text in enumerate(texts)]
        assert node.post(*changed) == []
        assert [packet.get_meta("duplicate_of") for packet in node.held] == [id for id, _ in originals]
        others = [(f"other {n}", " ".join(text.split()[: len(text.split()) // 3])) for n, text in enumerate(texts)]
        assert node.post(*others) == [id for id, _ in others]

    def test_the_same_rules_hold(self, nodes: Any) -> None:
        node = nodes(match="near")
        one = "the quick brown fox jumps over the lazy dog again and again"
        two = "nothing of this has ever been said before by anybody"
        assert node.post(("a", one), ("b", one), ("c", "")) == ["a", "c"]
        assert node.post(("a", one), ("b", one), ("d", "")) == ["a", "d"]  # no words, no duplicate
        assert node.post(("a", two), ("b", one)) == ["a", "b"]
        assert node.post(("a", None), ("e", two)) == ["a", "e"]
        assert node.post(("f", "word"), ("g", "word")) == ["f"]

    def test_it_needs_fields_and_a_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(InvalidInput) as caught:
            Deduplicate().configure({"match": "near"})
        assert "name their fields" in caught.value.problems[0].message
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(InvalidInput) as caught:
            Deduplicate().configure({"match": "near", "fields": ["text"]})
        assert caught.value.problems[0].message == NEEDS_RENSA
