"""Pypes: a push dataflow server.

Layers, each importing only from those before it (``tests/test_layers.py`` holds them apart)::

    errors, packet, pype, structure, component, core, config, logs, observe, access  components, settings, logs, tokens
    outbox                                                             results that wait on a node to be fetched
    graph                                                              the model of a graph, its JSON, its validation
    registry                                                           the components that are installed
    ingest                                                             bodies, limits, the durable queue, dispatch to instances
    placement                                                          executors; components in processes of their own
    runtime                                                            the scheduler, instances, workers, the supervisor
    pipeline                                                           pipelines of functions and programs, in Python
    compat                                                             the forms of libraries from which Pypes descends
    protobuf                                                           documents as messages, for programs that post them
    testing                                                            parts for tests of components, graphs and Pypes itself
    web                                                                the built editor, as it is sent to browsers
    api                                                                HTTP
    cli, __main__                                                      the command ``pypes``

The names below are the public ones. They are loaded when first used, so that a process pays only for what it runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypes.component import (
        Adapter,
        Component,
        Example,
        Extractor,
        Filter,
        Operator,
        Publisher,
        Source,
        Transformer,
    )
    from pypes.component.functions import component
    from pypes.component.harmless import Harmless
    from pypes.component.parameters import Help, Parameters
    from pypes.errors import InvalidGraph, PypesError, Reject, Retry, Unreachable
    from pypes.graph.model import Graph
    from pypes.packet import Packet
    from pypes.pipeline import Command, Done, Failed, Pipeline, Pool, node
    from pypes.pipeline.steps import steps

__version__ = "0.1.0"

_HOMES = {
    "pypes.component": (
        *("Adapter", "Component", "Example", "Extractor", "Filter", "Operator", "Publisher", "Source", "Transformer"),
    ),
    "pypes.component.harmless": ("Harmless",),
    "pypes.component.parameters": ("Help", "Parameters"),
    "pypes.errors": ("InvalidGraph", "PypesError", "Reject", "Retry", "Unreachable"),
    "pypes.component.functions": ("component",),
    "pypes.graph.model": ("Graph",),
    "pypes.packet": ("Packet",),
    "pypes.pipeline.steps": ("steps",),
    "pypes.pipeline": ("Command", "Done", "Failed", "Pipeline", "Pool", "node"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Adapter",
    "Command",
    "Component",
    "Done",
    "Example",
    "Extractor",
    "Failed",
    "Filter",
    "Graph",
    "Harmless",
    "Help",
    "InvalidGraph",
    "Operator",
    "Packet",
    "Parameters",
    "Pipeline",
    "Pool",
    "Publisher",
    "PypesError",
    "Reject",
    "Retry",
    "Source",
    "Transformer",
    "Unreachable",
    "component",
    "node",
    "steps",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'pypes' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    # completion in a shell shows what is meant to be used, loaded or not
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
