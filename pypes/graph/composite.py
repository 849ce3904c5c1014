"""Composites: graphs with ports and parameters of their own, which are filters of other graphs.

One is a JSON object as a graph is, with ``inputs``, ``outputs`` and ``parameters`` in place of what is about a whole graph::

    {"pypes": 1, "name": "clean", "description": "Texts in one form",
     "inputs": {"in": "strip.in"}, "outputs": {"out": "lower.out"},
     "parameters": {"fields": ["strip.fields", "lower.fields"]},
     "nodes": {"strip": {"component": "RemoveMarkup"}, "lower": {"component": "NormalizeCase"}},
     "wires": [["strip.out", "lower.in"]]}

A port leads to one or several ports of filters inside. A parameter sets one or several parameters of filters inside: its type is
theirs, and so is what it is by default. :mod:`pypes.graph.expansion` puts composites into graphs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pypes.errors import InvalidGraph, Problem
from pypes.graph import codec
from pypes.graph.model import Graph
from pypes.graph.text import as_text, parse

#: Keys of a composite that graphs have, too.
_HEAD: Final = ("pypes", "name", "description")
_OF_GRAPHS: Final = (*_HEAD, "pools", "nodes", "wires", "layout", "comments")
_KEYS: Final = (*_OF_GRAPHS, "inputs", "outputs", "parameters")
#: Between the name of a composite and that of its version, in the ``component`` of a filter.
PIN: Final = "@"


class End(NamedTuple):
    """A port, or a parameter, of a filter inside."""

    filter: str
    name: str

    def __str__(self) -> str:
        return f"{self.filter}.{self.name}"


@dataclass(frozen=True, slots=True)
class CompositeParameter:
    """A parameter of a composite: the parameters inside that it sets, and its description; empty: that of the first of them."""

    sets: tuple[End, ...]
    description: str = ""


@dataclass(frozen=True, slots=True)
class Composite:
    """A graph without routes and the like, ``body``, and what of it is reached from outside, by name."""

    body: Graph
    inputs: Mapping[str, tuple[End, ...]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[End, ...]] = field(default_factory=dict)
    parameters: Mapping[str, CompositeParameter] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name by which filters use it as their component."""
        return self.body.name

    @property
    def digest(self) -> str:
        """A digest of what it is made of. Where its filters are drawn is no part of it, nor are comments."""
        obj = {key: value for key, value in to_obj(self).items() if key not in ("layout", "comments", "description")}
        return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def components(self) -> set[str]:
        """The components of its filters, as they are written: other composites may be among them."""
        return {node.component for node in self.body.nodes.values()}


def loads(text: bytes | str) -> Composite:
    """Read a composite from JSON text. Raises :class:`InvalidGraph` as graphs do."""
    obj, problems = parse(text)
    return _read(obj, problems)


def from_obj(obj: Any) -> Composite:
    """Read a composite from parsed JSON. Raises :class:`InvalidGraph` with everything that is wrong with its form."""
    return _read(obj, [])


def to_obj(composite: Composite) -> dict[str, Any]:
    """The composite as plain JSON values in canonical order: what is optional and empty is left out."""
    body = codec.to_obj(composite.body)
    own: dict[str, Any] = {
        "inputs": {name: _ends(ends) for name, ends in sorted(composite.inputs.items())},
        "outputs": {name: _ends(ends) for name, ends in sorted(composite.outputs.items())},
        "parameters": {name: _parameter(given) for name, given in sorted(composite.parameters.items())},
    }
    head: dict[str, Any] = {key: body[key] for key in _HEAD if key in body}
    rest = {key: value for key, value in body.items() if key not in _HEAD}
    return {**head, **{key: value for key, value in own.items() if value}, **rest}


def dumps(composite: Composite) -> str:
    """The canonical text of a composite."""
    return as_text(to_obj(composite))


def _ends(ends: tuple[End, ...]) -> str | list[str]:
    return str(ends[0]) if len(ends) == 1 else [str(end) for end in ends]


def _parameter(given: CompositeParameter) -> Any:
    sets = _ends(given.sets)
    return {"sets": sets, "description": given.description} if given.description else sets


def _read(obj: Any, problems: list[Problem]) -> Composite:
    if not isinstance(obj, dict):
        raise InvalidGraph("a composite is a JSON object with name, nodes, wires, inputs and outputs", code="graph.malformed")
    for key in obj:
        if key not in _KEYS:
            problems.append(Problem(key, f"unknown key; a composite has {', '.join(_KEYS)}", "graph.form"))
    given = {"nodes": {}, **{key: obj[key] for key in _OF_GRAPHS if key in obj}}
    try:
        body = codec.from_obj(given)
    except InvalidGraph as error:
        problems += error.problems
        body = Graph("", {})
    names = obj["nodes"] if isinstance(obj.get("nodes"), dict) else {}
    reader = _Reader(names, lambda path, message: problems.append(Problem(path, message, "graph.form")))
    composite = Composite(
        body,
        {name: reader.ends(value, f"inputs.{name}") for name, value in reader.named(obj, "inputs")},
        {name: reader.ends(value, f"outputs.{name}") for name, value in reader.named(obj, "outputs")},
        {name: reader.parameter(value, f"parameters.{name}") for name, value in reader.named(obj, "parameters")},
    )
    if not problems and not composite.body.nodes:
        problems.append(Problem("nodes", "a composite without filters does nothing; add some", "graph.form"))
    if problems:
        raise InvalidGraph("the composite is not valid", where=body.name, problems=problems)
    return composite


class _Reader:
    """Reads ports and parameters of a composite with the filters ``names``."""

    def __init__(self, names: Mapping[str, Any], add: Callable[[str, str], None]) -> None:
        self._names = names
        self._add = add

    def named(self, obj: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
        value = obj.get(key, {})
        if not isinstance(value, dict):
            self._add(key, 'must be an object, such as {"NAME": "filter.name"}')
            return []
        for name in value:
            if not codec.NAME.fullmatch(name):
                self._add(f"{key}.{name}", "is no name; use 1 to 64 letters, digits, - and _")
        return list(value.items())

    def ends(self, value: Any, path: str) -> tuple[End, ...]:
        texts = value if isinstance(value, list) and value else [value]
        found: list[End] = []
        for text in texts:
            filter, _, name = text.partition(".") if isinstance(text, str) else ("", "", "")
            end = End(filter, name)
            if not (filter and name):
                self._add(path, 'must be "filter.name" of a filter inside, or a list of these')
            elif filter not in self._names:
                self._add(path, f"there is no filter {filter!r} inside; add it to nodes, or name another one")
            elif end in found:
                self._add(path, f"{text} is listed twice; remove one")
            else:
                found.append(end)
        return tuple(found)

    def parameter(self, value: Any, path: str) -> CompositeParameter:
        if not isinstance(value, dict):
            return CompositeParameter(self.ends(value, path))
        for key in value.keys() - {"sets", "description"}:
            self._add(f"{path}.{key}", "unknown key; a parameter has sets, description")
        description = value.get("description", "")
        if not isinstance(description, str):
            self._add(f"{path}.description", "must be text")
            description = ""
        return CompositeParameter(self.ends(value.get("sets"), f"{path}.sets"), description)
