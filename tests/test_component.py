"""The contract of a component: ports, parameters, functions made components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest

from pypes.component import KINDS, Component, Extractor, Filter, Publisher, component
from pypes.core.parameters import Help, Parameters
from pypes.errors import ComponentError, InvalidComponent, InvalidInput
from pypes.packet import Packet
from pypes.testing import run_component


class Original(Component):
    __metatype__ = "FILTER"

    def __init__(self) -> None:
        Component.__init__(self)
        self.set_parameter("mode", "fast", ["fast", "slow"])
        self.add_output("out2", "Second output")
        self.remove_output("out")


def test_ports_of_the_original() -> None:
    made = Original()
    assert made.get_in_ports() == ["in"]
    assert made.get_out_ports() == ["out2"]
    assert made.has_port("out2")
    assert not made.has_port("out")
    assert made.get_port_description("out2") == "Second output"
    made.set_port_description("out2", "Other")
    made.set_port_description("none", "Nothing happens")
    assert made.get_port_description("out2") == "Other"
    assert not made.add_output("out2")
    assert not made.remove_input("none")
    assert not made.is_connected("in")
    assert made.get_type() == "FILTER"
    assert Original().get_out_ports() == ["out2"], "ports are per instance"
    assert Component().get_out_ports() == ["out"]


def test_parameters_of_the_original() -> None:
    made = Original()
    assert made.get_parameters() == {"mode": ["fast", ["fast", "slow"]]}
    made.set_parameter("mode", "slow")
    assert made.get_parameter("mode") == "slow"
    assert made.get_parameter("none") is None
    made.set_parameters({"mode": ["fast", ["fast"]]})
    assert made.get_parameters() == {"mode": ["fast", ["fast"]]}
    assert made.schema()["properties"]["mode"] == {"default": "fast", "enum": ["fast"]}


def test_configure_names_every_problem() -> None:
    with pytest.raises(InvalidInput) as caught:
        Original().configure({"mode": "middling", "size": 1})
    assert {p.path for p in caught.value.problems} == {"mode", "size"}


def test_typed_parameters_through_the_old_methods() -> None:
    class Typed(Filter):
        class Params(Parameters):
            size: Annotated[int, Help("Size.", ge=1)] = 1

    made = Typed()
    made.set_parameter("size", 5)
    assert made.params.size == 5
    assert made.get_parameter("size") == 5
    assert made.get_parameters() == {"size": [5, []]}
    with pytest.raises(InvalidInput):
        made.set_parameter("size", 0)


def test_ports_work_only_while_a_graph_runs() -> None:
    with pytest.raises(ComponentError, match="only while a graph runs"):
        Original().send("out2", Packet())


def test_a_function_becomes_a_component() -> None:
    @component(kind=Extractor)
    def shout(packet: Packet, field: Annotated[str, Help("Field to shout.")] = "title", times: int = 1) -> Packet:
        """Upper-case a field."""
        packet.set(field, packet.get(field).upper() + "!" * times)
        return packet

    assert shout.__name__ == "shout"
    assert shout.__doc__ == "Upper-case a field."
    assert shout().get_type() == KINDS["Extractors"]
    assert shout().schema()["properties"]["field"]["description"] == "Field to shout."
    result = run_component(shout, [Packet({"title": "hello"})], times=2)
    assert [p.get("title") for p in result.packets] == ["HELLO!!"]


def test_a_generator_emits_many_and_none_drops() -> None:
    @component
    def words(packet: Packet) -> Iterator[Packet]:
        for word in packet.get("text").split():
            yield Packet({"word": word})

    @component
    def short(packet: Packet) -> Packet | None:
        return packet if len(packet.get("word")) < 4 else None

    made = run_component(words, [Packet({"text": "one three two"})]).packets
    assert [p.get("word") for p in run_component(short, made).packets] == ["one", "two"]


def test_a_function_without_a_packet_is_refused() -> None:
    with pytest.raises(InvalidComponent, match="at least one argument"):

        @component
        def nothing() -> None: ...


def test_a_publisher_has_no_output() -> None:
    assert Publisher().get_out_ports() == []
    assert Publisher().durability == "always"


def test_the_decorator_is_at_hand_from_the_package() -> None:
    import pypes

    @pypes.component
    def same(packet: Packet) -> Packet:
        return packet

    assert len(run_component(same, [Packet()]).packets) == 1
