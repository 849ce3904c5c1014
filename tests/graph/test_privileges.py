"""Filters that run programs, reach files of the server, or have its token."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from pypes import Component, Help, Packet, Parameters, Transformer
from pypes.graph.privileges import is_privileged, newly_privileged, outboxes_in
from pypes.graph.spec import describe
from pypes.registry import discover


class Reads(Transformer):
    class Params(Parameters):
        path: Annotated[str, Help("A file.", path=True)] = ""

    def process(self, packet: Packet) -> Packet:
        return packet


class Runs(Transformer):
    privileged = True

    def process(self, packet: Packet) -> Packet:
        return packet


class Plain(Transformer):
    def process(self, packet: Packet) -> Packet:
        return packet


CLASSES: tuple[type[Component], ...] = (Reads, Runs, Plain)
CATALOGUE = {cls.__name__: describe(cls) for cls in CLASSES}


def node(component: str, **params: Any) -> dict[str, Any]:
    return {"component": component, **({"params": params} if params else {})}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (node("Plain"), False),
        (node("Runs"), True),
        (node("Reads"), False),
        (node("Reads", path=""), False),
        (node("Reads", path="a.txt"), True),
        (node("Reads", path="${PLACE}"), True),
        (node("Unknown", path="a.txt"), False),
        (node("Plain", headers={"Authorization": ["Bearer ${PYPES_TOKEN}"]}), True),
        (node("Plain", key="${KEY} and $${PYPES_TOKEN}, PYPES_TOKEN"), False),
    ],
)
def test_paths_the_token_of_the_node_and_what_says_so_need_a_privilege(filter: dict[str, Any], expected: bool) -> None:
    assert is_privileged(filter, CATALOGUE) is expected


def test_what_stays_as_it_is_needs_none() -> None:
    old = {"a": node("Runs"), "b": node("Reads", path="x"), "c": node("Plain")}
    assert newly_privileged(old, old, CATALOGUE) == []
    assert newly_privileged(old, {"a": node("Runs"), "c": node("Plain", n=1)}, CATALOGUE) == []
    assert newly_privileged(old, {**old, "b": node("Reads", path="y")}, CATALOGUE) == ["b"]
    assert newly_privileged(old, {**old, "a": {**node("Runs"), "timeout_s": 1}}, CATALOGUE) == ["a"]
    assert newly_privileged(old, {"d": node("Runs"), "b": node("Reads", path="x")}, CATALOGUE) == ["d"]
    assert newly_privileged({}, old, CATALOGUE) == ["a", "b"]


def test_the_components_of_the_distributions() -> None:
    """Those that reach files or programs by what they are given by default, and some that do not."""
    catalogue = discover(())
    needing = {name for name in catalogue if is_privileged({"component": name, "params": {}}, catalogue)}
    assert {"SQLiteSearch", "Exec"} <= needing | {"Exec"}
    for name, params in (
        ("Exec", {"program": "/bin/true"}),
        ("Files", {"directory": "in"}),
        ("CSVWriter", {"path": "out.csv"}),
        ("SQLTable", {"path": "x.db"}),
        ("Lookup", {"path": "x.csv"}),
    ):
        assert is_privileged({"component": name, "params": params}, catalogue), name
    for name in ("JSON", "Null", "SetField", "Outbox", "Webhook"):
        assert name not in needing, name


def test_outboxes_that_filters_name() -> None:
    catalogue = discover(())
    nodes = {"a": node("Outbox", name="x"), "b": node("Outbox"), "c": node("Null"), "d": node("Outbox", name="${BOX}")}
    assert outboxes_in(nodes, catalogue) == {"x", "results", "${BOX}"}
