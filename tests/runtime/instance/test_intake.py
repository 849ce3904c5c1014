"""Intake: deliveries decoded into feeds of bounded batches, and outcomes given back to each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from pypes.component import Adapter, Publisher
from pypes.core.identity import Identity, Named
from pypes.core.limits import Limits
from pypes.core.media_types import PACKETS
from pypes.errors import Retry
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.ingest.accounts import Account, kind_of, report
from pypes.ingest.delivery import Header
from pypes.ingest.ordering import Overtaken, key_of
from pypes.ingest.outcome import Details, Fate, Outcome, Poison
from pypes.ingest.protocol import Item, Published, Rerun
from pypes.ingest.receipt import ReceiptId
from pypes.ingest.replaying import from_filter
from pypes.packet import Packet
from pypes.runtime.instance.arrived import Arrived
from pypes.runtime.instance.crash_record import DECODING, CrashRecord
from pypes.runtime.instance.intake import Intake
from pypes.runtime.instance.routing import Router
from pypes.runtime.scheduler import Epoch, Scheduler
from pypes.runtime.scheduler.failures import MOST_FAILURES


class In(Adapter):
    accepts = ("application/json",)

    def process(self, packet: Any) -> Any:
        if packet.get("do") == "raise":
            raise ValueError("no")
        if packet.get("do") == "retry":
            packet.delete("do")
            raise Retry
        return None if packet.get("do") == "drop" else packet


class Keep(Publisher):
    def setup(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.packets: list[Any] = []
        self.batches: list[int] = []

    def process_batch(self, packets: list[Any]) -> None:
        if any(packet.get("refuse") == self.name for packet in packets):
            raise ValueError("not here")
        self.batches.append(len(packets))
        self.packets += packets
        self.kept += [packet.to_json()["fields"] for packet in packets]


class Connection:
    def __init__(self) -> None:
        self.batches: dict[tuple[str, ...], Published] = {}
        self.outcomes: list[tuple[int, Outcome]] = []
        self.commits: list[tuple[int, str, list[int]]] = []

    def published_by(self, graph: str, version: int, takers: tuple[str, ...]) -> Published:
        assert (graph, version) == ("g", 3)
        return self.batches.setdefault(takers, Published(version, takers, [], []))

    @property
    def published(self) -> list[int]:
        return [number for batch in self.batches.values() for number in batch.numbers]

    def committed(self, number: int, publisher: str, documents: list[int], version: int) -> None:
        self.commits.append((number, publisher, documents))


class Bench:
    """A graph of publishers behind adapters, and a way to put deliveries through it."""

    def __init__(
        self,
        *adapters: str,
        limits: Limits | None = None,
        publishers: Sequence[str] = ("out",),
        is_ordered: bool = False,
        keep: type[Keep] = Keep,
    ) -> None:
        names = adapters or ("in",)
        self.keeps = {name: keep() for name in publishers}
        self.keep = self.keeps[publishers[0]]
        components = self.components = {**{name: In() for name in names}, **self.keeps}
        graph = self.graph = Graph(
            "g",
            {name: GraphNode(name, type(c).__name__) for name, c in components.items()},
            tuple(Wire(name, "out", publisher, "in") for name in names for publisher in publishers),
        )
        self.limits = limits or Limits()
        self.is_ordered = is_ordered
        self.router = Router(graph, components)
        self.scheduler = Scheduler(graph, components, limits=self.limits, on_done=self.done)
        self.scheduler.setup()
        self.connection = Connection()

    def done(self, epoch: Epoch) -> None:
        epoch.feed.deliveries[0].acknowledge("g", 3)

    def put(
        self,
        *deliveries: tuple[Header, bytes],
        rerun: Rerun | None = None,
        record: CrashRecord | None = None,
        run: int = 0,
        version: int = 0,
    ) -> dict[int, Outcome]:
        items = [
            Arrived(self.connection, Item(number, receipt_of(number), header, len(body), rerun=rerun), body)
            for number, (header, body) in enumerate(deliveries)
        ]
        intake = Intake(items, self.router, self.limits, is_ordered=self.is_ordered, record=record, run=run, version=version)
        intake.epoch = self.scheduler.submit(intake.feed())
        self.scheduler.drain()
        return {**{number: Outcome(published=1) for number in self.connection.published}, **dict(self.connection.outcomes)}


def receipt_of(number: int) -> str:
    return str(ReceiptId(1, 1, 99, number, 5))


def one(value: Any, **header: Any) -> tuple[Header, bytes]:
    return Header("g", content_type="application/json", **header), json.dumps(value).encode()


def many(values: list[Any], **header: Any) -> tuple[Header, bytes]:
    body = b"\n".join(json.dumps(value).encode() for value in values)
    return Header("g", content_type="application/x-ndjson", **{"documents": len(values), **header}), body


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")


def test_many_small_deliveries_are_one_batch_and_acknowledged_together() -> None:
    bench = Bench()
    outcomes = bench.put(*[one({"n": n}) for n in range(50)])
    assert bench.connection.published == list(range(50))
    assert outcomes == {n: Outcome(published=1) for n in range(50)}
    assert bench.keep.batches == [50]


def test_batches_are_never_more_than_a_wave() -> None:
    bench = Bench(limits=Limits(wave_packets=16))
    bench.put(*[one({"n": n}) for n in range(20)], many([{"n": n} for n in range(20, 70)]))
    assert [fields["n"] for fields in bench.keep.kept] == list(range(70))
    assert max(bench.keep.batches) <= 16


def test_each_delivery_gets_its_own_outcome_and_dead_letters() -> None:
    bench = Bench()
    outcomes = bench.put(one({"n": 0}), many([{}, {"do": "drop"}, {"do": "raise"}]), one({"do": "raise"}), one({"do": "drop"}))
    assert [(o.published, o.dropped, o.failed) for _, o in sorted(outcomes.items())] == [
        (1, 0, 0),
        (1, 1, 1),
        (0, 0, 1),
        (0, 1, 0),
    ]
    [letter] = outcomes[1].dead_letters
    assert (letter.documents, letter.filter, letter.version, letter.graph) == ((2,), "in", 3, "g")
    [other] = outcomes[2].dead_letters
    assert (other.documents, other.id != letter.id) == ((0,), True)


def test_a_second_run_leaves_the_same_dead_letters() -> None:
    first, second = (Bench().put(many([{"do": "raise"}] * 3))[0] for _ in range(2))
    assert [letter.id for letter in first.dead_letters] == [letter.id for letter in second.dead_letters]
    assert len({letter.id for letter in first.dead_letters}) == 3


def test_on_a_tie_every_adapter_gets_its_own_packet() -> None:
    bench = Bench("a", "b")
    assert bench.put(one({"n": 1})) == {0: Outcome(published=1)}
    assert bench.keep.kept == [{"n": 1}, {"n": 1}]


@pytest.mark.parametrize(("given", "counted", "failed"), [(3, 5, 2), (5, 3, 3)])
def test_a_body_with_another_number_of_documents_fails(given: int, counted: int, failed: int) -> None:
    _, body = many([{"n": n} for n in range(given)])
    header = Header("g", content_type="application/x-ndjson", documents=counted)
    bench = Bench()
    outcomes = bench.put((header, body), one({}))
    assert (outcomes[0].failed, outcomes[0].published) == (failed, counted - failed)
    assert outcomes[0].dead_letters[0].code == "ingest.count"
    assert outcomes[0].keeps_body
    assert outcomes[1] == Outcome(published=1)


def test_no_adapter_keeps_the_packet() -> None:
    bench = Bench()
    outcomes = bench.put((Header("g", content_type="text/html", filename="a.html"), b"<p>"))
    [letter] = outcomes[0].dead_letters
    assert letter.code == "graph.no_adapter"
    assert json.loads(letter.packet)["meta"]["filename"] == "a.html"
    assert not outcomes[0].keeps_body


OUT = Fate("published", ("out",))


def test_what_fails_is_named_as_it_came() -> None:
    bench = Bench()
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: application/json\r\n\r\n{text}\r\n'
        for name, text in (("a", "{}"), ("b", '{"do": "raise", "id": 1}'), ("c", '{"do": "drop"}'))
    )
    together = Header("g", content_type="multipart/form-data; boundary=b", route="r", filename="whole", documents=3)
    alone = Header("g", content_type="application/json", route="r", id="url", filename="x.json")
    first, second, third = bench.put(
        (together, f"{parts}--b--\r\n".encode()),
        (alone, b'{"do": "raise", "id": "field"}'),
        (Header("g", content_type="application/json", filename="y.json", documents=2), b"[1"),
    ).values()
    assert [letter.named for letter in first.dead_letters] == [Named("1", "b", "r")]
    assert first.details is not None
    assert first.details.files == {1: "b", 2: "c"}
    assert [letter.named for letter in second.dead_letters] == [Named("url", "x.json", "r")]
    assert [(letter.named, letter.index) for letter in third.dead_letters] == [(Named(None, "y.json"), 0)]


def test_the_details_follow_every_document() -> None:
    bench = Bench()
    values = [{"id": 7}, {"id": "a"}, {"do": "drop", "id": True}, {"do": "raise", "id": "b"}, {}]
    outcome = bench.put(many(values), one({}))[0]
    [letter] = outcome.dead_letters
    assert (outcome.published, outcome.dropped, outcome.failed, outcome.version) == (3, 1, 1, 3)
    assert outcome.details == Details(
        (OUT, Fate("dropped", (), "in"), Fate("failed", (), "in")),
        (2, 0, 1, 1, 1, 2, 1, 0),
        {0: "7", 1: "a", 3: "b"},
        {3: letter.id},
    )


def test_single_documents_are_gathered_by_who_took_them_with_their_ids() -> None:
    bench = Bench(publishers=("left", "right"))
    values: list[Any] = [{}, {"id": "a"}, {"id": 1, "refuse": "left"}, {"id": ""}, {"id": 2}]
    outcomes = bench.put(*map(one, values), one({"id": "own"}, id="of the URL"))
    batches = bench.connection.batches
    assert batches.keys() == {("left", "right")}
    assert batches["left", "right"] == Published(3, ("left", "right"), [0, 1, 3, 4, 5], [None, "a", None, "2", "of the URL"])
    [letter] = outcomes[2].dead_letters
    assert outcomes[2].details == Details((Fate("failed", ("right",), "left"),), (1, 0), {0: "1"}, {0: letter.id})


def test_a_single_document_has_the_metadata_given_with_it_and_its_first_receipt_in_a_replay() -> None:
    bench = Bench()
    bench.put(one({"n": 1}, meta=(("acl", "staff"),)), one({"n": 2}, replays="r", origin=("first", 0)), one({"n": 3}))
    found = [[packet.get_meta(name) for name in ("acl", "origin")] for packet in bench.keep.packets]
    assert sorted(found, key=str) == [["staff", None], [None, "first"], [None, None]]


def test_a_part_that_failed_is_the_same_part_in_its_replay() -> None:
    bench = Bench()
    row = Packet({}, {"id": "sheet", "route": "r"}).derive("row", 7, {"refuse": "out"})
    outcome = bench.put((Header("g", content_type=PACKETS, start="out"), json.dumps(row.to_json()).encode()))[0]
    (letter,) = outcome.dead_letters
    bench.keep.process_batch = bench.keep.packets.extend  # type: ignore[method-assign,assignment]
    bench.put(from_filter(replace(letter, graph="g", filter="out"), None, is_edited=False, is_needed=False))
    (packet,) = bench.keep.packets
    assert (packet.document, packet.part, packet.id) == (Identity("r", "sheet"), "row=7", "sheet/row=7")


def test_ids_that_take_too_much_room_are_not_kept_at_all() -> None:
    bench = Bench(limits=Limits(receipt_ids_bytes=8, wave_packets=2))
    outcomes = bench.put(
        many([{"id": "12345678"}, {}, {}]), many([{"id": "1234567"}, {}, {"id": "89"}]), one({"id": "123456789"})
    )
    ids = [outcome.details.ids for number, outcome in sorted(outcomes.items()) if outcome.details is not None]
    assert ids == [{0: "12345678"}, None]
    assert bench.connection.batches["out",].ids == []


def test_documents_of_one_id_go_in_one_after_the_other_in_an_ordered_graph() -> None:
    bench = Bench(is_ordered=True)
    values = [{"id": 1, "n": 0, "do": "retry"}, {"id": 2, "n": 1}, {"id": 1, "n": 2}, {"id": 3, "n": 3}, {"id": 2, "n": 4}]
    [outcome] = bench.put(many(values)).values()
    assert outcome.published == 5
    order = [fields["n"] for fields in bench.keep.kept]
    assert order.index(0) < order.index(2)
    assert order.index(1) < order.index(4)
    assert order[:2] == [1, 0], "another id need not wait for the retry"


def test_what_cannot_be_read_in_a_lenient_body_fails_by_itself() -> None:
    bench = Bench()
    body = b'{"n": 0}\nnot json\n{"n": 2}\n\xff\xfe\n'
    outcome = bench.put((Header("g", content_type="application/x-ndjson", documents=4, is_lenient=True), body))[0]
    assert (outcome.published, outcome.failed, outcome.keeps_body) == (2, 2, False)
    assert [fields["n"] for fields in bench.keep.kept] == [0, 2]
    first, second = outcome.dead_letters
    assert (first.code, first.documents, json.loads(first.packet)["fields"]) == ("ingest.malformed", (1,), {"data": "not json"})
    assert json.loads(first.packet)["meta"]["receipt"] == receipt_of(0)
    assert (second.documents, json.loads(second.packet)["field_meta"]["data"]) == ((3,), {"pypes": {"base64": True}})


def test_a_replay_may_be_some_documents_of_a_body() -> None:
    bench = Bench(limits=Limits(wave_packets=2))
    header, body = many([{"n": n} for n in range(9)])
    outcome = bench.put((Header("g", content_type=header.content_type, documents=2, only=(3, 6)), body))
    assert [fields["n"] for fields in bench.keep.kept] == [3, 6]
    assert outcome[0].published == 2


def test_a_replay_may_start_at_any_filter() -> None:
    bench = Bench()
    body = json.dumps({"fields": {"do": "raise"}, "meta": {}, "field_meta": {}}).encode()
    assert bench.put((Header("g", content_type=PACKETS, start="out"), body)) == {0: Outcome(published=1)}
    assert bench.keep.kept == [{"do": "raise"}]


def test_poisons_are_dead_lettered_and_their_neighbours_run() -> None:
    bench = Bench()
    rerun = Rerun(poisons=(Poison(1, "in", "killed by SIGSEGV"),))
    outcome = bench.put(many([{"n": 0}, {"n": 1}, {"n": 2}]), rerun=rerun)[0]
    assert [fields["n"] for fields in bench.keep.kept] == [0, 2]
    [letter] = outcome.dead_letters
    assert (letter.code, letter.error, letter.documents) == ("instance.killed", "killed by SIGSEGV in filter in", (1,))
    assert (letter.filter, letter.component, json.loads(letter.packet)["fields"]) == ("in", "In", {"n": 1})
    assert outcome.details is not None
    assert outcome.details.fates[1] == Fate("failed", (), "in")


def test_what_a_publisher_has_committed_it_does_not_get_again() -> None:
    bench = Bench(publishers=("left", "right"))
    outcome = bench.put(many([{"n": 0}, {"n": 1}, {"n": 2}]), rerun=Rerun(committed={"left": (0, 2)}))[0]
    assert outcome.published == 3
    assert [fields["n"] for fields in bench.keeps["left"].kept] == [1]
    assert [fields["n"] for fields in bench.keeps["right"].kept] == [0, 1, 2]
    assert outcome.details is not None
    assert outcome.details.fates == (Fate("published", ("left", "right")),)


def test_in_order_what_comes_again_is_followed_by_what_was_newer() -> None:
    """The third version was committed, the second is not known to be: left out, the second would be the last one published."""
    bench = Bench(is_ordered=True)
    values = [{"id": "a", "n": n} for n in range(4)]
    bench.put(many(values), rerun=Rerun(committed={"out": (0, 2)}))
    assert [fields["n"] for fields in bench.keep.kept] == [1, 2, 3]


@pytest.mark.parametrize("superseded", [Overtaken((Identity("", "a"), Identity("r", "b"))), Overtaken((), (key_of("a"),))])
def test_documents_that_newer_ones_have_made_void_are_dropped(superseded: Overtaken) -> None:
    bench = Bench(is_ordered=True)
    values = [{"id": "a", "n": 0}, {"id": "b", "n": 1}, {"id": "a", "n": 2}, {"id": "c", "do": "drop"}]
    outcome = bench.put(many(values, is_bulk=True), rerun=Rerun(superseded=superseded))[0]
    assert [fields["n"] for fields in bench.keep.kept] == [1]
    assert outcome.details is not None
    assert outcome.details.fates == (Fate("dropped", (), "(superseded)"), OUT, Fate("dropped", (), "in"))
    assert outcome.details.runs == (1, 0, 1, 1, 1, 0, 1, 2)


def test_a_document_that_only_shares_the_hash_of_a_newer_one_is_not_dropped() -> None:
    bench = Bench(is_ordered=True)
    newer = Overtaken((Identity("", "doc-32060020"),))
    outcome = bench.put(many([{"id": "doc-29685295"}], is_bulk=True), rerun=Rerun(superseded=newer))[0]
    assert outcome.published == 1


def test_alone_documents_go_in_one_by_one_and_the_note_says_when_a_body_is_read() -> None:
    bench, record = Bench("a", "b"), CrashRecord()
    outcome = bench.put(many([{"n": 0}, {"n": 1, "do": "retry"}, {"n": 2}]), record=record)[0]
    assert outcome.published == 3
    assert [fields["n"] for fields in bench.keep.kept] == [0, 0, 1, 1, 2, 2]
    assert record.read().activity == DECODING


def test_a_multitude_of_failures_is_one_dead_letter_beyond_the_first() -> None:
    bench = Bench()
    # lines that cannot be read fail alike, and have no traceback, which takes long
    body = b"{}\n" + b"oops\n" * (MOST_FAILURES + 40) + b"{}"
    header = Header("g", content_type="application/x-ndjson", documents=MOST_FAILURES + 42, is_lenient=True)
    outcomes = bench.put(one({"do": "raise"}), (header, body), many([{"do": "raise"}] * 2))
    outcome = outcomes[1]
    assert (outcome.published, outcome.failed) == (2, MOST_FAILURES + 40)
    assert (len(outcome.dead_letters), outcome.keeps_body, outcome.has_whole_packets) == (MOST_FAILURES + 1, True, True)
    [letter] = [letter for letter in outcome.dead_letters if letter.spans]
    assert (letter.documents, letter.spans, letter.failures, letter.packet) == ((), (MOST_FAILURES + 1, 40), 40, b"")
    assert letter.error.endswith("(and 39 more like this one, without their packets)")
    assert letter.id == min(letter.id for letter in outcome.dead_letters)
    # every document of the receipt leads to its letter
    assert outcome.details is not None
    account = Account(kind_of(Header("g", documents=MOST_FAILURES + 42), outcome), 0, 0, None)
    documents = report(account, outcome.details, MOST_FAILURES + 42, -1)
    assert [documents[n].deadletter for n in (0, MOST_FAILURES + 41)] == [None, None]
    assert {document.deadletter for document in documents[MOST_FAILURES + 1 : -1]} == {letter.id}
    assert len({document.deadletter for document in documents[1 : MOST_FAILURES + 1]}) == MOST_FAILURES
    # those beside it keep theirs
    assert [len(outcomes[n].dead_letters) for n in (0, 2)] == [1, 2]
    assert all(letter.packet for n in (0, 2) for letter in outcomes[n].dead_letters)
