"""Privileges: filters that run programs, reach files of the server or have its token, and outboxes, which graphs may share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypes.component.harmless import beyond
from pypes.component.parameters import lists_in, paths_in, texts_in
from pypes.config import TOKEN_VARIABLE
from pypes.core.secrets import VARIABLE
from pypes.errors import InvalidInput
from pypes.graph.spec import ComponentSpec
from pypes.graph.validation import expand

#: Filters of a graph in its JSON form, by name.
Nodes = Mapping[str, Mapping[str, Any]]


def newly_privileged(
    old: Nodes, new: Nodes, catalogue: Mapping[str, ComponentSpec], environ: Mapping[str, str]
) -> dict[str, list[str]]:
    """The filters among ``new`` ones that need a privilege and are not exactly as among ``old`` ones, by name, with the reasons.

    ``environ`` has the values of ``${NAME}`` in parameters.
    """
    changed = (name for name, node in sorted(new.items()) if node != old.get(name))
    return {name: found for name in changed if (found := privileges_of(new[name], catalogue, environ))}


def privileges_of(node: Mapping[str, Any], catalogue: Mapping[str, ComponentSpec], environ: Mapping[str, str]) -> list[str]:
    """The reasons why a filter needs a privilege, none if it needs none: the component, or the parameters and what is in them.

    They are: a component that says so; a parameter that is a path, be it by default; an address or options that are more than
    those which are known to be harmless; and the node's token. Whoever could have that sent somewhere, to the node itself for
    one, could do everything.
    """
    spec, params = catalogue.get(node["component"]), node.get("params") or {}
    if spec is None:
        return []
    reasons = [node["component"]] if spec.privileged else []
    reasons += [f"${{{TOKEN_VARIABLE}}}"] if _has_token(params) else []
    reasons += [place for place, path in paths_in(spec.schema, params) if path]
    for place, harmless, value in lists_in(spec.schema, params):
        # an address that is one variable is of the operator's making as a whole
        if not (isinstance(value, str) and (found := VARIABLE.fullmatch(value)) and not found[1]):
            reasons += [f"{place}: {part}" for part in _beyond(harmless, value, environ)]
    return reasons


def _beyond(harmless: Mapping[str, Any], value: Any, environ: Mapping[str, str]) -> list[str]:
    """The parts of a value that are not harmless, once its variables are replaced."""
    try:
        whole = expand({"value": value}, environ)["value"]
    except InvalidInput:
        whole = value  # such a graph is refused before, or cannot be deployed
    told = list(beyond(harmless, value))
    # what shows with the values only is not named: it may be one of them
    return [part if part in told else "a variable that holds more than one part of it" for part in beyond(harmless, whole)]


def _has_token(params: Mapping[str, Any]) -> bool:
    return any(name == TOKEN_VARIABLE and not escaped for escaped, name in VARIABLE.findall(json.dumps(params)))


def outboxes_in(nodes: Nodes, catalogue: Mapping[str, ComponentSpec]) -> set[str]:
    """The outboxes that filters publish to, as their parameters name them."""
    known = (
        (spec, node.get("params") or {}) for node in nodes.values() if (spec := catalogue.get(node["component"])) is not None
    )
    return {outbox for spec, params in known for _, outbox in texts_in(spec.schema, params, "outbox")}
