"""Checks a graph as this node would run it: with the environment's values in place, none of which is told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pypes.errors import Problem
from pypes.graph.model import Graph
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import validate

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


#: Why a graph with ``firing: fleet`` cannot be deployed.
NO_FLEET = "this node is in no fleet; say with --fleet (fleet in [server]) which folder its nodes share, or remove firing"


def check(
    graph: Graph, catalogue: Mapping[str, ComponentSpec], environ: Mapping[str, str], *, has_fleet: bool = False
) -> list[Problem]:
    """Everything that is wrong with ``graph`` here, missing variables included; messages show the names of secrets.

    ``has_fleet``: this node shares a folder with others, so a graph may have its sources run by one of them.
    """
    problems = validate(graph, catalogue, environ)
    params = [dict(node.params) for node in graph.nodes.values()]
    problems = [Problem(p.path, scrub(p.message, params, environ), p.code) for p in problems]
    if graph.firing == "fleet" and not has_fleet:
        problems.append(Problem("firing", NO_FLEET, "graph.no_fleet"))
    return problems


def scrub(text: str, values: Iterable[Any], environ: Mapping[str, str] | None = None) -> str:
    """Replace in ``text`` what the ``${ENV}`` references anywhere in ``values`` stand for by the references themselves."""
    environ = os.environ if environ is None else environ
    for name in sorted(set().union(*map(_variables, values)), key=lambda n: -len(environ.get(n, ""))):
        if secret := environ.get(name):
            text = text.replace(secret, f"${{{name}}}")
    return text


def _variables(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_VARIABLE.findall(value))
    if isinstance(value, Mapping):
        return set().union(*map(_variables, value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*map(_variables, value))
    return set()
