"""Copies of a whole pipeline in processes: what comes out, what fails, and what comes back with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypes import Component, Done, Failed, InvalidGraph, Packet, Parameters, Pipeline, Pool, Publisher, Transformer, node
from pypes.errors import ComponentError, PypesError
from pypes.observe import Observer
from tests.pipeline.samples import add, double, no_three, odd, pair

DIAMOND = [("split.out", "a.in"), ("split.out", "b.in"), ("a.out", "join.left"), ("b.out", "join.right")]


def by(pid: Any) -> int:
    return os.getpid()


def several(value: int) -> Iterator[Any]:
    yield value
    if value % 3 == 0:
        yield Done(-value)


class Heavy(Transformer):
    """Reads a weight once for each instance."""

    class Params(Parameters):
        path: str
        least: int = 0

    def setup(self) -> None:
        file = Path(self.params.path)
        self.weight = int(file.read_text())
        with file.with_suffix(".log").open("a") as log:
            log.write("read\n")

    def process(self, packet: Packet) -> Packet | None:
        if packet["n"] == 7:
            raise ValueError("seven")
        self.count("weighed")
        packet["n"] = packet["n"] * self.weight
        return packet if packet["n"] >= self.params.least else None


class Lines(Publisher):
    """Writes a line for each commit: how many packets it had."""

    class Params(Parameters):
        path: str

    def setup(self) -> None:
        self.taken = 0

    def process(self, packet: Packet) -> None:
        self.taken += 1

    def commit(self) -> None:
        with Path(self.params.path).open("a") as file:
            file.write(f"{self.taken}\n")
        self.taken = 0


@pytest.mark.parametrize("buffer", [1, 5, 1000])
def test_results_come_in_order_of_all_instances(buffer: int) -> None:
    with Pipeline(add, odd, str, instances=2, buffer=buffer) as pipeline:
        expected = [str(n + 1) for n in range(500) if n % 2 == 0]
        assert [*pipeline.run(range(500))] == expected
        assert [*pipeline.run(iter(range(500)))] == expected
        assert pipeline.push([2, 3, 4]) == ["3", "5"]
        assert pipeline.push([]) == []


def test_they_are_processes_of_their_own() -> None:
    with Pipeline(by, instances=2, buffer=64) as pipeline:
        pids = {*pipeline.run(range(5000))}
        assert os.getpid() not in pids
        assert len(pids) == 2


def test_any_order_is_that_in_which_they_are_done() -> None:
    with Pipeline(add, several, instances=2, ordered=False) as pipeline:
        found = sorted(pipeline.run(range(300)))
    assert found == sorted([*range(1, 301), *(-n for n in range(1, 301) if n % 3 == 0)])


def test_joins_and_groups_run_within_an_instance() -> None:
    nodes = {"split": add, "a": add, "b": double, "join": pair}
    with Pipeline(nodes=nodes, wires=DIAMOND, instances=2) as pipeline:
        assert [*pipeline.run(range(50))] == [(n + 2, 2 * n + 2) for n in range(50)]
    with Pipeline(nodes={"a": add, "b": double, "join": pair}, wires=DIAMOND[2:], instances=2) as pipeline:
        assert [*pipeline.run(a=range(50), b=range(50))] == [(n + 1, 2 * n) for n in range(50)]


@pytest.mark.parametrize("errors", ["return", "skip", "raise"])
def test_a_failure_stands_in_its_place(errors: Any) -> None:
    with Pipeline(no_three, double, instances=2, errors=errors) as pipeline:
        if errors == "raise":
            with pytest.raises(ValueError, match="three"):
                list(pipeline.run(range(40)))
            return
        found = list(pipeline.run(range(40)))
        lost = found.pop(3) if errors == "return" else pipeline.dead_letters[0]
        assert found == [2 * n for n in range(40) if n != 3]
        assert isinstance(lost, Failed)
        assert (lost.value, lost.node, str(lost.error), lost.positions) == (3, "no_three", "three", (3,))
        assert 'raise ValueError("three")' in lost.traceback
        assert lost.reason == "ValueError: three"


class Unsendable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("a pair")


def awkward(value: int) -> Any:
    if value == 1:
        raise Unsendable(1, 2)
    if value == 2:
        return threading.Lock()
    return value


def test_what_cannot_travel_costs_its_item_alone() -> None:
    with Pipeline(awkward, instances=1, errors="return") as pipeline:
        zero, one, two, three = pipeline.run(range(4))
        assert (zero, three) == (0, 3)
        assert (one.value, one.node, type(one.error).__name__) == (1, "awkward", "Unsendable")
        assert (two.value, two.node, two.positions) == (2, "pipeline", (2,))
        assert "cannot be sent" in str(two.error) or "pickle" in str(two.error)


def deadly(value: int) -> int:
    if value == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def test_an_item_that_ends_an_instance_costs_no_other() -> None:
    with Pipeline(add, deadly, instances=2, errors="return") as pipeline:
        found = list(pipeline.run(range(200)))
    [lost] = [each for each in found if isinstance(each, Failed)]
    assert (lost.value, lost.positions) == (12, (12,))
    assert "SIGKILL" in lost.reason
    assert [each for each in found if each is not lost] == [n + 1 for n in range(200) if n != 12]


def test_components_are_set_up_once_by_each_instance(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("2")
    heavy = Heavy(path=str(tmp_path / "w"), least=10)
    with Pipeline(heavy, add_to, instances=2) as pipeline:
        found = [packet["n"] for packet in pipeline.run(Packet({"n": n}) for n in range(100))]
        assert found == [2 * n + 1 for n in range(5, 100) if n != 7]
        [letter] = pipeline.dead_letters
        assert (letter.value["n"], letter.node, letter.reason, letter.positions) == (7, "heavy1", "ValueError: seven", (7,))
        assert pipeline.counts == {"heavy1": {"weighed": 99}}
        stats = pipeline.stats
        assert (stats["heavy1"].items, stats["heavy1"].failures, stats["add_to"].items) == (100, 1, 94)
    assert (tmp_path / "w.log").read_text() == "read\n" * 2


def add_to(packet: Packet) -> Packet:
    packet["n"] = packet["n"] + 1
    return packet


def test_publishers_commit_for_each_stride(tmp_path: Path) -> None:
    with Pipeline(Lines(path=str(tmp_path / "commits")), instances=2) as pipeline:
        assert [*pipeline.run(Packet({"n": n}) for n in range(2000))] == []
    commits = [int(line) for line in (tmp_path / "commits").read_text().split()]
    assert sum(commits) == 2000
    assert len(commits) < 2000


def test_kept_results_come_back() -> None:
    with Pipeline(add, double, instances=2, track=["add"]) as pipeline:
        list(pipeline.run(range(100)))
        assert sorted(pipeline.tracked["add"]) == [*range(1, 101)]


def test_threads_may_work_within_an_instance() -> None:
    with Pool(threads=2) as pool, Pipeline(node(add, pool=pool), node(double, pool=pool), node(odd, threads=1), instances=2) as p:
        assert [*p.run(range(50))] == []
        assert p.push([0]) == []


def test_a_graph_runs_in_instances(tmp_path: Path) -> None:
    with Pipeline(add_to, add_to) as pipeline:
        pipeline.save(tmp_path / "g.json")
    text = (tmp_path / "g.json").read_text()
    assert "add_to2" in text
    with Pipeline.load(tmp_path / "g.json", instances=2) as loaded:
        assert [packet["n"] for packet in loaded.run(Packet({"n": n}) for n in range(20))] == [*range(2, 22)]


class Opened(Transformer):
    def __init__(self) -> None:
        super().__init__()
        self.file = Path(__file__).open()  # noqa: SIM115 - that is what is refused


class Unready(Transformer):
    def setup(self) -> None:
        raise RuntimeError("no model")


class Sees(Observer):
    """Looks at a pipeline."""


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        ((node(add, processes=1),), {}, "add: it has processes of its own"),
        ((Heavy.on(processes=1, path="x"),), {}, "it has processes of its own"),
        ((Heavy(path="x"),), {"pools": {"heavy1": {"processes": 1}}}, "it has processes of its own"),
        ((add,), {"observer": Sees()}, "an observer sees what runs in its own process"),
        ((add,), {"instances": 0}, "from 1 to"),
        ((add,), {"instances": True}, "from 1 to"),
        ((Opened,), {}, "'file' is an open file"),
        ((Unready,), {}, "no model"),
        ((add,), {"track": ["sub"]}, "there is no function 'sub'"),
    ],
    ids=["processes", "on", "pools", "observer", "none", "true", "file", "set-up", "track"],
)
def test_what_cannot_run_in_instances_is_refused(parts: Any, options: dict[str, Any], said: str) -> None:
    if parts == (Opened,):
        opened = Opened()
        parts = (opened,)
    try:
        with pytest.raises(PypesError, match=said):
            Pipeline(*parts, **{"instances": 2, **options})
    finally:
        if isinstance(parts[0], Opened):
            parts[0].file.close()


def test_wires_to_ports_that_are_not_there_are_refused() -> None:
    nodes: dict[str, type[Component]] = {"a": Lines, "b": Unready}
    with pytest.raises(InvalidGraph, match="has no port"):
        Pipeline(nodes=nodes, wires=[("a.out", "b.in")], instances=2)


def test_sources_are_not_triggered_in_instances() -> None:
    with Pipeline(add, instances=1) as pipeline:
        with pytest.raises(ComponentError, match="leave out instances"):
            pipeline.trigger()
        with pytest.raises(ComponentError, match="leave out instances"):
            pipeline.push_by_port([1])


def test_a_run_may_be_left_and_another_begun() -> None:
    with Pipeline(add, instances=2, buffer=10) as pipeline:
        taken = 0

        def items() -> Iterator[int]:
            nonlocal taken
            for n in range(1000):
                taken = n
                yield n

        run = pipeline.run(items())
        assert [next(run) for _ in range(5)] == [1, 2, 3, 4, 5]
        assert taken <= 20
        run.close()
        assert [*pipeline.run(range(3))] == [1, 2, 3]


def test_a_run_in_the_background_uses_instances() -> None:
    found: list[int] = []
    with Pipeline(add, instances=2) as pipeline:
        with pipeline.start(range(500), to=found.append):
            pass
        assert found == [*range(1, 501)]
        with pipeline.bucket(to=found.append) as bucket:
            bucket.put(1000)
        assert found[-1] == 1001


def mixed(value: int) -> Iterator[Any]:
    if value % 7 == 3:
        raise ValueError(value)
    for n in range(value % 4):
        yield Done((value, n)) if n == 2 else value + n


def test_copies_do_what_one_pipeline_does() -> None:
    def shown(result: Any) -> Any:
        return (result.value, result.node, result.positions) if isinstance(result, Failed) else result

    parts = (add, mixed, odd, double)
    with Pipeline(*parts, errors="return") as one, Pipeline(*parts, errors="return", instances=2, buffer=50) as copies:

        @settings(max_examples=30, deadline=None)
        @given(st.lists(st.integers(0, 1000), max_size=120))
        def check(items: list[int]) -> None:
            expected = [shown(result) for result in one.run(items)]
            assert [shown(result) for result in copies.run(items)] == expected
            assert [shown(result) for result in copies.run(iter(items))] == expected

        check()
