"""Unit tests of components as authors wrote them for the original Pypes, with Stackless Python and a Pype at each port."""

from __future__ import annotations

from typing import Any

import pytest

from pypes import Component, Packet, Transformer
from pypes import testing as stackless
from pypes.errors import ComponentError
from pypes.pype import Pype
from pypes.testing import run_component
from tests.pipeline.of_2010 import Descending, Divide, Doubler, Fork, Matching, Pairs


def connected(component: Component) -> dict[str, Pype]:
    """A Pype at each port of a component."""
    pypes = {port: Pype() for port in (*component.get_in_ports(), *component.get_out_ports())}
    for port in component.get_in_ports():
        component.connect_input(port, pypes[port])
    for port in component.get_out_ports():
        component.connect_output(port, pypes[port])
    return pypes


def received(pype: Pype) -> list[Any]:
    return [pype.recv() for _ in range(pype.size)]


def test_a_pype_is_a_buffer() -> None:
    pype = Pype()
    assert (pype.size, pype.recv()) == (0, None)
    pype.send(1)
    pype.send(2)
    assert (pype.size, pype.get_buffer_size()) == (2, 2)
    assert [pype.recv(), pype.recv(), pype.recv()] == [1, 2, None]


def test_outside_of_a_graph_ports_answer_as_ever() -> None:
    for component in (Component(), Doubler(), Fork()):
        assert component.send("out", 1) is False
        assert component.send("no such port", 1) is False
        assert component.receive("in") is None
        assert component.receive("no such port") is None
        assert list(component.receive_all("in")) == []
        assert not component.is_connected("in")
        assert not component.is_connected("out")


def test_a_port_that_is_connected_has_its_pype() -> None:
    component = Doubler()
    inward, outward = Pype(), Pype()
    assert component.connect_input("in", inward)
    assert component.connect_output("out", outward)
    assert not component.connect_input("out", inward)
    assert not component.connect_output("in", outward)
    assert component.is_connected("in")
    assert component.is_connected("out")
    inward.send(1)
    inward.send(2)
    inward.send(3)
    assert component.receive("in") == 1
    waiting = component.receive_all("in")
    assert next(waiting) == 2
    inward.send(4)  # not waiting when it was asked
    assert [*waiting] == [3]
    assert component.send("out", "x") is True
    assert received(outward) == ["x"]


def test_one_pype_may_be_at_both_ends() -> None:
    component, pype = Doubler(), Pype()
    component.connect_input("in", pype)
    if component.has_port("out"):
        component.connect_output("out", pype)
    tasklet = stackless.tasklet(component.run)()
    pype.send(21)
    tasklet.run()
    assert pype.recv() == 42


def test_turns_go_on_where_they_ended() -> None:
    component = Descending()
    pypes = connected(component)
    tasklet = stackless.tasklet(component.run)()
    for turn in ([3, 1, 2], [], [5, 6]):
        for number in turn:
            pypes["in"].send(number)
        tasklet.run()
        assert received(pypes["out"]) == sorted(turn, reverse=True)
    assert tasklet.alive


def test_several_ports() -> None:
    component = Pairs()
    pypes = connected(component)
    tasklet = stackless.tasklet(component.run)()
    pypes["in"].send("a")
    pypes["in2"].send("b")
    tasklet.run()
    assert received(pypes["out"]) == ["a+b"]


def test_a_chain_by_hand() -> None:
    fork, matching = Fork(), Matching("pants")
    pypes = connected(fork)
    last = Pype()
    matching.connect_input("in", pypes["out"])
    matching.connect_output("out", last)
    tasklets = [stackless.tasklet(component.run)() for component in (fork, matching)]
    for line in ("no", "red pants"):
        pypes["in"].send(line)
        for tasklet in tasklets:
            tasklet.run()
    assert received(last) == ["red pants"]
    assert received(pypes["out2"]) == ["no", "red pants"]


def test_a_turn_that_raises_ends_the_tasklet() -> None:
    component = Doubler()
    connected(component)
    tasklet = stackless.tasklet(component.run)
    assert not tasklet.alive
    with pytest.raises(RuntimeError, match="call the tasklet first"):
        tasklet.run()
    tasklet()
    with pytest.raises(TypeError):
        tasklet.run()  # nothing waits: twice nothing
    assert not tasklet.alive
    with pytest.raises(RuntimeError, match="the tasklet has ended"):
        tasklet.run()


def test_a_loop_that_nobody_takes_turns_of_does_not_go_round_for_ever() -> None:
    with pytest.raises(ComponentError, match="ports work only while a graph runs the component"):
        Descending().run()


def test_the_easy_style_is_told_that_it_is_in_no_graph() -> None:
    class Sends(Transformer):
        def process(self, packet: Packet) -> None:
            self.send("out", packet)

    component = Sends()
    with pytest.raises(ComponentError, match=r"use pypes\.Pipeline or pypes\.testing\.run_component"):
        component.process(Packet())
    assert component.connect_output("out", pype := Pype())
    component.process(Packet({"n": 1}))
    assert pype.recv().get("n") == 1


def test_in_a_graph_the_wires_count() -> None:
    component, pype = Descending(), Pype()
    component.connect_output("out", pype)
    assert run_component(component, [1, 2]).packets == [2, 1]
    assert pype.size == 0


def test_in_a_graph_a_port_that_is_not_there_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    result = run_component(Divide, [3, 5, 6])
    assert (result.packets, result.dead_letters) == ([4, 2, 2], ())
    assert [record.getMessage() for record in caplog.records] == ["sent to port 'remainder', which is not there; it has out"]
