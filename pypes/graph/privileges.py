"""Privileges: filters that run programs, reach files of the server or have its token, and outboxes, which graphs may share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypes.component.parameters import paths_in, texts_in
from pypes.config import TOKEN_VARIABLE
from pypes.core.secrets import VARIABLE
from pypes.graph.spec import ComponentSpec

#: Filters of a graph in its JSON form, by name.
Nodes = Mapping[str, Mapping[str, Any]]


def newly_privileged(old: Nodes, new: Nodes, catalogue: Mapping[str, ComponentSpec]) -> list[str]:
    """The filters among ``new`` ones that need a privilege and are not exactly as among ``old`` ones, by name."""
    return sorted(name for name, node in new.items() if node != old.get(name) and is_privileged(node, catalogue))


def is_privileged(node: Mapping[str, Any], catalogue: Mapping[str, ComponentSpec]) -> bool:
    """True for a filter whose component says so, or which has a parameter that is a path, be it by default, or the node's token.

    Whoever could have that token sent somewhere, to the node itself for one, could do everything.
    """
    spec, params = catalogue.get(node["component"]), node.get("params") or {}
    if spec is None:
        return False
    return spec.privileged or _has_token(params) or any(path for _, path in paths_in(spec.schema, params))


def _has_token(params: Mapping[str, Any]) -> bool:
    return any(name == TOKEN_VARIABLE and not escaped for escaped, name in VARIABLE.findall(json.dumps(params)))


def outboxes_in(nodes: Nodes, catalogue: Mapping[str, ComponentSpec]) -> set[str]:
    """The outboxes that filters publish to, as their parameters name them."""
    known = (
        (spec, node.get("params") or {}) for node in nodes.values() if (spec := catalogue.get(node["component"])) is not None
    )
    return {outbox for spec, params in known for _, outbox in texts_in(spec.schema, params, "outbox")}
