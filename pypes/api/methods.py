"""Alternatives to a method that an address does not support; made from the responders' own descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: Calls that no address takes, although clients make them: documents are not kept here.
_INSTEAD: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("docs", "GET"): "documents are passed on and not kept here; GET /receipts/{id}/documents gives the outcome of each",
        (
            "filters",
            "POST",
        ): "POST does not read _method=PUT or DELETE from a form: send PUT (with JSON) or DELETE itself",
    }
)


class Methods:
    """``routes`` are ``(template, resource, suffix)`` triples."""

    def __init__(self, routes: Iterable[tuple[str, Any, str]]) -> None:
        self._summaries: dict[str, dict[str, str]] = {}
        for template, resource, suffix in routes:
            found = self._summaries.setdefault(template, {})
            for method in METHODS:
                responder = getattr(resource, "_".join(filter(None, ("on", method.lower(), suffix))), None)
                if responder is not None:
                    found[method] = responder.operation.summary

    def hint(self, template: str, method: str) -> str:
        """Alternatives to a method that an address does not support: at this address, and elsewhere."""
        allowed = self._summaries[template].items()
        here = "; ".join(f"{name}: {summary[0].lower()}{summary[1:]}" for name, summary in allowed)
        family = template.split("/")[1]
        others = [each for each, methods in self._summaries.items() if method in methods and each.split("/")[1] == family]
        shown = " and ".join(each.replace(":path}", "}") for each in others)
        if instead := _INSTEAD.get((family, method)):
            return f"{here}; {instead}"
        return f"{here}; {method} is for {shown}" if others else here
