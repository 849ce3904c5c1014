"""Copies of a graph: the way of its components to other processes, and the work that is done there with what is sent."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cloudpickle

from pypes.component import Component, Resources
from pypes.core.limits import Limits
from pypes.graph.model import Graph
from pypes.placement import isolate
from pypes.runtime.scheduler import Epoch, Feed, Scheduler

#: Packets that a wire takes. The original had no bound: a component sees in its turn all that was made of what was sent, which
#: those that sort or count rely on.
WIRE_PACKETS: Final = 1_000_000

#: Attributes that a component has of its process, and gets anew in another one.
_OF_THE_PROCESS: Final = frozenset(("log", "_counts", "_shares", "_stores", "_expected", "_run_context", "_end_turn_by_hand"))


class Failed(NamedTuple):
    """One failure in a copy: the filter, a stable code, the reason, and the traceback as text."""

    filter: str
    code: str
    error: str
    traceback: str


class Folded:
    """A component on its way to another process: its class, and the attributes that it has of its own."""

    def __init__(self, component: Component) -> None:
        self._class = type(component)
        self._attributes = {name: value for name, value in vars(component).items() if name not in _OF_THE_PROCESS}

    def unfolded(self) -> Component:
        """The component anew. Its ``__init__`` is not called: what that did is in the attributes."""
        component = self._class.__new__(self._class)
        Component.__init__(component)
        vars(component).update(self._attributes)
        return component


#: Advice for those who made something in ``__init__`` that does not travel.
_LATER: Final = "make it in setup(), or in run() before the loop"


def fault_of_files(component: Component) -> str:
    """The reason why a component with open files cannot be sent to a process, or empty: there they would be copies."""
    for name, value in vars(component).items():
        is_file = isinstance(value, io.IOBase) and not isinstance(value, io.StringIO | io.BytesIO)
        if is_file and value not in (sys.stdin, sys.stdout, sys.stderr):
            return f"its attribute {name!r} is an open file, which another process cannot use; {_LATER}"
    return ""


def fault_of_travel(component: Component) -> str:
    """The reason why a component cannot be sent to a process, or empty."""
    for name, value in vars(component).items():
        try:
            if name not in _OF_THE_PROCESS:
                cloudpickle.dumps(value)
        except Exception as error:
            return f"its attribute {name!r} cannot be sent to another process: {error}; {_LATER}"
    return ""


@dataclass(frozen=True)
class CopyMaker:
    """Makes a copy of a graph in the process that it is called in. It travels there with cloudpickle."""

    graph: Graph
    folded: Mapping[str, Folded]
    entries: Sequence[str]

    def __call__(self) -> GraphCopy:
        return GraphCopy(self.graph, {name: each.unfolded() for name, each in self.folded.items()}, self.entries)


class GraphCopy:
    """One copy of a graph, as work of a pool worker (:class:`pypes.placement.executor.Work`)."""

    def __init__(self, graph: Graph, components: Mapping[str, Component], entries: Sequence[str]) -> None:
        limits = Limits(wire_packets=WIRE_PACKETS)
        placed = {name: isolate(each, limits=limits) if each.isolated else each for name, each in components.items()}
        resources = Resources()
        for component in placed.values():
            component._shares.resources = resources
        self._entries = entries
        self._failed: list[Failed] = []
        self._scheduler = Scheduler(graph, placed, limits=limits, on_done=self._done)

    def setup(self) -> None:
        self._scheduler.setup()

    def run(self, data: Any) -> list[Failed]:
        """Have all entries take data, and run the graph until all that was made of it is done. Returns the failures."""
        self._failed = []
        clones = [data.clone() if hasattr(data, "clone") else data for _ in self._entries[1:]]
        batches = [(entry, [each], (0,)) for entry, each in zip(self._entries, [*clones, data], strict=True)]
        self._scheduler.submit(Feed(iter(batches), 1))
        self._scheduler.drain()
        return self._failed

    def _done(self, epoch: Epoch) -> None:
        self._failed += [Failed(each.filter, each.code, each.error, each.traceback) for each in epoch.dead_letters]

    def close(self) -> None:
        self._scheduler.teardown()
