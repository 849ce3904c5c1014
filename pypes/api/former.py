"""Addresses of the original Pypes that are others today, for clients that still use them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_PROJECT = (
    "projects of the original are graphs here: GET /graphs/{name} shows one, "
    "POST /graphs?format=pypes1&name=NAME with the project as JSON deploys one"
)
_DATA = "documents go to /docs: POST /docs, or PUT /docs/{route}/{id}; DELETE /docs/{route}/{id} removes one"

#: The calls of today, by the beginning of an address; the first that fits.
_TODAY: Mapping[str, str] = MappingProxyType(
    {
        "/data/ui/trigger": "a graph is triggered by POST /graphs/{name}/trigger",
        "/data": _DATA,
        "/text": _DATA,
        "/project": _PROJECT,
        "/sink": "nothing is kept for downloads; a publisher of the graph writes what is to be kept",
    }
)

_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "PUT /filters/": '{"params": {"NAME": VALUE, …}} as JSON',
        "POST /graphs": "a graph as JSON, or a project of the original with ?format=pypes1&name=NAME",
    }
)


def today(path: str) -> str:
    """Replacement for an address of the original; empty for any other address."""
    return next((said for begin, said in _TODAY.items() if path == begin or path.startswith(f"{begin}/")), "")


def instead_of_form(method: str, path: str) -> str:
    """Replacement for a form, which the original's editor sent."""
    head, slash, _ = path.strip("/").partition("/")
    return _FORMS.get(f"{method} /{head}{slash}", "JSON")
