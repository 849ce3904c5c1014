"""Components of the easy style on the scheduler: order, isolation, lineages, holds."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Adapter, Component, Filter, Operator, Publisher, Transformer
from pypes.core.limits import Limits
from pypes.errors import ComponentError, InvalidComponent, Reject, Retry
from pypes.packet import Body, Packet
from pypes.pipeline import Pipeline
from pypes.testing import run_component


def packets(count: int) -> list[Packet]:
    return [Packet({"n": n}) for n in range(count)]


def numbers(found: list[Any]) -> list[int]:
    return [p.get("n") for p in found]


class Double(Transformer):
    def process(self, packet: Packet) -> Packet:
        packet.set("n", packet.get("n") * 2)
        return packet


class Even(Filter):
    def process(self, packet: Packet) -> Packet | None:
        return packet if packet.get("n") % 2 == 0 else None


class Echo(Operator):
    """Sends a copy before what it returns, to see that the order is kept."""

    def process(self, packet: Packet) -> Packet:
        copy = packet.clone()
        copy.set("copy", True)
        self.send("out", copy)
        return packet


class Picky(Transformer):
    def process(self, packet: Packet) -> Packet:
        n = packet.get("n")
        if n == 3:
            raise ValueError("three")
        if n == 5:
            raise Reject("no fives", code="picky.five")
        if n == 7:
            raise SystemExit(7)
        return packet


def test_a_chain_runs_in_order() -> None:
    with Pipeline(Double, Double) as pipeline:
        assert numbers(list(pipeline.push([*packets(1000)]))) == [4 * n for n in range(1000)]


def test_none_drops_and_the_rest_keeps_its_order() -> None:
    with Pipeline(Even, Double) as pipeline:
        assert numbers(list(pipeline.push([*packets(9)]))) == [0, 4, 8, 12, 16]


def test_what_is_sent_comes_before_what_is_returned() -> None:
    with Pipeline(Echo) as pipeline:
        found = list(pipeline.push([*packets(3)]))
    assert [(p.get("n"), p.has("copy")) for p in found] == [(n, c) for n in range(3) for c in (True, False)]


def test_one_bad_packet_costs_only_itself() -> None:
    with Pipeline(Picky, Double) as pipeline:
        found = numbers(list(pipeline.push([*packets(10)])))
        failures = pipeline.dead_letters
    assert found == [2 * n for n in range(10) if n not in (3, 5, 7)]
    assert [(f.positions, f.node, f.code) for f in failures] == [
        ((3,), "picky1", "component.raised"),
        ((5,), "picky1", "picky.five"),
        ((7,), "picky1", "component.raised"),
    ]
    assert failures[0].reason == "ValueError: three"
    assert "raise ValueError" in failures[0].traceback
    assert failures[0].value["n"] == 3
    letter = run_component(Picky, packets(10)).dead_letters[0]
    assert (letter.documents, letter.component, letter.error) == ((3,), "Picky", "ValueError: three")
    assert b'"n":3' in letter.packet


def test_a_wired_error_port_takes_the_packet_instead() -> None:
    nodes: dict[str, Any] = {"picky": Picky, "double": Double, "late": Double}
    with Pipeline(nodes=nodes, wires=[("picky.out", "double.in"), ("picky.error", "late.in")]) as pipeline:
        found = list(pipeline.push([*packets(6)]))
        assert pipeline.dead_letters == []
    late = [p for p in found if p.has_meta("error")]
    assert sorted(numbers(late)) == [6, 10]
    assert late[0].get_meta("error")["code"] in ("component.raised", "picky.five")


def test_sending_to_a_port_that_does_not_exist_is_an_error() -> None:
    class Lost(Transformer):
        def process(self, packet: Packet) -> None:
            self.send("nowhere", packet)

    with Pipeline(Lost) as pipeline:
        assert list(pipeline.push([*packets(1)])) == []
        assert "no output port 'nowhere'" in pipeline.dead_letters[0].reason


def test_fan_out_gives_every_branch_its_own_packet() -> None:
    nodes: dict[str, Any] = {"start": Even, "a": Double, "b": Double}
    with Pipeline(nodes=nodes, wires=[("start.out", "a.in"), ("start.out", "b.in")]) as pipeline:
        assert sorted(numbers(list(pipeline.push([*packets(4)])))) == [0, 0, 4, 4]


def test_retry_comes_back_and_gives_up_after_max_attempts() -> None:
    tries: dict[int, int] = {}

    class Flaky(Transformer):
        max_attempts = 3

        def process(self, packet: Packet) -> Packet:
            n = packet.get("n")
            tries[n] = tries.get(n, 0) + 1
            if n == 1 and tries[n] < 3:
                raise Retry(0.0, "not yet")
            if n == 2:
                raise Retry(0.0, "never")
            return packet

    result = run_component(Flaky, packets(4))
    assert sorted(numbers(result.packets)) == [0, 1, 3]
    (failure,) = result.dead_letters
    assert tries == {0: 1, 1: 3, 2: 3, 3: 1}
    assert (failure.code, failure.attempts, failure.error) == ("retry.exhausted", 3, "never")


def test_a_batch_that_raises_is_tried_packet_by_packet() -> None:
    class Batch(Transformer):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            if any(p.get("n") == 2 for p in packets):
                raise ValueError("two")
            return packets

    with Pipeline(Batch) as pipeline:
        assert numbers(list(pipeline.push([*packets(5)]))) == [0, 1, 3, 4]
        assert [f.positions for f in pipeline.dead_letters] == [(2,)]


def test_batch_results_keep_the_lineage_of_the_packet_they_are() -> None:
    class Reverse(Operator):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            return [p for p in reversed(packets) if p.get("n") != 1]

    with Pipeline(Reverse, Picky) as pipeline:
        assert numbers(list(pipeline.push([*packets(6)]))) == [4, 2, 0]
        assert sorted(f.positions for f in pipeline.dead_letters) == [(3,), (5,)]


class Pairs(Operator):
    """Joins packets two by two."""

    holds = True
    max_hold_s = 30.0

    def setup(self) -> None:
        self.kept: list[Packet] = []

    def process(self, packet: Packet) -> Packet | None:
        self.kept.append(packet)
        if len(self.kept) < 2:
            return None
        self.release()
        return self._pair()

    def _pair(self) -> Packet:
        pair = Packet({"pair": [p.get("n") for p in self.kept]})
        self.kept = []
        return pair

    def flush(self) -> list[Packet]:
        return [self._pair()] if self.kept else []


def test_held_packets_are_let_go_when_nothing_else_moves() -> None:
    with Pipeline(Pairs) as pipeline:
        found = list(pipeline.push([*packets(5)]))
    assert [p.get("pair") for p in found] == [[0, 1], [2, 3], 4]


def test_a_packet_made_of_several_carries_all_their_lineages() -> None:
    class Fail(Publisher):
        def process(self, packet: Packet) -> None:
            if packet.get("pair") == [2, 3]:
                raise ValueError("bad pair")

    with Pipeline(Pairs, Fail) as pipeline:
        list(pipeline.push([*packets(6)]))
        assert [f.positions for f in pipeline.dead_letters] == [(2, 3)]


def test_a_flush_that_raises_dead_letters_what_was_held() -> None:
    class Broken(Pairs):
        def flush(self) -> list[Packet]:
            raise OSError("gone")

    with Pipeline(Broken) as pipeline:
        assert list(pipeline.push([*packets(1)])) == []
        assert [(f.positions, f.code) for f in pipeline.dead_letters] == [((0,), "component.flush_failed")]


def test_a_loop_holds_no_packet_that_it_has_not_taken_yet() -> None:
    class OneATurn(Component):
        holds = True

        def run(self) -> None:
            while True:
                self.receive("in")
                self.yield_ctrl()

        def flush(self) -> None:
            raise ValueError("cannot flush")

    with Pipeline(OneATurn) as pipeline:
        list(pipeline.push([*packets(3)]))
        assert [(f.positions, f.code) for f in pipeline.dead_letters] == [((n,), "component.flush_failed") for n in range(3)]


def test_a_publisher_may_not_hold() -> None:
    class Holder(Publisher):
        holds = True

    with pytest.raises(InvalidComponent, match="cannot hold"):
        Pipeline(Holder)


def test_a_failed_commit_is_narrowed_down_to_the_guilty_packet() -> None:
    class Strict(Publisher):
        def setup(self) -> None:
            self.open: list[int] = []
            self.published: list[int] = []

        def process(self, packet: Packet) -> None:
            self.open.append(packet.get("n"))

        def commit(self) -> None:
            rows, self.open = self.open, []
            if 2 in rows:
                raise ValueError("constraint")
            self.published += rows

    strict = Strict()
    with Pipeline(strict) as pipeline:
        list(pipeline.push([*packets(4)]))
        assert [f.positions for f in pipeline.dead_letters] == [(2,)]
    assert sorted(strict.published) == [0, 1, 3]


def test_a_full_wire_parks_the_sender_and_memory_stays_bounded() -> None:
    most = 0

    class Rows(Adapter):
        def process(self, packet: Packet) -> None:
            for n in range(10_000):
                self.live = n
                self.send("out", Packet({"n": n}))

    class Watch(Publisher):
        seen = 0

        def process(self, packet: Packet) -> None:
            nonlocal most
            most = max(most, rows.live - packet.get("n"))
            self.seen += 1

    rows, watch = Rows(), Watch()
    with Pipeline(rows, watch, limits=Limits(wire_packets=64)) as pipeline:
        list(pipeline.push([*packets(1)]))
    assert watch.seen == 10_000
    assert most <= 2 * 64


def test_offload_parks_only_its_component() -> None:
    import threading

    release = threading.Event()
    order: list[str] = []

    class Slow(Publisher):
        def process(self, packet: Packet) -> None:
            self.offload(release.wait, 30)
            order.append("slow")

    class Fast(Publisher):
        def process(self, packet: Packet) -> None:
            order.append("fast")
            release.set()

    nodes: dict[str, Any] = {"start": Even, "slow": Slow, "fast": Fast}
    with Pipeline(nodes=nodes, wires=[("start.out", "slow.in"), ("start.out", "fast.in")]) as pipeline:
        list(pipeline.push([*packets(1)]))
    assert order == ["fast", "slow"]


def test_offload_raises_what_the_call_raises() -> None:
    class Bad(Transformer):
        def process(self, packet: Packet) -> Packet:
            self.offload(int, "x")
            return packet

    with Pipeline(Bad) as pipeline:
        list(pipeline.push([*packets(1)]))
        assert "invalid literal" in pipeline.dead_letters[0].reason


def test_a_set_up_that_fails_names_the_filter_and_tears_the_others_down() -> None:
    closed: list[str] = []

    class Good(Transformer):
        def teardown(self) -> None:
            closed.append(self.name)

    class Bad(Good):
        def setup(self) -> None:
            raise OSError("no model")

    with pytest.raises(ComponentError, match="no model") as caught:
        Pipeline(Good, Bad)
    assert caught.value.where == "bad2"
    assert closed == ["good1", "bad2"]


def test_a_log_line_says_what_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    class Talk(Transformer):
        def setup(self) -> None:
            self.log.warning("ready")

        def process(self, packet: Packet) -> Packet:
            self.log.warning("seen", extra={"size": 3})
            return packet

    with Pipeline(nodes={"talk": Talk()}) as pipeline:
        list(pipeline.push([*[Packet({"n": 1}, {"receipt": "r1", "id": "7"})]]))
    ready, seen = caplog.records
    assert (ready.graph, ready.filter) == ("pipeline", "talk")  # type: ignore[attr-defined]
    assert not hasattr(ready, "packet_id")
    assert (seen.filter, seen.receipt, seen.packet_id, seen.size) == ("talk", "r1", "7", 3)  # type: ignore[attr-defined]


def test_a_failed_packet_with_a_large_body_is_kept_without_it_and_says_so() -> None:
    class Large(Body):
        size = 1 << 40

        def open(self) -> Any:
            raise AssertionError("a dead letter must not read it")

        def read(self) -> bytes:
            raise AssertionError("a dead letter must not read it")

    class Refuse(Adapter):
        def process(self, packet: Packet) -> None:
            raise Reject("no")

    given = [Packet.from_document({"data": Large(), "n": 1}), Packet({"n": 2})]
    large, small = run_component(Refuse, given).dead_letters
    assert (b'"n":1' in large.packet, b"data" in large.packet, large.is_whole) == (True, False, False)
    assert small.is_whole


def test_a_log_line_of_a_batch_names_the_receipts_of_its_packets(caplog: pytest.LogCaptureFixture) -> None:
    class Talk(Transformer):
        def process_batch(self, packets: list[Packet]) -> list[Packet]:
            self.log.warning("seen")
            if len(packets) > 1 and packets[0].get("fails"):
                raise ValueError
            return packets

    def receipts(*packets: Packet) -> list[Any]:
        caplog.clear()
        with Pipeline(nodes={"talk": Talk()}) as pipeline:
            list(pipeline.push([*packets]))
        return [getattr(record, "receipt", None) for record in caplog.records if record.getMessage() == "seen"]

    def packet(receipt: str, **fields: Any) -> Packet:
        return Packet(fields, {"receipt": receipt})

    assert receipts(packet("a"), packet("b"), packet("a")) == [["a", "b"]]
    assert receipts(packet("a"), packet("a")) == ["a"]
    assert receipts(Packet(), Packet()) == [None]
    assert receipts(*(packet(str(n)) for n in range(100))) == [[str(n) for n in range(10)]]
    # tried one by one, each is by itself
    assert receipts(packet("a", fails=True), packet("b")) == [["a", "b"], "a", "b"]
