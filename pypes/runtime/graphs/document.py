"""Graph documents that may be unfinished: anything may be missing in one, or be of another form than a graph has it.

They are JSON values and not changed in place, but for one that is being made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pypes.core.secrets import holds_mask, masked
from pypes.errors import InvalidGraph
from pypes.graph import codec
from pypes.graph.codec import UID

#: A graph document.
Document = dict[str, Any]


def empty(name: str) -> Document:
    """A document with nothing in it yet."""
    return {"pypes": codec.FORM, "name": name, "nodes": {}, "wires": []}


def nodes_of(graph: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The filters of a document that are whole enough to name a component, by name."""
    nodes = graph.get("nodes")
    found = nodes.items() if isinstance(nodes, dict) else ()
    return {name: node for name, node in found if isinstance(node, dict) and isinstance(node.get("component"), str)}


def wires_of(graph: Mapping[str, Any]) -> list[list[str]]:
    """The wires of a document that have two ends."""
    wires = graph.get("wires")
    found = wires if isinstance(wires, list) else ()
    return [wire for wire in found if isinstance(wire, list) and len(wire) == 2 and all(isinstance(end, str) for end in wire)]


def names_of(graph: Mapping[str, Any]) -> dict[str, str]:
    """The names of filters by their uids, of those that have one."""
    return {uid: name for name, node in nodes_of(graph).items() if isinstance(uid := node.get(UID), str)}


def plain(node: Mapping[str, Any]) -> dict[str, Any]:
    """A filter as it would be deployed: without its uid, with parameters, be they none."""
    params = node.get("params", {})
    return {**_bare(node), "params": params if isinstance(params, dict) else {}}


def is_same(graph: Mapping[str, Any], deployed: Mapping[str, Any]) -> bool:
    """True if a document would be deployed as one that is in its canonical form."""
    with suppress(InvalidGraph):
        return bool(codec.to_obj(codec.from_obj({"pypes": codec.FORM, **graph, "name": deployed["name"]})) == deployed)
    return False


def add_filter(graph: Document, uid: str, component: str, params: dict[str, Any]) -> str:
    """Add a filter to a document that is being made; returns its name, which is made of the component's."""
    nodes = graph["nodes"]
    base = component.lower()
    name, number = base, 2
    while name in nodes:
        name, number = f"{base}-{number}", number + 1
    nodes[name] = {"component": component, "params": params, UID: uid}
    return name


def without_filter(graph: Mapping[str, Any], name: str) -> Document:
    """A document without one of its filters, its wires and its place."""
    changed = {**graph, "nodes": {each: node for each, node in graph["nodes"].items() if each != name}}
    if isinstance(wires := graph.get("wires"), list):
        changed["wires"] = [wire for wire in wires if name not in ends_of(wire)]
    if isinstance(layout := graph.get("layout"), dict):
        changed["layout"] = {each: place for each, place in layout.items() if each != name}
    return changed


def ends_of(wire: Any) -> list[str]:
    """The names of the filters at the ends of a wire."""
    return [end.partition(".")[0] for end in wire if isinstance(end, str)] if isinstance(wire, list) else []


def unmasked(sent: Document, known: Iterable[Mapping[str, Any]]) -> Document:
    """A document with what was hidden when ``known`` ones were shown put back, in those parts that are just as they were shown.

    Parts are filters, which may have other names if they have their uid, and all else by its key. What was hidden stays so in a
    part that was changed: else somebody who may not read a password could have it sent elsewhere.
    """
    if not holds_mask(_form(sent)):
        return sent
    found = dict(sent)
    for document in known:
        hidden = masked(document)
        for key in found.keys() & document.keys() & hidden.keys() - {"nodes"}:
            if _form(found[key]) == _form(hidden[key]):
                found[key] = document[key]
        before, shown, names = nodes_of(document), nodes_of(hidden), names_of(document)
        restored = dict(found["nodes"]) if isinstance(found.get("nodes"), dict) else {}
        for name, node in nodes_of(found).items():
            uid = node.get(UID)
            old = names.get(uid, name) if isinstance(uid, str) else name
            if old in before and old in shown and _form(_bare(node)) == _form(_bare(shown[old])):
                restored[name] = {**_bare(before[old]), **({UID: uid} if UID in node else {})}
        if restored:
            found["nodes"] = restored
    return found


def _bare(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != UID}


def _form(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
