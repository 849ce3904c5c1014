"""Unchanged passes documents that changed; publishers keep what it holds back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pypes import Packet, Pipeline, Publisher, Transformer
from pypes.component import Component
from pypes.core.identity import Completed, Identity
from pypes.runtime.file_store import FileStores
from pypes_basic.unchanged import Unchanged


class Work(Transformer):
    """What is behind the filter, and costs something."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.fails: set[str] = set()

    def process(self, packet: Packet) -> Packet | None:
        self.calls.append(packet.get("id"))
        if packet.id in self.fails:
            raise ValueError("no")
        return packet


class Split(Work):
    """Makes a packet of each word."""

    def process(self, packet: Packet) -> Packet | None:
        if super().process(packet) is not None and not packet.is_deletion:
            for place, word in enumerate(str(packet.get("text", "")).split()):
                self.send("out", packet.derive("word", place, {"word": word}))
        return None


class Index(Publisher):
    """Keeps parts of documents with their versions, and removes older ones as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[Identity, list[tuple[str, str]]] = {}
        self.told: list[Completed] = []
        self.fails: set[str] = set()

    def process(self, packet: Packet) -> None:
        assert packet.document is not None
        assert packet.version is not None
        if packet.document.id in self.fails:
            raise ValueError("no")
        self.parts.setdefault(packet.document, []).append((packet.version.text, packet.get("word")))

    def complete(self, documents: list[Completed]) -> None:
        self.told += documents
        for each in documents:
            if each.is_whole:
                left = [part for part in self.parts.pop(each.document, []) if part[0] >= each.version.text]
                if left and not each.is_deleted:
                    self.parts[each.document] = left

    @property
    def words(self) -> dict[str, list[str]]:
        return {document.id: [word for _, word in parts] for document, parts in self.parts.items()}


def corpus(receipt: str, texts: Mapping[str, str] = {"a": "one two", "b": "three", "c": ""}, **meta: Any) -> list[Packet]:
    return [
        Packet({"id": id, "text": text, "seen": receipt}, {"receipt": receipt, "index": at, **meta})
        for at, (id, text) in enumerate(texts.items())
    ]


class Graph:
    """``unchanged → split → index``, whose filter has a store in a folder, and a digest of what lies behind it."""

    params: ClassVar[dict[str, Any]] = {"omit": ["seen"]}

    def __init__(self, stack: ExitStack, folder: Path, behind: str = "D", params: Mapping[str, Any] | None = None) -> None:
        self.unchanged, self.split, self.index = Unchanged(), Split(), Index()
        self.unchanged.configure(params or self.params)
        self.unchanged.behind = behind
        self.unchanged._stores = FileStores(folder / "stores")
        self.pipeline = stack.enter_context(Pipeline(self.unchanged, self.split, self.index))

    def post(self, packets: Sequence[Packet]) -> list[Any]:
        """Push a delivery; returns the documents that were worked on."""
        self.split.calls.clear()
        self.pipeline.push(packets)
        return [*self.split.calls]


@pytest.fixture
def graphs(tmp_path: Path) -> Iterable[Any]:
    with ExitStack() as stack:
        yield lambda *args, **options: Graph(stack, tmp_path, *args, **options)


ALL = ["a", "b", "c"]
WORDS = {"a": ["one", "two"], "b": ["three"]}


def test_a_second_post_of_the_same_corpus_does_no_work_and_keeps_it(graphs: Any) -> None:
    graph = graphs()
    assert graph.post(corpus("r1")) == ALL
    graph.index.told.clear()
    assert graph.post(corpus("r2")) == []
    assert (graph.index.told, graph.index.words) == ([], WORDS)
    assert [(fate.outcome, fate.filter) for fate in graph.pipeline.fates] == [("dropped", "unchanged1")] * 3


def test_only_what_changed_is_worked_on(graphs: Any) -> None:
    graph = graphs()
    graph.post(corpus("r1"))
    assert graph.post(corpus("r2", {"a": "one", "b": "three", "d": "four"})) == ["a", "d"]
    assert graph.index.words == {"a": ["one"], "b": ["three"], "d": ["four"]}
    assert graph.post(corpus("r3", {"a": "one", "d": "four"})) == []


def test_what_another_instance_or_an_earlier_process_published_is_known(graphs: Any) -> None:
    one, other = graphs(), graphs()
    assert one.post(corpus("r1")) == ALL
    assert other.post(corpus("r2")) == []
    one.pipeline.close()
    assert graphs().post(corpus("r3")) == []


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_versions_in_flight_on_two_instances_the_newer_is_remembered(graphs: Any, is_first: bool) -> None:
    one, other = graphs().unchanged, graphs().unchanged
    old, new = corpus("r1", {"a": "one"})[0], corpus("r2", {"a": "two"})[0]

    def comes(unchanged: Unchanged, packet: Packet) -> list[bool | None]:
        return unchanged._judge([packet], [unchanged._key_of(packet)])

    def ends(unchanged: Unchanged, packet: Packet) -> None:
        assert packet.version is not None
        unchanged._change([(unchanged._key_of(packet), unchanged._concluded(packet.version, True))])

    assert comes(one, old) == comes(other, new) == [True]
    for unchanged, packet in ((one, old), (other, new)) if is_first else ((other, new), (one, old)):
        ends(unchanged, packet)
    again = {text: comes(one, corpus("r3", {"a": text})[0]) for text in ("two", "one")}
    assert again == {"two": [False], "one": [True]}


@pytest.mark.parametrize("where", ["split", "index"])
def test_a_failure_anywhere_forgets(graphs: Any, where: str) -> None:
    graph = graphs()
    failing = getattr(graph, where)
    graph.post(corpus("r1"))
    failing.fails = {"a"}
    assert graph.post(corpus("r2", {"a": "five", "b": "six"})) == ["a", "b"]
    failing.fails = set()
    assert graph.index.words["a"] == ["one", "two"]
    assert graph.post(corpus("r3", {"a": "five", "b": "six"})) == ["a"]
    assert graph.index.words == {"a": ["five"], "b": ["six"]}
    assert graph.post(corpus("r4", {"a": "five", "b": "six"})) == []


def test_another_chunker_behind_it_works_on_everything_again(graphs: Any) -> None:
    one, other = graphs("D"), graphs("E")
    one.post(corpus("r1"))
    assert other.post(corpus("r2", {"a": "one two"})) == ["a"]
    assert one.post(corpus("r3")) == ["a"]
    assert one.post(corpus("r4")) == []
    assert other.post(corpus("r5")) == ALL


def test_a_deletion_passes_and_the_same_content_again_too(graphs: Any) -> None:
    graph = graphs()
    graph.post(corpus("r1"))
    assert graph.post([Packet({"id": "a"}, {"receipt": "r2", "requestmethod": "DELETE"})]) == ["a"]
    assert graph.index.words == {"b": ["three"]}
    assert graph.post(corpus("r3")) == ["a"]
    assert graph.index.words == WORDS


def test_what_is_dropped_before_it_is_forgotten_since_publishers_remove_it(tmp_path: Path) -> None:
    class Drop(Transformer):
        drops = False

        def process(self, packet: Packet) -> Packet | None:
            return None if self.drops else packet

    drop, split, index = Drop(), Split(), Index()
    with Pipeline(drop, Unchanged, split, index) as pipeline:
        for receipt, drop.drops, words in (("r1", False, ["one"]), ("r2", True, None), ("r3", False, ["one"])):
            pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": receipt})])
            assert index.words.get("a") == words


def test_metadata_count_if_they_are_chosen_or_inherited(graphs: Any) -> None:
    graph = graphs(params={"fields": ["text"], "meta": ["lang"]})
    graph.post(corpus("r1", lang="en", acl="x"))
    assert graph.post(corpus("r2", lang="en", acl="y")) == []
    assert graph.post(corpus("r3", lang="de", acl="y")) == ALL
    graph.unchanged.inherits = ("acl",)
    assert graph.post(corpus("r4", lang="de", acl="y")) == ALL
    assert graph.post(corpus("r5", lang="de", acl="y")) == []
    assert graph.post(corpus("r6", lang="de", acl="z")) == ALL


def test_parts_and_what_has_no_id_pass_and_that_is_logged_once(graphs: Any, caplog: pytest.LogCaptureFixture) -> None:
    graph = graphs()
    document = Packet({"id": "a"}, {"receipt": "r1"})
    for _ in range(2):
        parts = [document.derive("row", 1, {"text": "x"}), document.derive("row", 2, {"text": "y"})]
        assert len(graph.post([*parts, Packet({"text": "z"})])) == 3
    assert [record.getMessage() for record in caplog.records if "pass" in record.getMessage()] == [
        "documents with parts pass: put the filter before whatever makes parts of them",
        "packets without an id pass: nobody can tell which document they are",
    ]


class Mail(Transformer):
    """Sends a document and what is attached to it."""

    attached: Sequence[str] = ()

    def process(self, packet: Packet) -> None:
        parts = [packet.derive("attachment", word, {"text": word}) for word in self.attached]
        for one in (packet, *parts):
            self.send("out", one)


def test_a_document_with_parts_passes_as_a_whole(tmp_path: Path) -> None:
    mail, work, index = Mail(), Work(), Index()
    with Pipeline(mail, Unchanged, work, index) as pipeline:
        for receipt, mail.attached in (("r1", ["x"]), ("r2", ["y", "z"]), ("r3", [])):
            pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": receipt})])
            assert [fate.outcome for fate in pipeline.fates][-1] == "published"
            assert len(index.parts[Identity("", "a")]) == 1 + len(mail.attached)
        # without parts at last, it is held back
        pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": "r4"})])
        assert [fate.outcome for fate in pipeline.fates][-1] == "dropped"
    assert all(each.is_whole for each in index.told)


def test_a_part_that_came_for_the_first_time_is_not_lost_on_a_document_that_is_held_back(tmp_path: Path) -> None:
    mail, work, index = Mail(), Work(), Index()
    with Pipeline(mail, Unchanged, work, index) as pipeline:
        for receipt, mail.attached in (("r1", []), ("r2", ["x"])):
            pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": receipt})])
            assert [fate.outcome for fate in pipeline.fates] == ["published"]
    assert len(index.parts[Identity("", "a")]) == 2
    assert index.told[-1].is_whole


def test_a_document_that_was_held_back_runs_again_when_a_part_of_it_comes(graphs: Any) -> None:
    graph = graphs(params={})
    graph.post([Packet({"id": "a", "text": "one"}, {"receipt": "r1", "index": 0})])
    root = Packet({"id": "a", "text": "one"}, {"receipt": "r2", "index": 0})
    part = root.derive("attachment", "x", {"text": "x"})

    def passes(packet: Packet) -> Any:
        return graph.unchanged._judge([packet], [graph.unchanged._key_of(packet)])[0]

    assert [passes(one) for one in (root, part, root, part)] == [False, None, True, True]


def test_several_packets_of_a_document_pass_always(tmp_path: Path) -> None:
    class Twice(Transformer):
        def process(self, packet: Packet) -> Packet:
            other = packet.clone()
            other["text"] = "another"
            self.send("out", other)
            return packet

    work = Work()
    with Pipeline(Twice, Unchanged, work) as pipeline:
        for receipt in ("r1", "r2", "r3"):
            pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": receipt})])
    assert work.calls == ["a"] * 6


def test_what_has_no_fingerprint_passes(graphs: Any) -> None:
    graph = graphs()
    for receipt in ("r1", "r2"):
        odd = Packet({"id": "a", "odd": {1: "x", "1": "y", None: "z"}}, {"receipt": receipt})
        assert graph.post([odd]) == ["a"]


def test_only_so_many_documents_are_remembered(graphs: Any) -> None:
    graph = graphs(params={"documents": 2, "omit": ["seen"]})
    graph.post(corpus("r1"))
    assert graph.post(corpus("r2")) != []
    assert graph.post(corpus("r3", {"c": ""})) == []


def test_a_publisher_on_another_branch_gets_all_and_its_failure_forgets() -> None:
    unchanged, split, behind, beside = Unchanged(), Split(), Index(), Index()
    nodes: dict[str, Component] = {"start": Work(), "unchanged": unchanged, "split": split, "behind": behind, "beside": beside}
    wires = [("start.out", "unchanged.in"), ("unchanged.out", "split.in"), ("split.out", "behind.in"), ("start.out", "beside.in")]
    with Pipeline(nodes=nodes, wires=wires) as pipeline:
        for receipt, fails, calls in (("r1", {"a"}, ["a"]), ("r2", set(), ["a"]), ("r3", set(), [])):
            beside.fails = fails
            split.calls.clear()
            pipeline.push([Packet({"id": "a", "text": "one"}, {"receipt": receipt})])
            assert split.calls == calls
    assert [each.is_whole for each in beside.told] == [False, True, True]
    assert len(behind.told) == 2
