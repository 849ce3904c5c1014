"""The most specific adapter takes a document; all of them on a tie; none is told apart from any."""

from __future__ import annotations

import pytest

from pypes.component import Adapter, Component, Publisher, Source
from pypes.core.media_types import PACKETS
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.packet import Packet
from pypes.runtime.instance.routing import Entry, Router, as_bytes


class Html(Adapter):
    accepts = ("text/html", "application/xhtml+xml")


class Text(Adapter):
    accepts = ("text/*",)


class Json(Adapter):
    accepts = ("application/json", PACKETS)


class Anything(Adapter):
    accepts = ("*/*",)


class Old(Component):
    __metatype__ = "ADAPTER"

    def run(self) -> None:
        while True:
            self.yield_ctrl()


def router(**nodes: type[Component]) -> Router:
    graph = Graph(
        "g",
        {name: GraphNode(name, cls.__name__) for name, cls in {**nodes, "out": Publisher}.items()},
        tuple(Wire(name, "out", "out", "in") for name in nodes),
    )
    return Router(graph, {**{name: cls() for name, cls in nodes.items()}, "out": Publisher()})


@pytest.mark.parametrize(
    ("media_type", "nodes"),
    [
        ("text/html", ["html"]),
        ("text/csv", ["text", "same"]),
        ("application/json", ["json"]),
        ("application/ld+json", ["json"]),
        (PACKETS, ["json"]),
        ("image/png", ["any"]),
    ],
)
def test_the_most_specific_match_takes_it(media_type: str, nodes: list[str]) -> None:
    found = router(html=Html, text=Text, same=Text, json=Json, any=Anything)
    assert [entry.filter for entry in found.entries(media_type)] == nodes
    assert [entry.filter for entry in found.entries(media_type)] == nodes


def test_nobody_takes_what_no_adapter_accepts() -> None:
    assert router(html=Html).entries("image/png") == ()


def test_adapters_in_the_original_style_take_anything_as_bytes() -> None:
    [entry] = router(old=Old).entries("application/json")
    assert (entry.filter, entry.wants_bytes) == ("old", True)


def test_an_adapter_behind_another_filter_takes_nothing_from_outside() -> None:
    nodes = {"a": Text, "b": Text}
    graph = Graph("g", {name: GraphNode(name, "Text") for name in nodes}, (Wire("a", "out", "b", "in"),))
    found = Router(graph, {name: cls() for name, cls in nodes.items()})
    assert [entry.filter for entry in found.entries("text/plain")] == ["a"]


def test_the_short_way_is_only_for_json_to_one_adapter() -> None:
    one, two = router(json=Json, text=Text), router(a=Json, b=Json)
    route = one.json_route("Application/JSON; charset=utf-8")
    assert route is not None
    assert (route.media_type, route.charset, route.entry.filter) == ("application/json", "utf-8", "json")
    assert one.json_route("text/plain") is None
    assert two.json_route("application/json") is None


def test_as_bytes_gives_the_text_of_a_document_and_keeps_bytes() -> None:
    packet = as_bytes(Packet.from_document({"a": [1, 2], "b": "ü"}, {"id": "1"}))
    assert packet.get("data") == '{"a":[1,2],"b":"ü"}'.encode()
    assert packet.get_meta("id") == "1"
    whole = Packet.from_document({"data": b"x"})
    assert as_bytes(whole) is whole


class Fetch(Source):
    def fetch(self, cursor):  # type: ignore[no-untyped-def]
        yield [], None


def test_a_deletion_enters_at_all_adapters_where_none_takes_packets() -> None:
    gone, other = Packet({}, {"requestmethod": "DELETE", "id": "a"}), Packet({"n": 1}, {"id": "b"})
    found = router(html=Html, text=Text, old=Old)
    # the original style takes anything, and would not know what to do with it
    assert [entry.filter for entry in found.entries(PACKETS)] == ["old"]
    found = router(html=Html, text=Text)
    runs = list(found.routed("", PACKETS, [gone, gone, other]))
    assert runs == [(PACKETS, (Entry("html"), Entry("text")), [gone, gone]), (PACKETS, (), [other])]
    assert list(router(html=Html, json=Json).routed("", PACKETS, [gone])) == [(PACKETS, (Entry("json"),), [gone])]


def test_what_a_source_without_a_wire_fetched_goes_by_media_type() -> None:
    nodes = {"html": Html, "text": Text, "loose": Fetch, "wired": Fetch, "other": Fetch, "out": Publisher}
    graph = Graph(
        "g",
        {name: GraphNode(name, cls.__name__) for name, cls in nodes.items()},
        (
            *(Wire(name, "out", "out", "in") for name in ("html", "text", "wired")),
            Wire("loose", "error", "out", "in"),
            Wire("other", "new", "out", "in"),
        ),
    )
    found = Router(graph, {name: cls() for name, cls in nodes.items()})
    assert found.loose == {"loose"}
    packets = [
        Packet({"data": b"a"}, {"mimetype": "text/html"}),
        Packet({"data": b"b"}, {"mimetype": "Text/HTML; charset=utf-8"}),
        Packet({"data": b"c"}, {"mimetype": "text/csv"}),
        Packet({}, {"mimetype": "text/html", "requestmethod": "DELETE", "id": "a"}),
        Packet({"data": b"d"}, {"mimetype": "image/png"}),
        Packet({}, {"mimetype": "text/html", "toolarge": 1}),
    ]
    runs = [
        (kind, [entry.filter for entry in entries], len(run)) for kind, entries, run in found.routed("loose", PACKETS, packets)
    ]
    assert runs == [
        ("text/html", ["html"], 2),
        ("text/csv", ["text"], 1),
        ("text/html", ["html"], 1),
        ("image/png", [], 1),
        ("text/html", ["loose"], 1),
    ]
    assert [run for _, _, some in found.routed("loose", PACKETS, packets) for run in some] == packets
    assert list(found.routed("wired", PACKETS, packets)) == [(PACKETS, (Entry("wired"),), packets)]
