"""The documents of deliveries of which components are told when nothing more of them comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pypes.core.clock import wall
from pypes.core.identity import Completed, Identity
from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import Overtaken
from pypes.ingest.outcome import Poison
from pypes.ingest.protocol import Rerun
from pypes.packet import Packet
from pypes.runtime.instance.crash_record import CrashRecord
from pypes.runtime.instance.routing import Router
from tests.runtime.instance.test_intake import Bench, Keep, many, one, receipt_of


class Index(Keep):
    """Removes a part for each document that it is told of as whole, and is not new to it."""

    def setup(self) -> None:
        super().setup()
        self.told: list[Completed] = []
        self.calls: list[int] = []
        self.commits = 0

    def complete(self, documents: list[Completed]) -> int:
        known = {each.document for each in self.told}
        self.told += documents
        self.calls.append(len(documents))
        return sum(1 for each in documents if each.is_whole and each.document in known)

    def commit(self) -> None:
        self.commits += 1

    @property
    def short(self) -> list[tuple[str, int, bool]]:
        return [(each.document.id, each.version.index, each.is_whole) for each in self.told]


class Ends(Index):
    """Is told when documents are done everywhere, too."""

    def setup(self) -> None:
        super().setup()
        self.done: list[Completed] = []

    def conclude(self, documents: list[Completed]) -> None:
        self.done += documents


Make = Callable[..., tuple[Bench, Index]]


@pytest.fixture
def bench_of() -> Iterator[Make]:
    made: list[Bench] = []

    def make(*adapters: str, **options: Any) -> tuple[Bench, Index]:
        bench = Bench(*adapters, **{"keep": Index, **options})
        made.append(bench)
        assert isinstance(bench.keep, Index)
        return bench, bench.keep

    yield make
    for bench in made:
        bench.scheduler.teardown()


def test_documents_without_an_id_are_done_too(bench_of: Make) -> None:
    bench, ends = bench_of(keep=Ends)
    bench.put(one({"n": 1}, route="r"), many([{"id": "a"}, {}, {"n": 2}]))
    assert isinstance(ends, Ends)
    documents = [("r", "", receipt_of(0), 0), ("", "a", receipt_of(1), 0), ("", "", receipt_of(1), 1), ("", "", receipt_of(1), 2)]
    assert [(*each.document, each.version.receipt, each.version.index) for each in ends.done] == documents
    assert [each.document.id for each in ends.told] == ["a"]


def test_documents_with_an_id_are_told_with_their_versions(bench_of: Make) -> None:
    before = wall()
    bench, index = bench_of()
    bench.put(one({}, id="of the URL", route="r"), one({"id": 7}), one({"n": 1}), many([{"id": "a"}, {}, {"id": "b"}]))
    documents = [("r", "of the URL"), ("", "7"), ("", "a"), ("", "b")]
    assert [each.document for each in index.told] == [Identity(*each) for each in documents]
    assert [(each.version.receipt, each.version.index) for each in index.told] == [
        *[(receipt_of(0), 0), (receipt_of(1), 0)],
        *[(receipt_of(3), 0), (receipt_of(3), 2)],
    ]
    assert all(each.is_whole and not each.is_deleted for each in index.told)
    runs = {each.version.run for each in index.told}
    assert len(runs) == 1
    assert int(before * 1000) <= runs.pop() <= wall() * 1000


@pytest.mark.parametrize("is_wanted", [False, True])
def test_documents_say_which_run_they_are_of_where_somebody_asks(is_wanted: bool) -> None:
    bench = Bench()
    if is_wanted:
        bench.keep.complete = lambda documents: None
    bench.router = Router(bench.graph, bench.components)
    bench.put(one({"id": "a"}), one({"id": "b"}, meta=(("acl", "x"),)), many([{"id": "c"}, {"id": "d"}]))
    found = sorted((packet.id, packet.version.index, packet.get_meta("run")) for packet in bench.keep.packets)
    run = found[0][2]
    assert type(run) is (int if is_wanted else type(None))
    assert found == [("a", 0, run), ("b", 0, run), ("c", 0, run), ("d", 1 if is_wanted else 0, run)]


def test_packets_and_news_are_of_one_run(bench_of: Make) -> None:
    bench, index = bench_of()
    bench.put(one({"id": "a"}), many([{"id": "b"}, {"id": "c"}]), run=1790000000000)
    assert {packet.version for packet in index.packets} == {each.version for each in index.told}
    assert {each.version.run for each in index.told} == {1790000000000}


def test_what_is_not_told_of_says_no_run(bench_of: Make) -> None:
    bench, index = bench_of()
    bench.put(one({"id": ""}), one({"a": 1}, meta=(("acl", "x"),)), many([{"id": None}, {"b": 1}]), run=1790000000000)
    assert [packet.has_meta("run") for packet in index.packets] == [False] * 4
    assert not index.told


def test_small_deliveries_and_waves_of_large_ones_have_one_commit_for_packets_and_news(bench_of: Make) -> None:
    bench, index = bench_of(limits=Limits(wave_packets=8))
    bench.put(*[one({"id": n}) for n in range(6)])
    assert (index.commits, index.batches, len(index.told)) == (1, [6], 6)
    bench.put(many([{"id": n} for n in range(40)]))
    assert (index.commits, index.batches[1:], index.calls[6:]) == (6, [8] * 5, [8] * 5)


def test_however_much_room_ids_take_in_receipts(bench_of: Make) -> None:
    bench, index = bench_of(limits=Limits(receipt_ids_bytes=2))
    bench.put(many([{"id": "long enough"}, {"id": "and another"}]), one({"id": "a third one"}))
    assert sorted(each.document.id for each in index.told) == ["a third one", "and another", "long enough"]


def test_deletions_are_told(bench_of: Make) -> None:
    bench, index = bench_of()
    bench.put((Header("g", method="DELETE", id="a", route="r", start="in"), b""))
    assert [(each.document, each.is_whole, each.is_deleted) for each in index.told] == [(Identity("r", "a"), True, True)]


def test_documents_of_which_nothing_comes_are_told(bench_of: Make) -> None:
    bench, index = bench_of()
    bench.put(many([{"id": 0, "do": "drop"}, {"id": 1, "do": "raise"}, {"id": 2}]))
    assert sorted(index.short) == [("0", 0, True), ("1", 1, False), ("2", 2, True)]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (Header("g", content_type="application/json", id="a"), b"{"),
        (Header("g", content_type="application/json", id="a", encoding="gzip"), b"no gzip"),
        (Header("g", content_type="text/html", id="a"), b"<p>"),
    ],
)
def test_a_document_that_the_request_names_is_told_unread(bench_of: Make, header: Header, body: bytes) -> None:
    bench, index = bench_of()
    outcome = bench.put((header, body))[0]
    assert (outcome.failed, index.short) == (1, [("a", 0, False)])


def test_what_was_removed_is_in_the_outcome_of_its_delivery(bench_of: Make) -> None:
    bench, _ = bench_of(publishers=("left", "right"))
    outcomes = bench.put(one({"id": 1}), many([{"id": 1}, {"id": 2}, {"id": 1, "refuse": "left"}, {"id": 1, "n": 1}]))
    assert outcomes[0].removed is None
    assert outcomes[1].removed == {"left": 2, "right": 3}
    assert bench.put(one({"id": 2}))[0].removed == {"left": 1, "right": 1}


def test_a_single_document_that_removes_keeps_its_id_in_the_receipt(bench_of: Make) -> None:
    bench, _ = bench_of()
    bench.put(one({"id": "a"}))
    outcome = bench.put(one({"id": "a"}))[0]
    assert (outcome.published, outcome.removed) == (1, {"out": 1})
    assert outcome.details is not None
    assert outcome.details.ids == {0: "a"}


def test_versions_of_replays_are_those_of_the_first_run(bench_of: Make) -> None:
    bench, index = bench_of()
    header, body = many([{"id": n} for n in range(4)], replays="x", only=(1, 3), origin=("first", 10))
    bench.put((Header(**{**{f: getattr(header, f) for f in header.__struct_fields__}, "documents": 2}), body))
    assert [(each.version.receipt, each.version.index, each.is_whole) for each in index.told] == [
        ("first", 11, True),
        ("first", 13, True),
    ]


def test_a_replay_from_a_filter_is_not_whole(bench_of: Make) -> None:
    bench, index = bench_of()
    packets = json.dumps({"fields": {"id": "a"}, "meta": {}}).encode()
    bench.put((Header("g", content_type=PACKETS, replays="x", start="out", origin=("first", 3)), packets))
    assert index.short == [("a", 3, False)]


def test_parts_in_a_replay_are_of_their_document(bench_of: Make) -> None:
    bench, index = bench_of()
    part = Packet({"n": 1}, {"id": "a", "route": "r"}).derive("row", 1, {"n": 2})
    body = json.dumps(part.to_json()).encode()
    bench.put((Header("g", content_type=PACKETS, replays="x", start="out", origin=("first", 3)), body))
    assert [(packet.document, packet.part) for packet in index.packets] == [(Identity("r", "a"), "row=1")]
    assert [(each.document, each.is_whole) for each in index.told] == [(Identity("r", "a"), False)]


def test_what_runs_again_without_some_documents(bench_of: Make) -> None:
    bench, index = bench_of()
    rerun = Rerun(poisons=(Poison(1, "in", "killed"),), superseded=Overtaken((Identity("", "2"),)), committed={"out": (0,)})
    bench.put(many([{"id": n} for n in range(4)]), rerun=rerun)
    assert sorted(index.short) == [("0", 0, False), ("1", 1, False), ("2", 2, False), ("3", 3, True)]


@pytest.mark.parametrize("version", [0, 6, 7])
def test_what_was_committed_under_another_version_is_published_again(bench_of: Make, version: int) -> None:
    """That one may have split documents otherwise: what the earlier run left can go only when all of it is there again."""
    bench, index = bench_of()
    bench.put(many([{"id": n} for n in range(2)]), rerun=Rerun(committed={"out": (0,)}, version=version), version=7)
    known = version == 7
    assert [fields["id"] for fields in index.kept] == [0, 1][known:]
    assert sorted(index.short) == [("0", 0, not known), ("1", 1, True)]


def test_an_ordered_graph_is_told_of_one_version_after_the_other(bench_of: Make) -> None:
    bench, index = bench_of(is_ordered=True)
    bench.put(many([{"id": 1, "do": "retry"}, {"id": 2}, {"id": 1}, {"id": 3}, {"id": 2, "do": "drop"}]))
    for id in ("1", "2", "3"):
        versions = [version for each, version, _ in index.short if each == id]
        assert versions == sorted(versions)
    assert sorted(index.short) == sorted([("1", 0, True), ("2", 1, True), ("1", 2, True), ("3", 3, True), ("2", 4, True)])


def test_a_lone_run_is_told_of_each_document_before_the_next(bench_of: Make) -> None:
    bench, index = bench_of()
    record = CrashRecord()
    bench.put(many([{"id": n} for n in range(5)]), record=record)
    assert index.short == [(str(n), n, True) for n in range(5)]
    assert (index.commits, index.calls) == (5, [1] * 5)
