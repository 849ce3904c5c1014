"""Advice: graphs that are valid and hardly do what was meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import pytest

from pypes.component import Adapter, Component, Filter, Operator, Publisher, Source, Transformer
from pypes.component.parameters import Help, Parameters
from pypes.core.identity import Completed
from pypes.core.limits import Limits
from pypes.graph.advice import advise
from pypes.graph.codec import from_obj
from pypes.graph.spec import ComponentSpec, describe
from pypes.graph.validation import validate
from pypes.packet import Packet
from pypes_basic.csv_adapter import CSV
from pypes_basic.json_adapter import JSON


class Read(Adapter):
    """Reads."""


class Split(Operator):
    """Splits."""

    outputs = {"out": "", "out2": ""}


class Window(Operator):
    """Holds."""

    holds = True


class Join(Operator):
    """Joins."""

    inputs = {"in": "", "in2": ""}


class Keep(Publisher):
    """Keeps."""


class Waits(Transformer):
    """Waits for batches."""

    batch_s = 0.5

    def process_batch(self, packets: list[Packet]) -> list[Packet]:
        return packets


CATALOGUE = {cls.__name__: describe(cls) for cls in (Read, Split, Window, Join, Keep, Waits)}


def advised(*wires: str) -> list[tuple[str, str]]:
    """``wires`` are pairs of ends with an arrow between; filters are called as their components, in small letters."""
    ends = [wire.split(" -> ") for wire in wires]
    names = dict.fromkeys(end.split(".")[0] for pair in ends for end in pair)
    obj: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": {n: {"component": n.title()} for n in names}, "wires": ends}
    graph = from_obj(obj)
    assert validate(graph, CATALOGUE) == []
    return [(problem.path, problem.code) for problem in advise(graph, CATALOGUE)]


def test_a_join_past_which_a_branch_holds_packets() -> None:
    split = ["read.out -> split.in", "join.out -> keep.in"]
    assert advised(*split, "split.out -> window.in", "window.out -> join.in", "split.out2 -> join.in2") == [
        ("nodes.join", "graph.held_branch")
    ]
    # before the branches part, behind the join, and where a port is fed by several wires
    assert (
        advised("read.out -> window.in", "window.out -> split.in", "split.out -> join.in", "split.out2 -> join.in2", split[1])
        == []
    )
    assert (
        advised(split[0], "split.out -> join.in", "split.out2 -> join.in2", "join.out -> window.in", "window.out -> keep.in")
        == []
    )
    assert advised(*split, "split.out -> window.in", "window.out -> join.in", "split.out2 -> join.in") == []


class Look(Source):
    """Fetches files."""

    class Params(Parameters):
        directory: Annotated[str, Help("Folder.", path=True)]
        pattern: Annotated[str, Help("Names.")] = "*"
        id: Annotated[str, Help("Id.")] = "{path}"

    def fetch(self, cursor: Any) -> Iterator[tuple[list[Packet], Any]]:
        yield [], None


class Fetch(Look):
    """Fetches a page into a folder."""

    class Params(Look.Params):
        url: Annotated[str, Help("Page.")] = ""
        id: Annotated[str, Help("Id.")] = "{url}"


@pytest.mark.parametrize(
    ("component", "one", "other", "places"),
    [
        (Look, {"directory": "a"}, {"directory": "b"}, ["nodes.other.params.id"]),
        (Look, {"directory": "a"}, {"directory": "b", "id": "{path}", "pattern": "*.txt"}, ["nodes.other.params.id"]),
        (Look, {"directory": "a"}, {"directory": "b", "id": "b/{path}"}, []),
        (Look, {"directory": "a", "id": ""}, {"directory": "b", "id": ""}, []),
        # a folder that is looked through twice has each file once
        (Look, {"directory": "a", "pattern": "*.txt"}, {"directory": "a", "pattern": "*.html"}, []),
        (Fetch, {"directory": "a", "url": "x"}, {"directory": "b", "url": "y"}, []),
        (Fetch, {"directory": "a", "url": "x"}, {"directory": "b", "url": "x"}, ["nodes.other.params.id"]),
    ],
)
def test_sources_whose_documents_would_have_the_same_ids(
    component: type[Component], one: dict[str, str], other: dict[str, str], places: list[str]
) -> None:
    nodes = {name: {"component": component.__name__, "params": params} for name, params in (("one", one), ("other", other))}
    wires = [["one.out", "keep.in"], ["other.out", "keep.in"]]
    graph = from_obj({"pypes": 1, "name": "g", "nodes": {**nodes, "keep": {"component": "Keep"}}, "wires": wires})
    catalogue = {**CATALOGUE, component.__name__: describe(component)}
    assert validate(graph, catalogue) == []
    problems = advise(graph, catalogue)
    assert [problem.path for problem in problems] == places
    assert {problem.code for problem in problems} <= {"graph.shared_ids"}


class Chunk(Transformer):
    """Makes parts."""

    def process(self, packet: Packet) -> None:
        for number in range(2):
            self.send("out", packet.derive("chunk", number))


class Short(Chunk):
    """Makes parts of the same kind."""


class Page(Transformer):
    """Makes parts of another kind, in a generator."""

    def process(self, packet: Packet) -> None:
        for page in (packet.derive("page", number) for number in range(2)):
            self.send("out", page)


class Any_(Transformer):
    """Makes parts of a kind that is not known before it runs."""

    def process(self, packet: Packet) -> Packet:
        return packet.derive(packet.get("kind"), 1)


class Language(Filter):
    """Lets some pass."""


PARTS = {**CATALOGUE, **{cls.__name__: describe(cls) for cls in (Chunk, Short, Page, Any_, Language)}}


def test_kinds_of_parts_are_read_from_the_code() -> None:
    assert {name: PARTS[name].parts for name in ("Chunk", "Short", "Page", "Any_", "Read")} == {
        "Chunk": ("chunk",),
        "Short": ("chunk",),
        "Page": ("page",),
        "Any_": (),
        "Read": (),
    }
    assert (describe(CSV).parts, describe(JSON).parts) == (("row",), ("row",))
    assert ComponentSpec.from_obj(PARTS["Chunk"].to_obj()) == PARTS["Chunk"]


@pytest.mark.parametrize(
    ("wires", "places"),
    [
        ("read>chunk read>short chunk>keep short>keep", ["nodes.keep"]),
        ("read>look look>chunk read>short chunk>language short>keep language>keep", ["nodes.keep"]),
        ("read>chunk read>short chunk>keep short>keep chunk>keep2 short>keep2", ["nodes.keep", "nodes.keep2"]),
        # one behind the other, of different kinds, in different publishers
        ("read>chunk chunk>short chunk>keep short>keep", []),
        ("read>chunk read>page chunk>keep page>keep", []),
        ("read>chunk read>short chunk>keep short>keep2", []),
        # each may get others: what is filtered, routed, or goes out at two ports
        ("read>language read>language2 language>chunk language2>short chunk>keep short>keep", []),
        ("read>split split>chunk split.out2>short chunk>keep short>keep", []),
        # a join may make one packet of two
        ("read>chunk read>short chunk>join short>join.in2 join>keep", []),
        # documents of one type go to both adapters
        ("rows>keep rows2>keep", ["nodes.keep"]),
        ("rows>keep lines>keep", []),
    ],
)
def test_parts_of_one_name_on_two_branches(wires: str, places: list[str]) -> None:
    pairs = [pair.split(">") for pair in wires.split()]
    ends = [[a if "." in a else f"{a}.out", b if "." in b else f"{b}.in"] for a, b in pairs]
    names = dict.fromkeys(end.partition(".")[0] for pair in ends for end in pair)
    components = {"rows": "CSV", "lines": "JSON", "look": "Change"}
    nodes = {name: {"component": components.get(name.rstrip("2"), name.rstrip("2").title())} for name in names}
    graph = from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": ends})
    catalogue = {**PARTS, "CSV": describe(CSV), "JSON": describe(JSON), "Change": describe(Change)}
    assert validate(graph, catalogue) == []
    problems = advise(graph, catalogue)
    assert [problem.path for problem in problems] == places
    assert {problem.code for problem in problems} <= {"graph.shared_parts"}


class Change(Transformer):
    """Changes."""


class Remember(Filter):
    """Holds back what is published."""

    def conclude(self, documents: list[Completed]) -> None:
        pass


@pytest.mark.parametrize(
    ("wires", "places"),
    [
        ("read>remember read2>remember remember>keep remember>keep2", []),
        ("read>remember remember>keep read2>keep2", []),
        ("read>remember remember>change change>keep read2>change", ["nodes.keep"]),
        ("read>remember read>keep remember>keep", ["nodes.keep"]),
        ("read>remember read>remember2 remember>keep remember2>keep2", []),
    ],
)
def test_ways_past_a_filter_that_remembers(wires: str, places: list[str]) -> None:
    ends = [[f"{a}.out", f"{b}.in"] for a, b in (pair.split(">") for pair in wires.split())]
    names = dict.fromkeys(end.partition(".")[0] for pair in ends for end in pair)
    nodes = {name: {"component": name.rstrip("2").title()} for name in names}
    graph = from_obj({"pypes": 1, "name": "g", "nodes": nodes, "wires": ends})
    catalogue = {**CATALOGUE, "Change": describe(Change), "Remember": describe(Remember)}
    assert validate(graph, catalogue) == []
    problems = advise(graph, catalogue)
    assert [(problem.path, problem.code) for problem in problems] == [(place, "graph.past_filter") for place in places]
    assert advise(replace(graph, order_by="id"), catalogue) == []


class Index(Publisher):
    """Keeps whole documents."""

    class Params(Parameters):
        path: Annotated[str, Help("File.", path=True)] = "index.db"
        title: Annotated[str, Help("Field.")] = ""
        box: Annotated[str, Help("Outbox.", extra_json_schema={"format": "outbox"})] = ""

    def complete(self, documents: list[Completed]) -> None:
        pass


class Lines(Publisher):
    """Appends, and is told of nothing."""

    class Params(Parameters):
        path: Annotated[str, Help("File.", path=True)] = "index.db"


@pytest.mark.parametrize(
    ("nodes", "places"),
    [
        ({"one": {}, "other": {}}, ["nodes.other.params.path"]),
        ({"one": {"path": "a/b.db"}, "other": {"path": "./a//b.db", "title": "name"}}, ["nodes.other.params.path"]),
        ({"one": {}, "other": {"path": "other.db"}}, []),
        ({"one": {"path": "1", "box": "x"}, "other": {"path": "2", "box": "x"}}, ["nodes.other.params.box"]),
        ({"lines": {}, "lines2": {}, "one": {}}, []),
    ],
)
def test_publishers_of_whole_documents_with_one_file(nodes: dict[str, dict[str, str]], places: list[str]) -> None:
    publishers = {
        name: {"component": "Lines" if "lines" in name else "Index", "params": params} for name, params in nodes.items()
    }
    wires = [["read.out", f"{name}.in"] for name in nodes]
    graph = from_obj({"pypes": 1, "name": "g", "nodes": {"read": {"component": "Read"}, **publishers}, "wires": wires})
    catalogue = {**CATALOGUE, "Index": describe(Index), "Lines": describe(Lines)}
    assert validate(graph, catalogue) == []
    problems = advise(graph, catalogue)
    assert [problem.path for problem in problems] == places
    assert {problem.code for problem in problems} <= {"graph.shared_destination"}


@pytest.mark.parametrize(
    ("limits", "order_by", "paths"),
    [
        ({"queue_max_deliveries": 20, "receipts_s": 60}, "", []),
        ({"queue_max_deliveries": 20}, "id", ["limits.queue_max_deliveries"]),
        ({"queue_max_deliveries": 21, "receipts_s": 61}, "", ["limits.queue_max_deliveries", "limits.receipts_s"]),
        # the node has none of these
        ({"disk_bytes": 10**18}, "", []),
    ],
)
def test_a_limit_beyond_that_of_the_node(limits: dict[str, Any], order_by: str, paths: list[str]) -> None:
    graph = from_obj({"pypes": 1, "name": "g", "nodes": {}, "wires": [], "limits": limits, "order_by": order_by})
    problems = advise(graph, CATALOGUE, Limits(queue_max_deliveries=10, receipts_s=60.0), 2)
    assert [problem.path for problem in problems] == paths
    assert {problem.code for problem in problems} <= {"graph.limit_beyond_node"}
    assert advise(graph, CATALOGUE) == []


def test_a_pool_does_not_wait_for_batches() -> None:
    obj: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": {n: {"component": n.title()} for n in ("read", "waits", "keep")}}
    obj["wires"] = [["read.out", "waits.in"], ["waits.out", "keep.in"]]
    assert advise(from_obj(obj), CATALOGUE) == []
    obj["nodes"]["waits"]["pool"] = {"threads": 2}
    [problem] = advise(from_obj(obj), CATALOGUE)
    assert (problem.path, problem.code) == ("nodes.waits.pool", "graph.unwaited_batch")
    assert "Waits waits 0.5 s for a batch (batch_s), and in a pool it does not" in problem.message


def test_inputs_that_a_parameter_needs() -> None:
    class Pairs(Join):
        class Params(Parameters):
            parameters: Annotated[list[str], Help("Names.", inputs=True)]

    catalogue = {**CATALOGUE, "Pairs": describe(Pairs)}
    nodes = {"read": {"component": "Read"}, "pairs": {"component": "Pairs"}, "keep": {"component": "Keep"}}
    obj: dict[str, Any] = {"pypes": 1, "name": "g", "nodes": nodes, "wires": [["read.out", "pairs.in"], ["pairs.out", "keep.in"]]}
    nodes["pairs"]["params"] = {"parameters": ["one", "other"]}  # type: ignore[assignment]
    [problem] = advise(from_obj(obj), catalogue)
    assert (problem.path, problem.code) == ("nodes.pairs.params.parameters", "graph.unwired_input")
    assert "no wire leads to 'in2', which brings 'other'" in problem.message
    nodes["pairs"]["params"] = {"parameters": ["one"]}  # type: ignore[assignment]
    assert advise(from_obj(obj), catalogue) == []
