"""Ports: the outputs of a pipeline that no wire leads from, and what came out of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pypes.component import ERROR_PORT, Component
from pypes.pipeline.filters import DONE, FunctionFilter
from pypes.pipeline.items import Bundle, Done, Failed


class Ports:
    """The open outputs by the names that the user gave: of functions that were made one filter, it is the last one's."""

    def __init__(self, components: Mapping[str, Component], open_ports: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        self._own: set[str] = set()
        for port in open_ports:
            filter, _, output = port.rpartition(".")
            component = components[filter]
            if isinstance(component, FunctionFilter):
                filter = component.chain.steps[-1].name
                if output == DONE:
                    self._own.add(port)
            self._names[port] = f"{filter}.{output}"

    @property
    def names(self) -> list[str]:
        """The open outputs, by the names of the filters."""
        return [*self._names]

    def sort(self, found: Iterable[tuple[str, Any]], results: Iterable[Any]) -> dict[str, list[Any]]:
        """Values by the outputs where they were found, failures among the results by the port ``error`` of their filter."""
        made: dict[str, list[Any]] = {name: [] for port, name in self._names.items() if port not in self._own}
        for port, value in found:
            values = value.values if isinstance(value, Bundle) else [value]
            for each in values:
                if type(each) is not Failed:
                    made.setdefault(self._names[port], []).append(each.value if type(each) is Done else each)
        for each in results:
            if type(each) is Failed:
                made.setdefault(f"{each.node}.{ERROR_PORT}", []).append(each)
        return made
