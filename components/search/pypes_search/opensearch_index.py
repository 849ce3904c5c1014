"""Indexes of OpenSearch and Elasticsearch: made by a template, and compared with what a filter is to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pypes.errors import ComponentError
from pypes_search.opensearch_client import Answered, Client
from pypes_search.versioned_writing import versions_of

#: Names that every document has beside its own fields.
OWN: Final = ("pypes", "meta", "acl")
_KEYWORD: Final = {"type": "keyword"}
#: Names that the two have for the same distance.
SPACES: Final = {"cosine": ("cosinesimil", "cosine"), "l2": ("l2", "l2_norm"), "dot": ("innerproduct", "max_inner_product")}


class Layout(NamedTuple):
    """Names and mappings. ``template`` may have ``{name}`` in place of which metadata stand."""

    template: str
    title: str
    text: str
    vector: str
    dimensions: int
    distance: str
    mappings: Mapping[str, Any]
    settings: Mapping[str, Any]
    alias: str

    @property
    def pattern(self) -> str:
        """All indexes of the template."""
        first, *others = self.template.split("{")
        return first + "".join(f"*{piece.split('}', 1)[-1]}" for piece in others)

    @property
    def versions(self) -> str:
        """The index of versions, which all indexes of the template share; the pattern does not cover it."""
        return versions_of(self.template)


def is_opensearch(client: Client) -> bool:
    """True if the server is OpenSearch, false if it is Elasticsearch."""
    said = client.ask("GET", "/")
    version = said.get("version") if isinstance(said, dict) else None
    if not isinstance(version, dict) or "number" not in version:
        raise ComponentError("what answers at this url is neither OpenSearch nor Elasticsearch", code="opensearch.other_server")
    return version.get("distribution") == "opensearch"


def prepare(client: Client, layout: Layout, *, opensearch: bool) -> None:
    """Put the template and make the index of versions. Raises ``ComponentError`` where one is there that does not fit."""
    properties = _properties(layout, opensearch=opensearch)
    settings = dict(layout.settings)
    if opensearch and layout.dimensions:
        settings.setdefault("index.knn", True)
    aliases: dict[str, Any] = {layout.alias: {}} if layout.alias else {}
    mappings = {
        # what looks like a date in one document is a word in the next
        "date_detection": False,
        "dynamic_templates": [{"meta": {"path_match": "meta.*", "match_mapping_type": "string", "mapping": _KEYWORD}}],
        "properties": properties,
    }
    template = {
        "index_patterns": [layout.pattern],
        "priority": 200,
        "template": {"settings": settings, "mappings": mappings, "aliases": aliases},
    }
    name = "pypes-" + layout.pattern.replace("*", "any")
    _say(client, "PUT", f"/_index_template/{name}", template)
    if not client.ask("GET", f"/{layout.versions}/_mapping", missing={}):
        fields = {"version": _KEYWORD, "route": _KEYWORD, "id": _KEYWORD, "gone_ms": {"type": "long"}}
        _make(client, layout.versions, {"mappings": {"dynamic": False, "properties": fields}})


def prepare_index(client: Client, layout: Layout, index: str, *, opensearch: bool) -> None:
    """Make an index, or compare the one that is there and add what it lacks."""
    there = client.ask("GET", f"/{index}/_mapping", missing={})
    if not there:
        _make(client, index, {})
        there = client.ask("GET", f"/{index}/_mapping", missing={})
    wanted = _properties(layout, opensearch=opensearch)
    for name, found in there.items():
        known = found.get("mappings", {}).get("properties", {})
        wrong = _differences(wanted, known)
        if wrong:
            raise ComponentError(
                f"index {name} does not fit: {'; '.join(wrong)}. Write to another index, or set dimensions and "
                "mappings as they are there",
                code="opensearch.schema",
            )
        lacking = {field: mapping for field, mapping in wanted.items() if field not in known}
        if lacking:
            _say(client, "PUT", f"/{name}/_mapping", {"properties": lacking})


def _properties(layout: Layout, *, opensearch: bool) -> dict[str, Any]:
    own = dict.fromkeys(("document", "place", "version", "route", "id", "part"), _KEYWORD)
    found: dict[str, Any] = {
        "pypes": {"properties": own},
        "acl": _KEYWORD,
        layout.title: {"type": "text"},
        layout.text: {"type": "text"},
    }
    if layout.dimensions:
        spaces = SPACES[layout.distance]
        if opensearch:
            method = {"name": "hnsw", "engine": "lucene", "space_type": spaces[0]}
            found[layout.vector] = {"type": "knn_vector", "dimension": layout.dimensions, "method": method}
        else:
            vector = {"type": "dense_vector", "dims": layout.dimensions, "index": True, "similarity": spaces[1]}
            found[layout.vector] = vector
    return {**found, **layout.mappings}


def _differences(wanted: Mapping[str, Any], there: Mapping[str, Any], path: str = "") -> list[str]:
    """Fields that are there with another type or number of dimensions."""
    found = []
    for field, mapping in wanted.items():
        known = there.get(field)
        if known is None:
            continue
        for key in ("type", "dims", "dimension"):
            if key in mapping and known.get(key) not in (None, mapping[key]):
                found.append(f"field {path}{field} has {key} {known[key]} instead of {mapping[key]}")
        if "properties" in mapping:
            found += _differences(mapping["properties"], known.get("properties", {}), f"{path}{field}.")
    return found


def _make(client: Client, index: str, body: Mapping[str, Any]) -> None:
    try:
        client.ask("PUT", f"/{index}", body)
    except Answered as error:
        if error.kind != "resource_already_exists_exception":  # by another instance
            raise ComponentError(f"index {index} cannot be made: {error}", code="opensearch.schema") from error


def _say(client: Client, method: str, path: str, body: Any) -> None:
    try:
        client.ask(method, path, body)
    except Answered as error:
        raise ComponentError(f"{method} {path} is refused: {error}", code="opensearch.schema") from error
