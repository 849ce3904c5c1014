"""Graphs as JSON: reading one with every mistake in its form named, and the canonical text of one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pypes.component import BATCH_OPTIONS, batch_problem
from pypes.core.graph_limits import GraphLimits
from pypes.core.naming import NAMING
from pypes.core.pools import Pool
from pypes.errors import InvalidGraph, Problem
from pypes.graph.drawing import read_comments, read_layout
from pypes.graph.limits import read_limits
from pypes.graph.model import Comment, Graph, GraphNode, Wire
from pypes.graph.pools import read_node_pool, read_pools
from pypes.graph.schedule import why_invalid
from pypes.graph.text import as_text, parse

#: Version of the form; graphs say it under ``"pypes"``.
FORM: Final = 1

#: Largest share of one graph against another that has something to do at the same time.
MAX_WEIGHT: Final = 10

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Names of filters where composites are expanded: ``outer:inner``.
EXPANDED_NAME: Final = re.compile(rf"{NAME.pattern}(:{NAME.pattern})*")
_NAME_RULE: Final = "use 1 to 64 letters, digits, - and _"
#: Options of graphs that are something when they are not given.
_USUAL: Final = {"weight": 1, "missed": "once", "firing": "node"}
_KEYS: Final = (
    "pypes",
    "name",
    "description",
    "routes",
    "order_by",
    "inherit",
    "weight",
    "max_instances",
    "limits",
    "trace",
    "provenance",
    "schedule",
    "missed",
    "firing",
    "pools",
    "nodes",
    "wires",
    "layout",
    "comments",
    "tests",
)


#: Fields of a filter besides component and params.
FILTER_OPTIONS: Final = ("timeout_s", "max_attempts", *BATCH_OPTIONS, "pool")
#: The identity of a filter in a draft, whatever its name is meanwhile. It is read, and is no part of the graph.
UID: Final = "uid"


def loads(text: bytes | str) -> Graph:
    """Read a graph from JSON text. Raises :class:`InvalidGraph`, for a syntax error with its line and column."""
    return _read(*parse(text))


def from_obj(obj: Any, *, is_expanded: bool = False) -> Graph:
    """Read a graph from parsed JSON. Raises :class:`InvalidGraph` with everything that is wrong with its form.

    ``is_expanded``: it is one as it runs, with the filters of composites under names such as ``outer:inner``.
    """
    return _read(obj, [], EXPANDED_NAME if is_expanded else NAME)


def to_obj(graph: Graph) -> dict[str, Any]:
    """The graph as plain JSON values in canonical order: what is optional and empty is left out."""
    obj: dict[str, Any] = {"pypes": FORM, "name": graph.name}
    options = {
        "description": graph.description,
        "routes": sorted(graph.routes),
        "order_by": graph.order_by,
        "inherit": sorted(graph.inherit),
        "weight": graph.weight,
        "max_instances": graph.max_instances,
        "limits": graph.limits.to_obj(),
        "trace": graph.trace,
        "provenance": graph.provenance,
        "schedule": graph.schedule,
        "missed": graph.missed,
        "firing": graph.firing,
    }
    obj |= {key: value for key, value in options.items() if value and value != _USUAL.get(key)}
    if graph.pools:
        obj["pools"] = {name: graph.pools[name].to_obj() for name in sorted(graph.pools)}
    nodes = sorted(graph.nodes.values(), key=lambda node: node.name)
    obj["nodes"] = {node.name: _node(node) for node in nodes}
    ends = sorted((wire.source, wire.output, wire.target, wire.input) for wire in graph.wires)
    obj["wires"] = [[f"{source}.{output}", f"{target}.{input}"] for source, output, target, input in ends]
    if graph.layout:
        obj["layout"] = {name: list(graph.layout[name]) for name in sorted(graph.layout)}
    if graph.comments:
        obj["comments"] = {name: graph.comments[name].to_obj() for name in sorted(graph.comments)}
    if graph.tests:
        obj["tests"] = [dict(test) for test in graph.tests]
    return obj


def dumps(graph: Graph) -> str:
    """The canonical text of a graph: equal graphs give equal text, with one line per filter, wire, place, comment and test."""
    return as_text(to_obj(graph))


def _node(node: GraphNode) -> dict[str, Any]:
    options = {name: value for name in FILTER_OPTIONS if (value := getattr(node, name)) is not None}
    if isinstance(node.pool, Pool):
        options["pool"] = node.pool.to_obj()
    return {"component": node.component, "params": dict(node.params), **options}


def _read(obj: Any, problems: list[Problem], filter_name: re.Pattern[str] = NAME) -> Graph:
    if not isinstance(obj, dict):
        raise InvalidGraph("a graph is a JSON object with name, nodes and wires", code="graph.malformed")
    reader = _Reader(problems, filter_name)
    reader.expect_form(obj)
    graph = Graph(
        name=reader.name(obj),
        description=reader.text(obj.get("description", ""), "description"),
        routes=reader.routes(obj.get("routes", [])),
        order_by=reader.order_by(obj.get("order_by", "")),
        inherit=reader.inherit(obj.get("inherit", [])),
        weight=reader.weight(obj.get("weight", 1)),
        max_instances=reader.max_instances(obj.get("max_instances")),
        limits=reader.limits(obj.get("limits", {})),
        trace=reader.trace(obj.get("trace", 0.0)),
        provenance=reader.provenance(obj.get("provenance", False)),
        schedule=reader.schedule(obj.get("schedule", "")),
        missed=reader.missed(obj.get("missed", "once")),
        firing=reader.firing(obj.get("firing", "node")),
        pools=reader.pools(obj.get("pools", {})),
        nodes=reader.nodes(obj.get("nodes")),
        wires=reader.wires(obj.get("wires", [])),
        layout=reader.layout(obj.get("layout", {})),
        comments=reader.comments(obj.get("comments", {})),
        tests=reader.tests(obj.get("tests", [])),
    )
    if problems:
        raise InvalidGraph("the graph is not valid", where=graph.name, problems=problems)
    return graph


class _Reader:
    """Reads the parts of a graph, gathering what is wrong instead of stopping at it."""

    def __init__(self, problems: list[Problem], filter_name: re.Pattern[str]) -> None:
        self._problems = problems
        self._filter_name = filter_name

    def add(self, path: str, message: str, code: str = "graph.form") -> None:
        self._problems.append(Problem(path, message, code))

    def expect_form(self, obj: Mapping[str, Any]) -> None:
        form = obj.get("pypes")
        if type(form) is not int or form < 1:
            self.add("pypes", f'the version of the form is missing; write "pypes": {FORM}', "graph.version")
        elif form > FORM:
            self.add("pypes", f"the graph is in form {form}, this server reads up to {FORM}; upgrade the server", "graph.version")
        for key in obj:
            if key not in _KEYS:
                self.add(key, f"unknown key; a graph has {', '.join(_KEYS)}")

    def name(self, obj: Mapping[str, Any]) -> str:
        name = obj.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.add("name", f"the graph needs a name; {_NAME_RULE}", "graph.name")
            return ""
        return name

    def text(self, value: Any, path: str) -> str:
        if isinstance(value, str):
            return value
        self.add(path, "must be text")
        return ""

    def routes(self, value: Any) -> tuple[str, ...]:
        routes: list[str] = []
        for index, route in enumerate(self._array(value, "routes")):
            if not isinstance(route, str) or not NAME.fullmatch(route):
                self.add(f"routes.{index}", f"is no route; {_NAME_RULE}", "graph.name")
            elif route in routes:
                self.add(f"routes.{index}", f"route {route!r} is listed twice; remove one")
            else:
                routes.append(route)
        return tuple(routes)

    def nodes(self, value: Any) -> dict[str, GraphNode]:
        nodes: dict[str, GraphNode] = {}
        uids: set[str] = set()
        if value is None:
            self.add("nodes", "the graph needs nodes: an object of filters by name")
            return nodes
        for name, node in self._object(value, "nodes").items():
            path = f"nodes.{name}"
            if not self._filter_name.fullmatch(name):
                self.add(path, f"is no name for a filter; {_NAME_RULE}", "graph.name")
            if not isinstance(node, dict):
                self.add(path, 'must be an object: {"component": NAME, "params": {…}}')
                continue
            for key in node:
                if key not in ("component", "params", UID, *FILTER_OPTIONS):
                    self.add(f"{path}.{key}", f"unknown key; a filter has component, params, {', '.join(FILTER_OPTIONS)}")
            if UID in node:
                self._uid(node[UID], f"{path}.{UID}", uids)
            component = node.get("component")
            if not isinstance(component, str) or not component:
                self.add(f"{path}.component", "is required: the name of a component")
                component = ""
            nodes[name] = GraphNode(
                name,
                component,
                self._object(node.get("params", {}), f"{path}.params"),
                self._timeout_s(node.get("timeout_s"), f"{path}.timeout_s"),
                self._attempts(node.get("max_attempts"), f"{path}.max_attempts"),
                **{name: self._batch_option(node, name, path) for name in BATCH_OPTIONS},
                pool=read_node_pool(node.get("pool"), f"{path}.pool", self.add),
            )
        return nodes

    def _uid(self, value: Any, path: str, others: set[str]) -> None:
        if not isinstance(value, str) or not NAME.fullmatch(value):
            self.add(path, f"is no uid; {_NAME_RULE}")
        elif value in others:
            self.add(path, f"another filter has the uid {value!r}; give this one another, or none")
        else:
            others.add(value)

    def order_by(self, value: Any) -> str:
        if value in ("", "id"):
            return str(value)
        self.add("order_by", 'must be "id": documents of the same id are processed in the order of their acknowledgement')
        return ""

    def inherit(self, value: Any) -> tuple[str, ...]:
        names: list[str] = []
        for index, name in enumerate(self._array(value, "inherit")):
            path = f"inherit.{index}"
            if not isinstance(name, str) or not name:
                self.add(path, 'must be the name of metadata, such as "acl"')
            elif name in NAMING:
                self.add(path, f"every packet made of a document has {name!r} anyway, or one of its own; leave it out")
            elif name in names:
                self.add(path, f"metadata {name!r} is listed twice; remove one")
            else:
                names.append(name)
        return tuple(names)

    def weight(self, value: Any) -> int:
        if type(value) is int and 0 < value <= MAX_WEIGHT:
            return value
        self.add("weight", f"must be a whole number from 1 to {MAX_WEIGHT}")
        return 1

    def max_instances(self, value: Any) -> int | None:
        return self._attempts(value, "max_instances")

    def limits(self, value: Any) -> GraphLimits:
        return read_limits(self._object(value, "limits"), self.add)

    def trace(self, value: Any) -> float:
        if type(value) in (int, float) and 0 <= value <= 1:
            return float(value)
        self.add("trace", "must be the share of deliveries that are traced, from 0 to 1, such as 0.001")
        return 0.0

    def provenance(self, value: Any) -> bool:
        if value is True or value is False:
            return value
        self.add("provenance", "must be true or false: whether the metadata of fields say which filter set them")
        return False

    def pools(self, value: Any) -> dict[str, Pool]:
        return read_pools(self._object(value, "pools"), self.add)

    def schedule(self, value: Any) -> str:
        if value == "":
            return ""
        reason = why_invalid(value) if isinstance(value, str) else "it is no text"
        if not reason:
            return str(value)
        self.add("schedule", f'is no time in the form of cron: {reason}; "*/5 * * * *" is every five minutes', "graph.schedule")
        return ""

    def missed(self, value: Any) -> str:
        if value in ("once", "skip"):
            return str(value)
        self.add("missed", 'must be "once" (run when the server is back) or "skip"')
        return "once"

    def firing(self, value: Any) -> str:
        if value in ("node", "fleet"):
            return str(value)
        self.add("firing", 'must be "node" (each node runs the sources) or "fleet" (one of those that share a directory does)')
        return "node"

    def _timeout_s(self, value: Any, path: str) -> float | None:
        if value is None or (type(value) in (int, float) and math.isfinite(value) and value > 0):
            return value  # type: ignore[no-any-return]
        self.add(path, "must be a number of seconds greater than zero")
        return None

    def _attempts(self, value: Any, path: str) -> int | None:
        if value is None or (type(value) is int and value > 0):
            return value
        self.add(path, "must be a whole number greater than zero")
        return None

    def _batch_option(self, node: Mapping[str, Any], option: str, path: str) -> Any:
        value = node.get(option)
        reason = "" if value is None else batch_problem(option, value)
        if not reason:
            return value
        self.add(f"{path}.{option}", reason)
        return None

    def wires(self, value: Any) -> tuple[Wire, ...]:
        wires = []
        for index, wire in enumerate(self._array(value, "wires")):
            ends = [end.partition(".") for end in wire if isinstance(end, str)] if isinstance(wire, list) else []
            if len(ends) != 2 or len(wire) != 2 or not all(node and port for node, _, port in ends):
                self.add(f"wires.{index}", 'must be two ends: ["filter.output", "filter.input"]')
                continue
            (source, _, output), (target, _, input) = ends
            wires.append(Wire(source, output, target, input))
        return tuple(wires)

    def layout(self, value: Any) -> dict[str, tuple[float, float]]:
        return read_layout(self._object(value, "layout"), self.add)

    def comments(self, value: Any) -> dict[str, Comment]:
        return read_comments(self._object(value, "comments"), self.add)

    def tests(self, value: Any) -> tuple[Mapping[str, Any], ...]:
        tests = self._array(value, "tests")
        for index, test in enumerate(tests):
            if not isinstance(test, dict):
                self.add(f"tests.{index}", "must be an object")
        return tuple(tests)

    def _array(self, value: Any, path: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self.add(path, "must be an array")
        return []

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.add(path, "must be an object")
        return {}
