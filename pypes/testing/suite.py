"""The behaviour every component must show, as a pytest class to inherit from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import jsonschema_rs
import pytest

from pypes.component import KINDS, Component
from pypes.component.parameters import Parameters
from pypes.errors import InvalidInput
from pypes.packet import Packet
from pypes.testing.component import run_component
from pypes.testing.example import run_example


class ComponentSuite:
    """Checks of the contract: ``class TestLowercase(ComponentSuite): component = Lowercase``.

    ``params`` are the parameters to run it with (those without a default are needed).
    """

    component: ClassVar[type[Component]]
    params: ClassVar[dict[str, Any]] = {}
    #: Values for ``${NAME}`` in the parameters of the example.
    environ: ClassVar[dict[str, str]] = {}

    def make(self) -> Component:
        made = self.component()
        made.configure(self.params)
        return made

    def test_it_says_what_it_is(self) -> None:
        assert self.component.get_type(self.make()) in KINDS.values()
        assert (self.component.__doc__ or "").strip(), "a component needs a docstring: the catalogue and the editor show it"

    def test_ports_are_described(self) -> None:
        made = self.make()
        for port in [*made.get_in_ports(), *made.get_out_ports()]:
            assert made.get_port_description(port), f"port {port} has no description"

    def test_parameters_have_help_and_a_schema(self) -> None:
        schema = self.make().schema()
        json.dumps(schema)
        jsonschema_rs.validator_for(schema)  # as a node checks by it
        if issubclass(self.component.Params, Parameters):
            for name in self.component.Params.__struct_fields__:
                assert schema["properties"][name].get("description"), f"parameter {name} has no Help"

    def test_unknown_parameters_are_refused(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            self.component().configure({**self.params, "no_such_parameter": 1})
        assert any(problem.path == "no_such_parameter" for problem in caught.value.problems)

    def test_its_example_is_what_happens(self, tmp_path: Path) -> None:
        if self.component.example is None:
            pytest.skip("it has no example")
        run_example(self.component, tmp_path, self.environ)

    def test_odd_packets_neither_stall_nor_stop_it(self) -> None:
        odd = [
            Packet(),
            Packet({"title": None, "n": 1.5}),
            Packet({"title": {"nested": [1]}, "body": b"\xff\x00"}),
            Packet.from_document({"title": ["a", "b"], "text": "x" * 10_000}),
        ]
        result = run_component(self.make(), odd)
        assert not [f for f in result.dead_letters if f.code in ("component.stalled", "internal")]

    def test_it_can_be_run_twice(self) -> None:
        made = self.make()
        run_component(made, [Packet()])
        run_component(made, [Packet()])
