"""Sample, Throttle, Batch: how many packets go on, and when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pypes import Component, Packet, Pipeline, Publisher
from pypes.errors import InvalidInput
from pypes.runtime.file_store import FileStores
from pypes.runtime.scheduler import Epoch, Feed, Scheduler
from pypes.testing import ComponentSuite, run_component
from pypes_basic.batch import Batch
from pypes_basic.sample import Sample
from pypes_basic.throttle import Throttle
from tests.runtime.scheduler.graphs import graph_of

from .packages import packages

DELETION = Packet({}, {"requestmethod": "DELETE", "id": "a"})


def numbered(count: int) -> list[Packet]:
    return [Packet({"n": n}, {"id": f"{n}", "route": "r"}) for n in range(count)]


class TestSample(ComponentSuite):
    component = Sample
    params = {"share": 0.5}

    def ids(self, packets: list[Packet], **params: Any) -> list[str | None]:
        result = run_component(Sample, packets, **params)
        taken, rest = [packet.id for packet in result.packets], [packet.id for packet in result.outputs["rest"]]
        assert len(taken) + len(rest) == len(packets)
        return taken

    def test_the_same_packages_in_each_run_and_more_in_a_larger_share(self) -> None:
        taken = self.ids(packages(), share=0.3)
        assert taken == self.ids(packages(), share=0.3)
        assert {*taken} < {*self.ids(packages(), share=0.7)}
        assert self.ids(packages(), share=0.3, salt="other") != taken

    def test_shares(self) -> None:
        for share in (0.0, 0.1, 0.5, 1.0):
            assert len(self.ids(numbered(10_000), share=share)) == pytest.approx(10_000 * share, abs=200)
            assert len(self.ids(numbered(10_000), share=share, by="random")) == pytest.approx(10_000 * share, abs=300)

    def test_parts_go_with_their_document_and_documents_without_id_by_their_place(self) -> None:
        documents = numbered(50)
        parts = [document.derive("part", n, {"n": n}) for document in documents for n in range(3)]
        taken = self.ids(numbered(50), share=0.4)
        assert self.ids(parts, share=0.4) == [f"{id}/part={n}" for id in taken for n in range(3)]
        nameless = [Packet({"n": n}, {"receipt": "r", "index": n}) for n in range(1000)]
        first, again = (run_component(Sample, [each.clone() for each in nameless], share=0.4).packets for _ in range(2))
        assert first == again
        assert 300 < len(first) < 500

    def test_a_deletion_goes_everywhere(self) -> None:
        result = run_component(Sample, [DELETION.clone()], share=0.0)
        assert [len(result.outputs[port]) for port in ("out", "rest")] == [1, 1]

    @pytest.mark.parametrize("share", [-0.1, 1.1, "x"])
    def test_a_bad_share_is_refused(self, share: Any) -> None:
        with pytest.raises(InvalidInput):
            Sample().configure({"share": share})


class Instances:
    """Instances of a Throttle on one node, by a clock that only their waiting moves."""

    def __init__(self, folder: Path, count: int, **params: Any) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []
        stores = FileStores(folder)
        self.all = [Throttle() for _ in range(count)]
        for each in self.all:
            each.name, each.graph_name, each._stores = "slow", "g", stores
            each.configure(params)
            each.setup()
            each._now = lambda: self.now_s

    def close(self) -> None:
        for each in self.all:
            each.teardown()
            each._shares.give_back_all()


class TestThrottle(ComponentSuite):
    component = Throttle
    params = {"per_s": 1_000_000}

    def test_a_rate_is_that_of_all_instances(self, tmp_path: Path) -> None:
        instances = Instances(tmp_path, 2, per_s=10)
        try:
            waits = [instances.all[n % 2]._reserved(1) for n in range(5)]
            assert waits == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-5)
            instances.now_s += 0.4
            assert instances.all[0]._reserved(1) == pytest.approx(0.1, abs=1e-5)
            instances.now_s += 100
            assert instances.all[0]._reserved(1) == pytest.approx(0.0, abs=1e-5)
            instances.now_s -= 3600  # the clock is set back
            assert instances.all[0]._reserved(1) == pytest.approx(0.0, abs=1e-5)
        finally:
            instances.close()

    def test_a_burst_after_a_pause(self, tmp_path: Path) -> None:
        instances = Instances(tmp_path, 1, per_s=10, burst=3)
        try:
            waits = [instances.all[0]._reserved(1) for _ in range(5)]
            assert [max(0.0, wait) for wait in waits] == pytest.approx([0, 0, 0, 0.1, 0.2], abs=1e-5)
        finally:
            instances.close()

    def test_packets_wait_and_others_go_on(self) -> None:
        """The clock stands still, but for the waiting."""
        waited: list[float] = []

        class Watched(Throttle):
            """Does not really wait."""

            def setup(self) -> None:
                super().setup()
                self._now = lambda: 1000.0 + sum(waited)
                self._wait = waited.append

        result = run_component(Watched, numbered(30), per_s=20)
        assert [packet.get("n") for packet in result.packets] == list(range(30))
        assert waited == pytest.approx([0.1] * 14, abs=1e-5)  # two go on together
        assert result.counts["waited_ms"] == 1400

    def test_teardown_ends_the_wait(self) -> None:
        made = Throttle()
        made.configure({"per_s": 0.001})
        made.setup()
        made.teardown()
        assert made._wait(600.0)

    @pytest.mark.parametrize("per_s", [0, -1, "x"])
    def test_a_bad_rate_is_refused(self, per_s: Any) -> None:
        with pytest.raises(InvalidInput):
            Throttle().configure({"per_s": per_s})


class Keeps(Publisher):
    """Keeps what comes."""

    def setup(self) -> None:
        self.packets: list[Packet] = []

    def process(self, packet: Packet) -> None:
        self.packets.append(packet)


class TestBatch(ComponentSuite):
    component = Batch

    def sizes(self, packets: list[Packet], **params: Any) -> list[int]:
        return [len(packet.get("items")) for packet in run_component(Batch, packets, **params).packets]

    def test_packages_in_batches(self) -> None:
        given = packages()[:10]
        found = run_component(Batch, [packet.clone() for packet in given], size=4, field="packages").packets
        assert [[item["name"] for item in packet.get("packages")] for packet in found] == [
            [packet.get("name") for packet in given[at : at + 4]] for at in (0, 4, 8)
        ]
        assert found[0].get("packages")[0] == {name: given[0].get(name) for name in given[0].get_attribute_names()}
        assert found[0].id is None

    def test_bounds(self) -> None:
        assert self.sizes(numbered(7), size=3) == [3, 3, 1]
        assert self.sizes(numbered(3), size=1) == [1, 1, 1]
        assert self.sizes([Packet({"text": "x" * 1000}) for _ in range(5)], max_bytes=2500) == [2, 2, 1]
        assert self.sizes([]) == []

    def test_metadata_that_all_have_are_kept(self) -> None:
        packets = [Packet({"n": n}, {"acl": "staff", "kind": n, "id": "x"}) for n in range(2)]
        [found] = run_component(Batch, packets).packets
        assert found.get_metas()[0] == {"acl": "staff"}

    def test_packets_with_different_readers_are_kept_apart(self) -> None:
        readers: list[Any] = ["staff", "staff", None, None, ["a", "b"], ["a", "b"], "staff"]
        packets = [Packet({"n": n}, {} if acl is None else {"acl": acl}) for n, acl in enumerate(readers)]
        found = run_component(Batch, packets).packets
        assert [[item["n"] for item in packet.get("items")] for packet in found] == [[0, 1], [2, 3], [4, 5], [6]]
        assert [packet.get_metas()[0] for packet in found] == [{"acl": "staff"}, {}, {"acl": ["a", "b"]}, {"acl": "staff"}]

    @pytest.mark.parametrize("deliveries", [1, 5])
    def test_packets_that_differ_in_what_the_graph_inherits_are_kept_apart(self, deliveries: int) -> None:
        tenants = ["one", "one", None, "two", "two"]
        packets = [Packet({"n": n}, {} if tenant is None else {"tenant": tenant}) for n, tenant in enumerate(tenants)]
        batch, kept = Batch(), Keeps()
        batch.configure({})
        nodes: dict[str, Component] = {"batch": batch, "kept": kept}
        ended: list[Epoch] = []
        graph = replace(graph_of(nodes, [("batch.out", "kept.in")]), inherit=("tenant",))
        scheduler = Scheduler(graph, nodes, on_done=ended.append)
        scheduler.setup()
        size = len(packets) // deliveries
        for at in range(0, len(packets), size):
            scheduler.submit(Feed(iter([("batch", packets[at : at + size], range(size))]), size))
        scheduler.drain()
        scheduler.teardown()
        assert [letter.code for epoch in ended for letter in epoch.dead_letters] == []
        assert [([item["n"] for item in packet.get("items")], packet.get_meta("tenant")) for packet in kept.packets] == [
            ([0, 1], "one"),
            ([2], None),
            ([3, 4], "two"),
        ]

    def test_a_deletion_keeps_its_place(self) -> None:
        found = run_component(Batch, [*numbered(2), DELETION.clone(), *numbered(1)], size=9).packets
        assert [packet.is_deletion for packet in found] == [False, True, False]
        assert len(found[0].get("items")) == 2

    def test_in_a_pool_they_are_kept_apart_too(self) -> None:
        packets = [Packet({"n": n}, {"acl": acl}) for n, acl in enumerate("aab")]
        with Pipeline(nodes={"it": Batch()}, pools={"it": {"processes": 1, "stride": 3}}) as pipeline:
            found = pipeline.push(packets)
        assert [[item["n"] for item in packet.get("items")] for packet in found] == [[0, 1], [2]]

    def test_documents_of_a_batch_fail_together(self) -> None:
        class Fails(Component):
            """Fails."""

            __metatype__ = "TRANSFORMER"

            def process(self, packet: Packet) -> Packet:
                raise ValueError("no")

        made = Batch()
        made.configure({"size": 2})
        with Pipeline(made, Fails) as pipeline:
            pipeline.push(numbered(4))
            assert sorted(n for letter in pipeline.dead_letters for n in letter.positions) == [0, 1, 2, 3]
