"""The form of graphs of the original: names, entries, and all that may be wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from pypes.component import Component
from pypes.errors import InvalidGraph
from pypes.pipeline.original_graph import read
from tests.pipeline.of_2010 import Appender, Doubler, Fork, LineReader, Matching, Pairs


def test_wires_lead_between_the_ports_that_are_named() -> None:
    reader, fork, pairs, appender = LineReader(), Fork(), Pairs(), Appender("x")
    form = {
        reader: {fork: ("out", "in")},
        fork: {pairs: ("out", "in"), appender: ("out2", "in")},
        pairs: {appender: ("out", "in")},
    }
    found = read(form)
    assert found.components == {"linereader1": reader, "fork2": fork, "pairs3": pairs, "appender4": appender}
    assert sorted(map(str, found.graph.wires)) == [
        "fork2.out -> pairs3.in",
        "fork2.out2 -> appender4.in",
        "linereader1.out -> fork2.in",
        "pairs3.out -> appender4.in",
    ]
    assert found.entries == ["linereader1"]


def test_a_graph_of_one() -> None:
    found = read({Appender("x"): {}})
    assert (found.entries, found.graph.wires) == (["appender1"], ())


def test_entries_are_what_nothing_leads_to_and_adapters_that_have_an_entry_left() -> None:
    class Enriching(Pairs):
        __metatype__ = "ADAPTER"

    first, plain, enriching, pairs = LineReader(), Matching("x"), Enriching(), Pairs()
    form = {first: {enriching: ("out", "in2")}, plain: {pairs: ("out", "in2")}, enriching: {pairs: ("out", "in")}}
    assert sorted(read(form).entries) == ["enriching2", "linereader1", "matching3"]


def odd_forms() -> dict[str, tuple[Any, list[tuple[str, str]]]]:
    a, b, source = Doubler(), Doubler(), Doubler()
    source.remove_input("in")
    no_form = 'the form is {component: {component: ("out", "in")}}'
    return {
        "nothing": ({}, [("", "it has no component")]),
        "no mapping": (3, [("", f"3 is no graph; {no_form}")]),
        "no mapping inside": ({a: [b]}, [("doubler", f"[{b!r}] is no mapping; {no_form}")]),
        "class": ({Doubler: {}}, [(repr(Doubler), "a dataflow is made of components, not of classes; write Doubler()")]),
        "text": ({a: {"b": ("out", "in")}}, [("'b'", "it is no component")]),
        "one port": ({a: {b: "out"}}, [("doubler1 -> doubler2", f"'out' is no pair of ports; {no_form}")]),
        "ports": (
            {a: {b: ("nope", "neither")}},
            [
                ("doubler1 -> doubler2", "doubler1 has no output port 'nope'; it has out"),
                ("doubler1 -> doubler2", "doubler2 has no input port 'neither'; it has in"),
            ],
        ),
        "cycle": (
            {a: {b: ("out", "in")}, b: {a: ("out", "in")}},
            [("", "the wires close a cycle: doubler1 -> doubler2 -> doubler1")],
        ),
        "itself": ({a: {a: ("out", "in")}}, [("", "the wires close a cycle: doubler1 -> doubler1")]),
        "no input": (
            {source: {a: ("out", "in")}},
            [("doubler1", "no data can be sent to it: it has no input port, and no wire leads to it")],
        ),
    }


@pytest.mark.parametrize("name", odd_forms())
def test_all_problems_are_told(name: str) -> None:
    form, expected = odd_forms()[name]
    with pytest.raises(InvalidGraph) as caught:
        read(form)
    found = [(problem.path, problem.message) for problem in caught.value.problems]
    assert [path for path, _ in found] == [path for path, _ in expected]
    if name != "no mapping inside":  # which shows the component itself
        assert found == expected


def test_components_of_today_are_components() -> None:
    class Plain(Component):
        def process(self, packet: Any) -> Any:
            return packet

    assert read({Plain(): {}}).entries == ["plain1"]
