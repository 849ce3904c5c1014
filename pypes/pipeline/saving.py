"""Saving: a pipeline as a graph in Pypes' JSON form, where every part of it can be found again by a name."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pypes.component import Component
from pypes.component.placed import Placed
from pypes.core.functions import name_of_function
from pypes.core.pools import Pool as PoolOptions
from pypes.core.pools import read_pool
from pypes.core.trust import trusted, unreached
from pypes.errors import InvalidComponent, InvalidGraph, InvalidInput, Problem, Unavailable
from pypes.graph.codec import NAME, dumps, from_obj, to_obj
from pypes.graph.expansion import SEPARATOR
from pypes.graph.model import Graph, GraphNode, Wire
from pypes.pipeline.building import Given, is_component
from pypes.pipeline.calling import is_join, parameters_of
from pypes.pipeline.nodes import Node
from pypes.pipeline.pool import Pool
from pypes.pipeline.reading import CALL, CALL_JOIN, WAYS
from pypes.placement.found_again import given_parameters, home_of
from pypes.registry.discovery import discover_for_user

#: Seconds for a deployment, in which a node sets the graph up.
DEPLOY_S: Final = 120.0


def save(given: Given, path: str | os.PathLike[str], name: str | None) -> None:
    """Write a pipeline to a file, as a whole or not at all. Raises :class:`InvalidGraph` with all that cannot be saved."""
    if not isinstance(path, str | os.PathLike) or not Path(path).name:
        raise InvalidInput(f"save: {path!r} is no path of a file", code="pipeline.path")
    target = Path(path)
    graph = graph_of(given, name or (given.origin.name if given.origin else _as_name(target.stem)))
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(dumps(graph), encoding="utf-8")
    draft.replace(target)


def _as_name(text: str) -> str:
    return text if NAME.fullmatch(text) else "pipeline"


def graph_of(given: Given, name: str, *, done: str = "saved", problems: Sequence[Problem] = ()) -> Graph:
    """A pipeline as a graph. Raises :class:`InvalidGraph` with all parts that have no name, and the ``problems`` of what is
    to be ``done`` with it.
    """
    given = _with_plain_names(given)
    writer = _Writer(given)
    nodes = {each: writer.node(each, node) for each, node in given.nodes.items()}
    if writer.problems or problems:
        raise InvalidGraph(f"the pipeline cannot be {done}", where=name, problems=[*writer.problems, *problems])
    wires = tuple(Wire(source, output, target, writer.port(target, port)) for source, output, target, port in given.ends)
    base = given.origin or Graph(name, {})
    kept = {each: pool for each, pool in base.pools.items() if any(node.pool == each for node in nodes.values())}
    graph = replace(base, name=name, nodes=nodes, wires=wires, pools={**kept, **writer.pools})
    return from_obj(to_obj(graph))  # names included, which Python may have given


def _with_plain_names(given: Given) -> Given:
    """A pipeline without the names that filters of composites have: ``outer:inner`` becomes ``outer-inner``."""
    names: dict[str, str] = {}
    for each in given.nodes:
        plain = each.replace(SEPARATOR, "-")
        while plain != each and (plain in given.nodes or plain in names.values()):
            plain += "-"
        names[each] = plain
    if all(each == plain for each, plain in names.items()):
        return given
    nodes = {names[each]: node for each, node in given.nodes.items()}
    ends = [(names[source], output, names[target], port) for source, output, target, port in given.ends]
    origin = given.origin
    if origin is not None:
        origin = replace(origin, layout={names.get(each, each): place for each, place in origin.layout.items()})
    return Given(nodes, ends, origin)


class _Writer:
    """Makes the filters of a graph, and gathers what is wrong."""

    def __init__(self, given: Given) -> None:
        self.problems: list[Problem] = []
        self.pools: dict[str, PoolOptions] = {}
        self._given = given
        self._names: dict[tuple[str, str], str] | None = None
        self._catalogue: Mapping[str, Any] = {}
        self._strides: dict[int, list[int]] = {}
        for node in given.nodes.values():
            if node.pool is not None:
                self._strides.setdefault(id(node.pool), []).append(node.stride)
        self._shared: dict[int, str] = {}
        self._joins = joins_of(given)

    def add(self, name: str, message: str) -> None:
        self.problems.append(Problem(f"nodes.{name}", message, "pipeline.unsaved"))

    def port(self, target: str, port: str) -> str:
        """The input port of a wire: of a function with one parameter ``in``, whatever its name, of others by its number."""
        node = self._given.nodes.get(target)
        if node is None or is_component(node.target):
            return port
        return WAYS[self._joins[target].index(port)] if target in self._joins else "in"

    def node(self, name: str, node: Node) -> GraphNode:
        """A filter."""
        if node.origin is not None and (name not in self._joins or node.origin[1].component == CALL_JOIN):
            return self._of_origin(name, node)
        if is_component(node.target):
            return self._component(name, node)
        params: dict[str, Any] = {}
        try:
            params["function"] = name_of_function(node.target)
        except ValueError as error:
            self.add(name, str(error))
        parameters = self._joins.get(name, [])
        if len(parameters) > len(WAYS):
            self.add(name, f"{len(parameters)} of its parameters have wires; the graph of a node has {len(WAYS)} at most")
        options: dict[str, Any] = {"parameters": parameters, "options": dict(node.params)}
        options |= {"produces": node.produces, "consumes": node.consumes, "repeat": node.repeat}
        params |= {option: value for option, value in options.items() if value}
        component = CALL_JOIN if parameters else CALL
        return self._checked(GraphNode(name, component, params, pool=self._pool(name, node)))

    def _of_origin(self, name: str, node: Node) -> GraphNode:
        assert node.origin is not None
        graph, origin = node.origin
        pool = origin.pool
        if isinstance(pool, str) and pool in graph.pools and self._given.origin is not graph:
            known = self.pools.setdefault(pool, graph.pools[pool])
            pool = pool if known == graph.pools[pool] else graph.pools[pool]
        return replace(origin, name=name, pool=pool)

    def _component(self, name: str, node: Node) -> GraphNode:
        target, params, pool = node.target, dict(node.params), self._pool(name, node)
        if isinstance(target, Placed):
            params = {**target.params, **params}
            if pool is None and target.options:
                pool = read_pool(target.options, lambda option, message: self.add(name, f"{option} {message}"))
            target = target.component
        cls = target if isinstance(target, type) else type(target)
        if isinstance(target, Component):
            params = self._parameters(name, target)
        return self._checked(GraphNode(name, self._registered(name, cls), params, pool=pool))

    def _parameters(self, name: str, component: Component) -> dict[str, Any]:
        """The parameters of a component that differ from its defaults."""
        try:
            fresh = given_parameters(type(component)())
        except Exception as error:  # whatever its __init__ raises
            self.add(name, f"{type(component).__name__} is made with arguments that are no parameters: {error}")
            return {}
        given = given_parameters(component)
        return {each: value for each, value in given.items() if each not in fresh or fresh[each] != value}

    def _registered(self, name: str, cls: type[Component]) -> str:
        """The name by which graphs know a class."""
        if self._names is None:
            self._catalogue = discover_for_user(())
            self._names = {(spec.module, spec.attr): spec.name for spec in self._catalogue.values()}
        known = self._names.get((cls.__module__, cls.__qualname__))
        if known is not None:
            return known
        try:
            file = home_of(cls)[0]
        except InvalidComponent:
            self.add(name, f"{cls.__name__} is defined within a function; define it at the top level of a module")
            return cls.__name__
        if cls.__name__ in self._catalogue:
            self.add(name, f"{file}: another component is installed as {cls.__name__}; rename the class, or install it")
        return cls.__name__

    def _pool(self, name: str, node: Node) -> PoolOptions | str | None:
        pool = node.pool
        if pool is None:
            return None
        strides = self._strides[id(pool)]
        if len(strides) == 1:
            return self._options(name, pool, node.stride)
        if id(pool) not in self._shared:
            self._shared[id(pool)] = own = f"pool{len(self._shared) + 1}"
            self.pools[own] = self._options(name, pool, min(strides))
        return self._shared[id(pool)]

    def _options(self, name: str, pool: Pool, stride: int) -> PoolOptions:
        if pool.threads:
            if pool.timeout_s:
                self.add(name, "timeout_s: pools of threads have none in graphs; use processes, or leave it out")
            return PoolOptions(threads=pool.threads)
        return PoolOptions(processes=pool.processes, stride=stride, timeout_s=pool.timeout_s, memory=pool.memory)

    def _checked(self, node: GraphNode) -> GraphNode:
        for param, value in node.params.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                self.add(node.name, f"{param}: {value!r} is no JSON value: {error}")
        return node


def joins_of(given: Given) -> dict[str, list[str]]:
    """By function that is called with several parameters, those that wires lead to."""
    found = {}
    for name, ports in given.ports.items():
        node = given.nodes[name]
        if not is_join(node.target, ports):
            continue
        if node.origin is not None and node.origin[1].component == CALL_JOIN:
            found[name] = [*node.origin[1].params["parameters"]]
        else:
            found[name] = [each for each in parameters_of(node.target) if each in ports]
    return found


# -- on a node --------------------------------------------------------------------------------------------


def deploy(given: Given, url: str, name: str | None, routes: Sequence[str] | None, token: str | None) -> dict[str, Any]:
    """Put a pipeline on a node; the graph as the node tells of it. Blocks until it runs there.

    Raises :class:`InvalidGraph` with all that is wrong, ``InvalidInput`` for what the node refuses, ``Unavailable``.
    """
    import urllib3  # when it is needed: it takes a while to load

    for option, value in (("url", url), ("name", name or ""), ("token", token or "")):
        if not isinstance(value, str):
            raise InvalidInput(f"deploy: {option} must be a text, not {value!r}", code="client.form")
    if isinstance(routes, str):
        raise InvalidInput(f"deploy: routes is a list of names, such as [{routes!r}]", code="client.form")
    name = name or (given.origin.name if given.origin else "pipeline")
    graph = graph_of(given, name, done="deployed", problems=_not_on_a_node(given))
    if routes is not None or not graph.routes:
        graph = replace(graph, routes=tuple(routes) if routes is not None else (name,))
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInput(f"{url!r} is not the address of a node; give one like http://127.0.0.1:8080", code="client.url")
    secret = token or os.environ.get("PYPES_TOKEN")
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {secret}"} if secret else {})}
    address = f"{parts.scheme}://{parts.netloc}/graphs/{urllib.parse.quote(name)}"
    timeout = urllib3.Timeout(connect=10, read=DEPLOY_S)
    with urllib3.PoolManager(retries=False, timeout=timeout, ssl_context=trusted()) as http:
        try:
            answer = http.request("PUT", address, body=json.dumps(to_obj(graph)).encode(), headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{parts.netloc} cannot be reached: {unreached(error)}", code="client.unreachable") from error
    try:
        told: dict[str, Any] = json.loads(answer.data)
    except ValueError:
        told = {}
    if answer.status < 300:
        return told
    problems = [Problem(each.get("path", ""), each["message"], each.get("code", "")) for each in told.get("errors", ())]
    said = told.get("detail") or told.get("title") or answer.reason or ""
    kind = InvalidGraph if problems else InvalidInput
    raise kind(f"{parts.netloc}: {answer.status} {said}", code=told.get("code", "client.refused"), where=name, problems=problems)


def _not_on_a_node(given: Given) -> list[Problem]:
    """The parts of a pipeline that only a program can run."""
    found = []
    joins = joins_of(given)
    for name, node in given.nodes.items():
        if name in joins and node.pool is not None:
            text = "on a node, a function of several parameters has no pool: leave it out, and give one to the filter behind"
            found.append(Problem(f"nodes.{name}", text, "pipeline.not_on_a_node"))
        if node.consumes:
            text = "consumes: a node groups nothing, as filters may drop packets of a group; gather parts with Each and Gather"
            found.append(Problem(f"nodes.{name}", text, "pipeline.not_on_a_node"))
    if not given.is_bare:
        text = "on a node, items are packets: begin with an adapter, such as JSON, and end with a publisher, such as JSONLines"
        found.append(Problem("nodes", text, "pipeline.not_on_a_node"))
    return found
