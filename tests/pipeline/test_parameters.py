"""Components with their parameters in pipelines: by keyword, and in pools by ``on``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pypes import InvalidGraph, Packet, Parameters, Pipeline, Transformer, component, node
from pypes.errors import InvalidComponent, InvalidInput, PypesError


class Cube(Transformer):
    class Params(Parameters):
        n: int = 1

    def process(self, packet: Packet) -> Packet:
        packet.set("x", packet.get("x") ** 3 * self.params.n)
        return packet


@component
def times(packet: Packet, n: int = 2) -> Packet:
    """Multiply."""
    packet.set("x", packet.get("x") * n)
    return packet


class OfOld(Transformer):
    def __init__(self) -> None:
        Transformer.__init__(self)
        self.set_parameter("n", 1)

    def process(self, packet: Packet) -> Packet:
        packet.set("x", packet.get("x") + self.get_parameter("n"))
        return packet


class Model(Transformer):
    """Reads a file once for each pool worker, and notes where it works."""

    class Params(Parameters):
        path: str

    def setup(self) -> None:
        file = Path(self.params.path)
        self.weight = int(file.read_text())
        with file.with_suffix(".log").open("a") as log:
            log.write("read\n")

    def process(self, packet: Packet) -> Packet:
        packet.set("x", packet.get("x") * self.weight)
        packet.set("pid", os.getpid())
        packet.set("thread", threading.current_thread().name)
        return packet


def of(*chain: Any, xs: range = range(1, 4)) -> list[Any]:
    with Pipeline(*chain, errors="raise") as pipeline:
        return [packet.get("x") for packet in pipeline.run(Packet({"x": x}) for x in xs)]


def test_parameters_are_given_by_keyword() -> None:
    assert of(Cube(n=3)) == [3, 24, 81]
    assert of(times(n=5), times()) == [10, 20, 30]
    assert of(node(OfOld, n=2), times.on(n=1)) == [3, 4, 5]


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: Cube(m=1), InvalidInput, "unknown parameter; it has n"),
        (lambda: Cube(n="three"), InvalidInput, "n: "),
        (lambda: times(k=1), InvalidInput, "unknown parameter; it has n"),
        (lambda: cast(Any, OfOld)(n=1), InvalidComponent, "OfOld(n=…): its __init__ takes no such keywords"),
        (lambda: Pipeline(Cube.on(processes=2, m=1)), InvalidInput, "unknown parameter"),
        (lambda: Pipeline(Cube.on(processes=2, threads=2)), InvalidGraph, "a pool has processes or threads, not both"),
        (lambda: Pipeline(Cube.on(threads=2, timeout_s=1)), InvalidGraph, "a thread cannot be ended"),
    ],
    ids=["unknown", "wrong", "function", "no keywords", "on, unknown", "on, both", "on, threads"],
)
def test_a_parameter_that_is_not_there_is_named(make: Callable[[], Any], kind: type[PypesError], said: str) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert said in str(raised.value) or said in "; ".join(map(str, raised.value.problems))


@pytest.mark.parametrize("place", ["processes", "threads"])
def test_on_has_a_component_set_up_once_by_each_worker(place: str, tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_text("7")
    options: dict[str, Any] = {place: 2}
    with Pipeline(Model.on(**options, path=str(path)), times(n=1), errors="raise") as pipeline:
        found = list(pipeline.run(Packet({"x": x}) for x in range(100)))
    assert [packet.get("x") for packet in found] == [7 * x for x in range(100)]
    assert (tmp_path / "m.log").read_text() == "read\n" * 2
    pids = {packet.get("pid") for packet in found}
    assert (os.getpid() in pids) == (place == "threads")
    if place == "threads":
        assert threading.current_thread().name not in {packet.get("thread") for packet in found}


@pytest.mark.parametrize("place", ["processes", "threads"])
def test_on_says_why_a_component_cannot_be_set_up(place: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {place: 1}
    with pytest.raises(PypesError, match=r"none\.bin"):
        Pipeline(Model.on(**options, path=str(tmp_path / "none.bin")))
