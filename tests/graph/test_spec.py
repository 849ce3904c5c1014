"""What a spec says of a component of either style."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from pypes.component import Adapter, Component, Example, Filter, Operator, Parameters, Publisher
from pypes.component.functions import component
from pypes.core.identity import Completed
from pypes.errors import InvalidComponent
from pypes.graph.spec import ComponentSpec, describe
from pypes.packet import Packet


class Original(Component):
    """As components were written first.

    With more to say.
    """

    __metatype__ = "ADAPTER"

    def __init__(self) -> None:
        Component.__init__(self)
        self.remove_output("out")
        self.add_output("in", "Shares its name with an input")
        self.add_output("plain")
        self.set_parameter("size", 1, [1, 2])

    def run(self) -> None: ...


def test_of_a_class_in_the_original_style() -> None:
    spec = describe(Original)
    assert (spec.name, spec.kind, spec.original, spec.accepts) == ("Original", "ADAPTER", True, ("*/*",))
    assert spec.doc == "As components were written first.\n\nWith more to say."
    assert spec.inputs == {"in": "Default input port"}
    assert spec.outputs == {"in": "Shares its name with an input", "plain": ""}
    assert spec.schema["properties"]["size"] == {"default": 1, "enum": [1, 2]}
    assert (spec.module, spec.attr) == (__name__, "Original")


def test_the_error_port_is_not_listed() -> None:
    class Explicit(Filter):
        outputs = {"out": "", "error": "What failed"}

    assert describe(Explicit).outputs == {"out": ""}


def test_of_a_function() -> None:
    @component
    def double(packet: Any, times: int = 2) -> Any:
        """Doubles."""

    spec = describe(double)
    assert (spec.name, spec.kind, spec.doc, spec.original) == ("double", "TRANSFORMER", "Doubles.", False)
    assert spec.schema["properties"]["times"] == {"type": "integer", "default": 2}


def test_it_travels_as_json() -> None:
    class Held(Adapter):
        accepts = ("text/html", "text/*")
        holds = True

    for spec in (describe(Held), describe(Original, name="Other", distribution="d", version="1", module="m", attr="a")):
        assert ComponentSpec.from_obj(json.loads(json.dumps(spec.to_obj()))) == spec


def test_what_the_catalogue_shows() -> None:
    class Table(Adapter):
        icon = "table"
        tags = ("format", "table")
        example = Example(Packet({"data": b"a"}), Packet({"text": "a"}), params={"n": 1})
        needs = {"numpy": "pip install numpy"}

    spec = describe(Table)
    assert (spec.icon, spec.tags, spec.needs, spec.missing) == ("table", ("format", "table"), Table.needs, ())
    assert spec.example is not None
    assert Packet.from_json(deepcopy(spec.example["takes"]["in"][0])).get("data") == b"a"
    assert spec.example["params"] == {"n": 1}
    assert ComponentSpec.from_obj(json.loads(json.dumps(spec.to_obj()))) == spec
    plain = describe(Original)
    assert (plain.icon, plain.tags, plain.example, plain.needs) == ("", (), None, {})


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"icon": 1}, "icon is 1; name one"),
        ({"icon": "../x"}, "plain word"),
        ({"tags": "format"}, "tags are 'format'; write words"),
        ({"tags": ("Two Words",)}, "in lower case"),
        ({"tags": (1,)}, "in lower case"),
        ({"needs": ("numpy",)}, "the line that installs it"),
        ({"needs": {"numpy": ""}}, "the line that installs it"),
        ({"needs": {"numpy": "pip\ninstall"}}, "the line that installs it"),
        ({"needs": {"": "pip install numpy"}}, "the line that installs it"),
        ({"needs": {1: "pip install numpy"}}, "the line that installs it"),
        ({"example": {"in": 1}}, "write Example"),
        ({"example": Example(1)}, "what is no packet"),  # type: ignore[arg-type]
        ({"example": Example([1])}, "what is no packet"),  # type: ignore[list-item]
        ({"example": Example(params={"n": object()})}, "no JSON value"),
        ({"example": Example(Packet({"n": 2**64}))}, "more than 64 bits"),
        ({"example": Example(Packet({"text": "\ud800"}))}, "no JSON value"),
        ({"example": Example(Packet({"text": "x" * 70_000}))}, "over 64 KiB"),
    ],
)
def test_what_it_shows_is_checked(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidComponent, match=said):
        describe(type("Odd", (Filter,), attributes))


def test_a_default_is_a_json_value() -> None:
    class Huge(Filter):
        class Params(Parameters):
            n: int = 2**64

    with pytest.raises(InvalidComponent, match=r"a default or option of its parameters is no JSON value: .* 64 bits"):
        describe(Huge)


def test_the_code_of_its_error() -> None:
    assert ComponentSpec("A", error="it crashed").error_code == "component.broken"
    assert ComponentSpec("A", error="it needs numpy", missing=("numpy",)).error_code == "component.missing_library"


def test_whether_it_runs_in_a_process_of_its_own() -> None:
    class Apart(Adapter):
        isolated = True

    assert describe(Apart).isolated
    assert ComponentSpec.from_obj(describe(Apart).to_obj()).isolated
    assert not describe(Original).isolated
    before = {name: value for name, value in describe(Apart).to_obj().items() if name != "isolated"}
    assert not ComponentSpec.from_obj(before).isolated


def test_what_cannot_be_isolated_is_refused() -> None:
    class Publishes(Publisher):
        isolated = True

    class Holds(Operator):
        isolated = True
        holds = True

    class Loops(Original):
        isolated = True

    class Told(Filter):
        isolated = True

        def complete(self, documents: list[Completed]) -> None: ...

    class Concludes(Filter):
        isolated = True

        def conclude(self, documents: list[Completed]) -> None: ...

    for refused, advice in (
        *((Publishes, "in a filter before it"), (Holds, "in an operator behind it"), (Loops, "with process")),
        *((Told, "be told in a filter behind it"), (Concludes, "be told in a filter behind it")),
    ):
        with pytest.raises(InvalidComponent, match=advice):
            describe(refused)


def test_what_joins_take_is_checked() -> None:
    class Odd(Operator):
        joins = "everything"

    with pytest.raises(InvalidComponent, match="'document', 'wave'"):
        describe(Odd)


def test_a_class_without_a_kind_is_refused() -> None:
    class Kindless(Component): ...

    with pytest.raises(InvalidComponent, match="__metatype__"):
        describe(Kindless)
    with pytest.raises(InvalidComponent, match="is no component"):
        describe(dict)  # type: ignore[arg-type]


def test_what_its_constructor_raises_goes_through() -> None:
    class Failing(Filter):
        def __init__(self) -> None:
            raise OSError("no licence")

    with pytest.raises(OSError, match="no licence"):
        describe(Failing)


def test_whether_it_gets_batches() -> None:
    class Batches(Filter):
        batch_size = 10

        def process_batch(self, packets: list[Any]) -> list[Any]:
            return packets

    class Alone(Batches):
        isolated = True

    class Singly(Filter):
        batch_size = 10

        def process(self, packet: Any) -> Any:
            return packet

    spec = describe(Batches)
    assert spec.batches
    assert ComponentSpec.from_obj(json.loads(json.dumps(spec.to_obj()))) == spec
    assert not describe(Publisher).batches
    for cls in (Alone, Singly):
        with pytest.raises(InvalidComponent, match="leave out batch_size"):
            describe(cls)
