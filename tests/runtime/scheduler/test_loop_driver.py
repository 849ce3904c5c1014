"""Components of the original style: cursors, several ports, stalls, restarts, triggers."""

from __future__ import annotations

from typing import Any

from pypes.component import Component
from pypes.core.limits import Limits
from pypes.ingest.outcome import Fate
from pypes.packet import Packet
from pypes.pipeline import Pipeline
from pypes.runtime.scheduler import Epoch, Feed
from tests.runtime.scheduler.graphs import running


def packets(count: int) -> list[Packet]:
    return [Packet({"n": n}) for n in range(count)]


def numbers(found: list[Any]) -> list[int]:
    return [p.get("n") for p in found]


class Add(Component):
    __metatype__ = "TRANSFORMER"

    def __init__(self) -> None:
        Component.__init__(self)
        self.set_parameter("by", 1, [1, 2, 3])

    def run(self) -> None:
        while True:
            for doc in self.receive_all("in"):
                doc.set("n", doc.get("n") + self.get_parameter("by"))
                self.send("out", doc)
            self.yield_ctrl()


class Merge(Component):
    __metatype__ = "OPERATOR"

    def __init__(self) -> None:
        Component.__init__(self)
        self.add_input("in2", "Second input port")

    def run(self) -> None:
        while True:
            a, b = self.receive("in"), self.receive("in2")
            if a is not None and b is not None:
                merged = a.clone()
                merged.merge(b, metas=True)
                self.send("out", merged)
            elif a is not None or b is not None:
                self.send("out", a or b)
            else:
                self.yield_ctrl()


class Split(Component):
    __metatype__ = "OPERATOR"

    def __init__(self) -> None:
        Component.__init__(self)
        self.add_output("out2")

    def run(self) -> None:
        while True:
            for doc in self.receive_all("in"):
                self.send("out2", doc.clone())
                self.send("out", doc)
            self.yield_ctrl()


class Tag(Component):
    __metatype__ = "TRANSFORMER"

    def run(self) -> None:
        while True:
            for doc in self.receive_all("in"):
                doc.set("tag", True)
                self.send("out", doc)
            self.yield_ctrl()


class Fail(Component):
    """Raises over odd numbers."""

    __metatype__ = "PUBLISHER"

    def run(self) -> None:
        while True:
            for doc in self.receive_all("in"):
                if doc.get("n") % 2:
                    raise ValueError("odd")
            self.yield_ctrl()


def test_a_chain_of_loops() -> None:
    with Pipeline(Add, Add) as pipeline:
        assert numbers(list(pipeline.push([*packets(600)]))) == [n + 2 for n in range(600)]


def test_one_packet_per_turn_leaves_nothing_behind() -> None:
    class OneByOne(Component):
        def run(self) -> None:
            while True:
                doc = self.receive("in")
                if doc is not None:
                    self.send("out", doc)
                self.yield_ctrl()

    with Pipeline(OneByOne, Add) as pipeline:
        assert numbers(list(pipeline.push([*packets(300)]))) == [n + 1 for n in range(300)]


def test_what_the_cursor_did_not_reach_stays_on_the_wire() -> None:
    turns: list[int] = []

    class Three(Component):
        def run(self) -> None:
            while True:
                taken = 0
                for doc in self.receive_all("in"):
                    self.send("out", doc)
                    taken += 1
                    if taken == 3:
                        break
                turns.append(taken)
                self.yield_ctrl()

    with Pipeline(Three) as pipeline:
        assert numbers(list(pipeline.push([*packets(7)]))) == list(range(7))
    assert turns == [3, 3, 1]


def test_an_exception_costs_the_packet_under_the_cursor_and_run_starts_again() -> None:
    with Pipeline(Fail) as pipeline:
        list(pipeline.push([*packets(5)]))
        assert [f.positions for f in pipeline.dead_letters] == [(1,), (3,)]


def test_an_exception_past_the_end_costs_all_that_was_not_sent_on() -> None:
    class Sorter(Component):
        def run(self) -> None:
            while True:
                docs = sorted(self.receive_all("in"), key=lambda doc: -doc.get("n"))
                for doc in docs:
                    if doc.get("n") == 1:
                        raise ValueError("one")
                    self.send("out", doc)
                self.yield_ctrl()

    with Pipeline(Sorter) as pipeline:
        assert numbers(list(pipeline.push([*packets(4)]))) == [3, 2]
        assert sorted(f.positions for f in pipeline.dead_letters) == [(0,), (1,)]


def test_lineages_follow_the_packet_itself_the_cursor_and_the_whole() -> None:
    class Remake(Component):
        """Sends new packets for most, and one made of all at the end."""

        def run(self) -> None:
            while True:
                total = 0
                for doc in self.receive_all("in"):
                    total += doc.get("n")
                    self.send("out", Packet({"n": doc.get("n") * 2}))
                if total:
                    self.send("out", Packet({"n": 99}))
                self.yield_ctrl()

    class FailOver(Component):
        __metatype__ = "PUBLISHER"

        def run(self) -> None:
            while True:
                for doc in self.receive_all("in"):
                    if doc.get("n") in (4, 99):
                        raise ValueError("bad")
                self.yield_ctrl()

    with Pipeline(Remake, FailOver) as pipeline:
        list(pipeline.push([*packets(4)]))
        assert [f.positions for f in pipeline.dead_letters] == [(2,), (0, 1, 2, 3)]


def test_a_join_waits_for_its_ancestors_and_pairs_packets() -> None:
    nodes: dict[str, Any] = {"split": Split, "long1": Add, "long2": Tag, "merge": Merge}
    wires = [("split.out", "long1.in"), ("long1.out", "merge.in"), ("split.out2", "long2.in"), ("long2.out", "merge.in2")]
    with Pipeline(nodes=nodes, wires=wires) as pipeline:
        found = list(pipeline.push([*packets(500)]))
    # b's values replace a's: n is that of the branch that does not add
    assert numbers(found) == list(range(500))
    assert all(p.get("tag") for p in found)


def test_a_filter_that_never_takes_its_input_is_stalled() -> None:
    class Blind(Component):
        def run(self) -> None:
            while True:
                self.yield_ctrl()

    with Pipeline(Add, Blind) as pipeline:
        list(pipeline.push([*packets(2)]))
        assert [(f.positions, f.node, f.code) for f in pipeline.dead_letters] == [
            ((0,), "blind2", "component.stalled"),
            ((1,), "blind2", "component.stalled"),
        ]


def test_a_loop_that_raises_before_it_takes_anything_is_stalled_too() -> None:
    class Broken(Component):
        def run(self) -> None:
            raise OSError("always")

    with Pipeline(Broken) as pipeline:
        list(pipeline.push([*packets(1)]))
        assert [f.code for f in pipeline.dead_letters] == ["component.stalled"]


def test_a_trigger_runs_the_sources() -> None:
    class Fetch(Component):
        __metatype__ = "ADAPTER"

        def __init__(self) -> None:
            Component.__init__(self)
            self.remove_input("in")

        def run(self) -> None:
            n = 0
            while True:
                n += 1
                self.send("out", Packet({"n": n}))
                self.yield_ctrl()

    with Pipeline(Fetch, Add) as pipeline:
        assert numbers(pipeline.trigger()) == [2]
        assert numbers(pipeline.trigger()) == [3]


def test_values_that_are_not_packets_travel_with_their_lineage() -> None:
    class Words(Component):
        def run(self) -> None:
            while True:
                for doc in self.receive_all("in"):
                    self.send("out", "even" if doc.get("n") % 2 == 0 else None)
                self.yield_ctrl()

    class Check(Component):
        __metatype__ = "PUBLISHER"

        def run(self) -> None:
            while True:
                for word in self.receive_all("in"):
                    if word is None:
                        raise ValueError("odd")
                self.yield_ctrl()

    with Pipeline(Words, Check) as pipeline:
        list(pipeline.push([*packets(4)]))
        assert [f.positions for f in pipeline.dead_letters] == [(1,), (3,)]


def test_sending_to_a_full_wire_from_a_loop_parks_it() -> None:
    class Many(Component):
        def run(self) -> None:
            while True:
                for doc in self.receive_all("in"):
                    for n in range(1000):
                        copy = doc.clone()
                        copy.set("n", n)
                        self.send("out", copy)
                self.yield_ctrl()

    with Pipeline(Many, Add, limits=Limits(wire_packets=32)) as pipeline:
        assert len(list(pipeline.push([*packets(3)]))) == 3000


def test_send_says_whether_a_wire_leads_on() -> None:
    told: list[bool] = []

    class Ask(Component):
        __metatype__ = "PUBLISHER"

        def run(self) -> None:
            while True:
                for doc in self.receive_all("in"):
                    told.append(self.send("error", doc))
                self.yield_ctrl()

    with Pipeline(Ask) as pipeline:
        list(pipeline.push([*packets(1)]))
    assert told == [False]


def test_a_log_line_of_a_loop_names_the_packet_under_the_cursor(caplog: Any) -> None:
    class Talk(Component):
        def run(self) -> None:
            while True:
                for doc in self.receive_all("in"):
                    self.log.warning("seen")
                    self.send("out", doc)
                self.yield_ctrl()

    with Pipeline(Talk) as pipeline:
        list(pipeline.push([*[Packet({"n": n}, {"id": str(n)}) for n in range(2)]]))
    assert [record.packet_id for record in caplog.records] == ["0", "1"]


class OldPublisher(Component):
    """As the original had them: no more of a publisher than what it says."""

    __metatype__ = "PUBLISHER"

    def __init__(self) -> None:
        super().__init__()
        self.remove_output("out")
        self.taken: list[int] = []
        self.down = 0

    def run(self) -> None:
        while True:
            for packet in self.receive_all("in"):
                if self.down:
                    self.down -= 1
                    raise ConnectionError("no route")
                self.taken.append(packet.get("n"))
            self.yield_ctrl()


def test_a_publisher_of_the_original_style_publishes() -> None:
    keep = OldPublisher()
    done: list[Epoch] = []
    committed: list[tuple[str, tuple[int, ...]]] = []
    with running(
        {"add": Add(), "keep": keep},
        [("add.out", "keep.in")],
        on_done=done.append,
        on_committed=lambda epoch, name, documents: committed.append((name, tuple(documents))),
    ) as scheduler:
        assert scheduler.roster.publishers == ("keep",)
        scheduler.submit(Feed(iter([("add", packets(2), range(2)), ("add", packets(2), range(2, 4))]), 4))
        scheduler.drain()
    assert [done[0].fate_of(n) for n in range(4)] == [Fate("published", ("keep",))] * 4
    assert committed[0] == ("keep", (0, 1))


def test_a_publisher_of_the_original_style_rests_while_its_destination_is_down() -> None:
    now = 100.0
    keep = OldPublisher()
    keep.down = 2
    done: list[Epoch] = []
    with running({"keep": keep}, [], on_done=done.append, clock=lambda: now) as scheduler:
        scheduler.submit(Feed(iter([("keep", packets(3), range(3))]), 3))
        for _ in range(2):
            scheduler.run()
            assert scheduler.watch.breakers["keep"]["reason"] == "ConnectionError: no route"
            now += 60.0
        scheduler.run()
    assert keep.taken == [0, 1, 2]
    assert not done[0].dead_letters
    assert done[0].flags == b"\1\1\1"
