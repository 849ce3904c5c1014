"""The contract of a component: ports, parameters, functions made components."""

from __future__ import annotations

import pydoc
from typing import Annotated

import pytest

from pypes.component import Adapter, Component, Filter, Publisher, is_publisher, kind_of
from pypes.component.parameters import Help, Parameters
from pypes.errors import ComponentError, InvalidInput
from pypes.packet import Packet


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


def test_what_else_a_turn_needs_works_only_while_a_graph_runs() -> None:
    for use in (Original().yield_ctrl, Original().release, lambda: Original().keep(Packet()), lambda: Original().offload(str)):
        with pytest.raises(ComponentError, match="only while a graph runs"):
            use()


def test_a_publisher_has_no_output() -> None:
    assert Publisher().get_out_ports() == []
    assert Publisher().durability == "always"


class Said(Component):
    __metatype__ = "publisher"


class Derived(Publisher):
    __metatype__ = "FILTER"


class Odd(Component):
    __metatype__ = 5  # type: ignore[assignment]


def test_a_kind_is_declared_or_derived() -> None:
    for cls, kind in ((Said, "PUBLISHER"), (Derived, "PUBLISHER"), (Adapter, "ADAPTER"), (Component, ""), (Odd, "")):
        assert kind_of(cls) == kind_of(cls()) == kind
    assert [is_publisher(cls) for cls in (Said, Derived, Adapter, Odd)] == [True, True, False, False]


def test_help_shows_first_what_a_component_of_today_uses() -> None:
    """The API of the original stands apart, in the class that it is inherited from."""
    own = [name for name, value in vars(Component).items() if callable(value) and not name.startswith("_")]
    of_today = {
        "setup",
        "process",
        "flush",
        "teardown",
        "send",
        "is_connected",
        "offload",
        "release",
        "keep",
        "open_store",
        "count",
    }
    of_today |= {"shared", "unshare", "trace_contexts", "trace_headers"}
    assert {*own} == of_today | {"configure", "schema"}
    text = pydoc.plain(pydoc.render_doc(Component))
    apart = text.index("Methods inherited from pypes.component.original.OriginalStyle")
    assert text.index(" process(self") < apart < text.index(" receive_all(self")
