"""What came with the original Pypes becomes components of today, and graphs become projects again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from pypes.graph.model import Graph, GraphNode, Wire
from pypes.graph.pypes1 import from_obj
from pypes.graph.pypes1_export import to_obj
from pypes.graph.pypes1_plugins import PLUGINS
from pypes.graph.spec import ComponentSpec, describe
from pypes.graph.validation import validate
from pypes_basic.collate import Collate
from pypes_basic.copy_field import CopyField
from pypes_basic.csv_adapter import CSV
from pypes_basic.csv_writer import CSVWriter
from pypes_basic.debug import Debug
from pypes_basic.delete_field import DeleteField
from pypes_basic.drop_document import DropDocument
from pypes_basic.json_adapter import JSON
from pypes_basic.merge import Merge
from pypes_basic.normalize_case import NormalizeCase
from pypes_basic.normalize_date import NormalizeDate
from pypes_basic.null import Null
from pypes_basic.rename_field import RenameField
from pypes_basic.set_field import SetField
from pypes_basic.split import Split
from pypes_basic.text_adapter import Text
from pypes_documents.docx_adapter import DOCX
from pypes_documents.html_adapter import HTML
from pypes_documents.pdf_adapter import PDF
from pypes_documents.rss_adapter import RSS
from pypes_documents.solr_xml_adapter import SolrXML
from pypes_documents.xml_adapter import XML
from pypes_documents.xml_map_transformer import XMLMap
from pypes_text.addresses import Addresses
from pypes_text.emails import Emails

FIELDS = (CopyField, DeleteField, NormalizeCase, NormalizeDate, RenameField, SetField, Addresses, Emails)
OTHERS = (
    CSVWriter,
    CSV,
    DOCX,
    HTML,
    JSON,
    PDF,
    RSS,
    SolrXML,
    Text,
    XML,
    XMLMap,
    DropDocument,
    Collate,
    Merge,
    Split,
    Debug,
    Null,
)


@cache
def catalogue() -> Mapping[str, ComponentSpec]:
    """The real components that are counterparts."""
    return {cls.__name__: describe(cls) for cls in (*FIELDS, *OTHERS)}


def test_every_counterpart_is_there_and_what_has_none_says_what_to_do() -> None:
    assert len(PLUGINS) == 28
    assert {plugin.component for plugin in PLUGINS.values() if plugin.component} == catalogue().keys()
    for name, plugin in PLUGINS.items():
        assert plugin.component or plugin.note, name
        if plugin.component:
            assert catalogue()[plugin.component].kind == plugin.kind, name


@pytest.mark.parametrize(
    ("plugin", "params", "component", "read"),
    [
        ("SimpleJSON", {}, "JSON", [{}]),
        ("TextReader", {}, "Text", [{}]),
        ("CSVReader", {}, "CSV", [{"header": "absent"}]),
        (
            "CaseNormalizer",
            {"fields": "a,b", "operation": "TitleCase"},
            "NormalizeCase",
            [{"fields": ["a", "b"], "case": "title"}],
        ),
        ("DeleteField", {"fields": "a,b"}, "DeleteField", [{"fields": ["a", "b"]}]),
        ("DropDocument", {"fields": "a", "dropvalues": "_any_"}, "DropDocument", [{"fields": ["a"], "values": []}]),
        ("DropDocument", {"fields": "a", "dropvalues": "x;y"}, "DropDocument", [{"fields": ["a"], "values": ["x", "y"]}]),
        ("Email", {}, "Emails", [{}]),
        ("XML", {"mapfile": "etc/map.xml"}, "XML", [{"map": "etc/map.xml"}]),
        ("XMLMapper", {"mapfile": "etc/map.xml", "input": "xml"}, "XMLMap", [{"map": "etc/map.xml", "field": "xml"}]),
        ("SetField", {"field": "a", "values": "x;y"}, "SetField", [{"field": "a", "value": ["x", "y"], "multi": True}]),
        ("CopyField", {"sources": "", "destinations": "", "mode": "Abort"}, "CopyField", [{"mode": "keep"}]),
        (
            "CopyField",
            {"sources": "a,b", "destinations": "c,d", "mode": "Append"},
            "CopyField",
            [{"source": "a", "target": "c", "mode": "append"}, {"source": "b", "target": "d", "mode": "append"}],
        ),
        (
            "RenameField",
            {"original_names": "a", "new_names": "b", "mode": "Overwrite"},
            "RenameField",
            [{"source": "a", "target": "b", "mode": "overwrite"}],
        ),
    ],
)
def test_parameters_are_read_and_written(plugin: str, params: dict[str, str], component: str, read: list[dict[str, Any]]) -> None:
    given = {name: [value, []] for name, value in params.items()}
    imported = from_obj({"containers": [{"filterName": plugin, "params": given, "position": [5, 7]}]}, "g", catalogue())
    assert [(node.component, node.params) for node in imported.graph.nodes.values()] == [(component, each) for each in read]
    assert all(problem.code == "pypes1.differs" for problem in imported.report)
    assert not [problem for problem in validate(imported.graph, catalogue()) if ".params" in problem.path]
    if len(read) == 1:
        exported = to_obj(imported.graph, catalogue())
        (container,) = exported.project["containers"]
        assert (container["filterName"], container["position"]) == (plugin, [5, 7])
        assert {name: value for name, (value, _) in container["params"].items()} == {
            name: value for name, value in params.items() if value
        }
        assert not exported.report


def test_as_many_targets_as_sources_are_needed_as_there() -> None:
    params = {"sources": "a,b", "destinations": "c"}
    (node,) = from_obj({"containers": [{"filterName": "CopyField", "params": params}]}, "g", catalogue()).graph.nodes.values()
    assert node.params == {"mode": "keep"}


def test_what_a_plugin_did_at_once_is_a_chain_of_filters() -> None:
    params = {"sources": ["a,b", []], "destinations": ["c,d", []]}
    project = {
        "containers": [
            {"filterName": "SimpleJSON", "position": [0, 0]},
            {"filterName": "CopyField", "name": "Copy", "params": params, "position": [9, 100]},
            {"filterName": "Null"},
        ],
        "wires": [
            {"src": {"moduleId": 0, "termid": "out"}, "tgt": {"moduleId": 1, "termid": "in"}},
            {"src": {"moduleId": 1, "termid": "out"}, "tgt": {"moduleId": 2, "termid": "in"}},
        ],
    }
    graph = from_obj(project, "g", catalogue()).graph
    assert [str(wire) for wire in graph.wires] == ["copy.out -> copy-2.in", "simplejson.out -> copy.in", "copy-2.out -> null.in"]
    assert graph.layout == {"simplejson": (0, 0), "copy": (9, 100), "copy-2": (9, 160)}
    assert not validate(graph, catalogue())


def test_what_is_different_or_missing_is_reported() -> None:
    containers = [{"filterName": "GeoCode"}, {"filterName": "HTML", "params": {"keep_html": ["True", ["True", "False"]]}}]
    report = from_obj({"containers": containers}, "g", catalogue()).report
    assert [(problem.path, problem.code) for problem in report] == [
        ("nodes.geocode", "pypes1.unknown_component"),
        ("nodes.html", "pypes1.differs"),
        ("nodes.html.params.keep_html", "pypes1.unknown_parameter"),
    ]
    assert "use Lookup" in report[0].message
    assert "`body`" in report[1].message


def test_a_plugin_that_was_ported_keeps_its_parameters() -> None:
    ported = ComponentSpec("CaseNormalizer", "TRANSFORMER", schema={"properties": {"fields": {}, "operation": {}}})
    container = {"filterName": "CaseNormalizer", "params": {"fields": "a,b", "operation": "lowercase"}}
    imported = from_obj({"containers": [container]}, "g", {**catalogue(), "CaseNormalizer": ported})
    (node,) = imported.graph.nodes.values()
    assert (node.component, node.params) == ("CaseNormalizer", {"fields": "a,b", "operation": "lowercase"})


def test_a_graph_is_written_as_a_project_that_reads_back() -> None:
    nodes = {
        "json": GraphNode("json", "JSON"),
        "up": GraphNode("up", "NormalizeCase", {"fields": ["a"], "case": "upper"}),
        "text": GraphNode("text", "Text", {"field": "words"}),
        "own": GraphNode("own", "Own", {"x": [1]}),
    }
    wires = (Wire("json", "out", "up", "in"), Wire("up", "out", "own", "in"), Wire("text", "error", "own", "in"))
    graph = Graph("g", nodes, wires, routes=("r",), order_by="id", layout={"json": (1, 2)})
    exported = to_obj(graph, catalogue())
    containers = exported.project["containers"]
    assert [(each["filterName"], each["type"], each["name"]) for each in containers] == [
        ("SimpleJSON", "Adapters", "json"),
        ("CaseNormalizer", "Transformers", "up"),
        ("TextReader", "Adapters", "text"),
        ("Own", "", "own"),
    ]
    assert containers[1]["params"] == {"fields": ["a", []], "operation": ["UPPERCASE", ["lowercase", "UPPERCASE", "TitleCase"]]}
    assert (containers[0]["inputs"], containers[1]["inputs"], containers[0]["position"]) == ([], ["in"], [1, 2])
    assert exported.project["wires"][1] == {
        "src": {"moduleId": 1, "termid": "out", "terminalId": 1},
        "tgt": {"moduleId": 3, "termid": "in", "terminalId": 0},
    }
    assert [(problem.path, problem.code) for problem in exported.report] == [
        ("routes", "pypes1.left_out"),
        ("order_by", "pypes1.left_out"),
        ("nodes.text.params.field", "pypes1.unknown_parameter"),
        ("nodes.own", "pypes1.unknown_component"),
        ("wires.2", "pypes1.unknown_port"),
    ]
    back = from_obj(exported.project, "g", catalogue()).graph
    assert [(node.name, node.component, node.params) for node in back.nodes.values()] == [
        (node.name, node.component, node.params) for node in nodes.values()
    ]
    assert back.wires == wires


@pytest.mark.parametrize("odd", [None, True, 5, [], {}, [[], []], [{}, []], ["x"]], ids=repr)
@pytest.mark.parametrize(("plugin", "name"), [(plugin, name) for plugin in PLUGINS for name in PLUGINS[plugin].params])
def test_parameters_of_any_type_are_read_and_written(plugin: str, name: str, odd: object) -> None:
    for params in PLUGINS[plugin].read({name: odd}):
        PLUGINS[plugin].write(params)


@pytest.mark.parametrize("plugin", ["CopyField", "RenameField"])
def test_a_mode_without_fields_is_read_in_the_words_of_today(plugin: str) -> None:
    written = PLUGINS[plugin].write({})
    assert PLUGINS[plugin].read(written) == [{"mode": "overwrite"}]
