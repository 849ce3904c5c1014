"""The page about plugins of the original: each has a row, and each example is executed as the page has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pypes import Component, Packet
from pypes.graph.pypes1 import from_obj
from pypes.graph.pypes1_plugins import PLUGINS
from pypes.testing import run_component
from pypes_basic.lookup import Lookup
from pypes_basic.template import Template
from tests.graph.test_pypes1_plugins import FIELDS, OTHERS, catalogue
from tests.snippets import ROOT

PAGE = (ROOT / "docs/from-pypes-1.md").read_text(encoding="utf-8")
CLASSES: Mapping[str, type[Component]] = {cls.__name__: cls for cls in (*FIELDS, *OTHERS, Lookup, Template)}
#: The map that examples name.
(MAP,) = re.findall(r"^```xml map.xml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
#: Plugins that nothing here does the work of.
ABSENT = {"GeoCode", "Solr"}


def tables() -> Iterator[list[list[str]]]:
    """The tables of the page: rows of cells, without their heads."""
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        yield [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()[2:]]


COUNTERPARTS, EXAMPLES = tables()


def code(cell: str) -> str:
    """The first code of a cell."""
    return cell.split("`")[1]


def packets(cell: str) -> Any:
    """Packets as a cell has them: fields as JSON, by port perhaps, or the content of a file."""
    if cell.startswith("the file"):
        return [Packet({"data": (ROOT / code(cell)).read_bytes()})]
    found = json.loads(code(cell))
    if isinstance(found, str):
        return [Packet({"data": found.encode()})]
    if "in2" in found:
        return {port: [Packet.from_document(each) for each in fields] for port, fields in found.items()}
    return [Packet.from_document(found)]


def shown(value: Any, expected: Any) -> Any:
    """A value as the page has it: ``…`` stands for the rest of a text."""
    if isinstance(expected, str) and expected.endswith("…"):
        return f"{value[: len(expected) - 1]}…"
    return value


def test_every_plugin_has_its_rows() -> None:
    assert [code(row[0]) for row in COUNTERPARTS] == sorted(PLUGINS, key=str.lower)
    assert [code(row[0]) for row in EXAMPLES] == sorted({*PLUGINS} - ABSENT, key=str.lower)
    for name, here, *_ in COUNTERPARTS:
        plugin = PLUGINS[code(name)]
        assert here.startswith("none") if code(name) in ABSENT else code(here) in CLASSES
        assert not plugin.component or plugin.component == code(here)


@pytest.mark.parametrize("row", EXAMPLES, ids=lambda row: code(row[0]))
def test_the_example_is_right(row: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name, given, takes, gives = row
    (tmp_path / "map.xml").write_text(MAP, encoding="utf-8")
    plugin, params = code(name), json.loads(code(given)) if given else {}
    if PLUGINS[plugin].component:
        container = {"filterName": plugin, "params": {key: [value, []] for key, value in params.items()}}
        nodes = from_obj({"containers": [container]}, "g", catalogue()).graph.nodes.values()
        steps = [(CLASSES[node.component], dict(node.params)) for node in nodes]
    else:
        here = next(code(other[1]) for other in COUNTERPARTS if other[0] == name)
        steps = [(CLASSES[here], params)]
    feed = packets(takes)
    outputs: Mapping[str, Any] = {}
    caplog.set_level("INFO")
    for cls, own in steps:
        component = cls()
        component.data_dir = str(tmp_path)
        component.configure(own)
        result = run_component(component, feed)
        assert not result.dead_letters, result.dead_letters
        outputs, feed = result.outputs, result.packets
    if gives.startswith("nothing"):
        assert not any(outputs.values())
    elif gives.startswith("the file"):
        path, text = gives.split("`")[1::2]
        assert (tmp_path / path).read_text(encoding="utf-8") == json.loads(text)
    elif gives.startswith("the log line"):
        assert code(gives) in caplog.text
    else:
        expected = json.loads(code(gives))
        by_port = expected if "out2" in expected else {"out": expected}
        for port, each in by_port.items():
            wanted = each if isinstance(each, list) else [each]
            found = outputs[port]
            assert len(found) == len(wanted)
            for packet, fields in zip(found, wanted, strict=True):
                assert fields
                assert {field: shown(packet.get(field), expected) for field, expected in fields.items()} == fields
